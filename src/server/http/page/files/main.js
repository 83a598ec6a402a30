// The page: what is always on it follows one stream of events.

import { find, say } from './dom.js';
import { listen } from './stream.js';
import { Verdict } from './verdict.js';
import { Ring } from './ring.js';
import { Locate } from './locate.js';
import { Nodes } from './nodes.js';
import { History } from './history.js';
import { Charts } from './charts.js';
import { Timeline } from './timeline.js';
import { Logs } from './logs.js';
import { Demo } from './demo.js';
import { Chaos } from './chaos.js';
import { Freshness } from './freshness.js';

const verdict = new Verdict();
const ring = new Ring();
const nodes = new Nodes();
const history = new History();
const charts = new Charts(history);
const timeline = new Timeline();
new Locate(ring);
new Logs();
new Freshness();
const demo = new Demo();
const chaos = new Chaos();

listen({
  // A new process, or a stream that was broken: what it tells begins anew.
  hello(data) {
    say(find('version'), data.version);
    chaos.offer(data.chaos);
    history.begin(data.bounds_us);
    timeline.begin();
  },
  ring(data) {
    ring.draw(data);
    nodes.own(data);
    verdict.ring(data);
  },
  timeline(data) {
    timeline.add(data.entries);
  },
  snapshot(data) {
    if (data.status) say(find('who'), data.status.node);
    verdict.show(data);
    ring.states(data.members);
    nodes.show(data);
    history.add(data);
    charts.show();
    demo.figures(data.metrics);
  },
});
