// What people do first with node-redis: node client.mjs PORT OTHER_PORT. Every claim is an assertion.
import assert from 'node:assert/strict';
import { createClient } from 'redis';

const [port, other] = process.argv.slice(2);
for (const RESP of [2, 3]) {
  const open = (port) => createClient({ url: `redis://127.0.0.1:${port}`, RESP }).connect();
  const [one, two] = await Promise.all([open(port), open(other)]);

  await one.flushAll();
  await one.set('greeting', 'hello', { EX: 600 });
  assert.equal(await two.get('greeting'), 'hello');
  const left = await two.ttl('greeting');
  assert.ok(left > 590 && left <= 600, `ttl ${left}`);
  assert.equal(await two.get('nobody'), null);

  // Counts through both at once: the replies are estimates, the sum is exact.
  await Promise.all([one, two].flatMap((client) => Array.from({ length: 50 }, () => client.incr('visits'))));
  assert.equal(await one.get('visits'), '100');

  assert.equal(await one.sAdd('tags', ['a', 'b', 'c']), 3);
  await two.sRem('tags', 'b');
  assert.deepEqual([...(await one.sMembers('tags'))].sort(), ['a', 'c']);

  await one.hSet('user:1', { name: 'Ada', age: '36' });
  await two.hIncrBy('user:1', 'age', 1);
  assert.deepEqual({ ...(await one.hGetAll('user:1')) }, { name: 'Ada', age: '37' });

  const keys = [];
  for await (const page of one.scanIterator({ COUNT: 2 })) keys.push(...[page].flat());
  assert.deepEqual(keys.sort(), ['greeting', 'tags', 'user:1', 'visits']);

  // What a leaderless store does not offer says so, and the connection goes on.
  await assert.rejects(one.multi().set('a', '1').exec(), /leader/);
  await assert.rejects(one.lPush('list', 'x'));
  await assert.rejects(one.hGet('greeting', 'f'), /WRONGTYPE/);
  assert.equal(await one.ping(), 'PONG');
  await Promise.all([one.close(), two.close()]);
  console.log(`RESP${RESP}: strings, counters, sets, hashes, expiry, scans`);
}
