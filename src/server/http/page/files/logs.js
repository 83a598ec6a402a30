// The log store: a form, what it found, how it spreads over time, and a live tail.

import { badge, el, find, mark, say, svg } from './dom.js';
import { count, plural } from './format.js';

const PAGE = 200;
// How many lines the list holds; the oldest shown give way.
const LINES = 1000;
const TAIL_MS = 2000;
const FIELDS = ['level', 'source', 'since', 'until', 'contains', 'order'];

const tone = (level) => ({ FATAL: 'bad', ERROR: 'bad', WARN: 'warn', WARNING: 'warn' })[level] ?? 'plain';
const same = (line) => `${line.ts} ${line.source} ${line.text}`;

class NoStore extends Error {}

export class Logs {
  #form = find('logs-form');
  #list = find('logs-lines');
  #cursor = null;
  #asked = 0;
  #tail = null;
  #seen = new Set();

  constructor() {
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#search();
    });
    find('logs-more').addEventListener('click', () => this.#more());
    find('logs-tail').addEventListener('click', () => (this.#tail === null ? this.#follow() : this.#stop()));
  }

  #query(extra) {
    const query = new URLSearchParams();
    for (const name of FIELDS) {
      const value = this.#form.elements[name].value.trim();
      if (value) query.set(name, value);
    }
    for (const [name, value] of Object.entries(extra)) query.set(name, value);
    return query;
  }

  async #get(query) {
    const response = await fetch(`/v1/logs?${query}`, { headers: { Accept: 'application/json' } });
    if (response.status === 404) throw new NoStore();
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error?.message ?? `status ${response.status}`);
    return answer;
  }

  async #run(work) {
    this.#asked += 1;
    const asked = this.#asked;
    mark(this.#list, 'aria-busy', 'true');
    try {
      await work(() => asked === this.#asked);
    } catch (error) {
      if (asked === this.#asked) this.#fail(error);
    } finally {
      mark(this.#list, 'aria-busy', 'false');
    }
  }

  #fail(error) {
    this.#stop();
    const none = error instanceof NoStore;
    say(find('logs-facts'), none ? 'not in this build' : 'no answer');
    find('logs-more').hidden = true;
    find('logs-histogram').hidden = true;
    this.#list.replaceChildren(el('li', { class: 'note' },
      none ? 'This build has no log store.' : badge('bad', '✕', 'no answer'), none ? '' : ` ${error.message}`));
    if (none) for (const control of this.#form.elements) control.disabled = true;
  }

  #search() {
    this.#stop();
    return this.#run(async (current) => {
      const answer = await this.#get(this.#query({ limit: PAGE }));
      if (!current()) return;
      this.#list.replaceChildren();
      this.#seen.clear();
      this.#append(answer);
      const counted = this.#query({ count: 'true', by: 'time' });
      counted.delete('order');
      const spread = await this.#get(counted);
      if (current()) this.#histogram(spread);
    });
  }

  #more() {
    return this.#run(async (current) => {
      const answer = await this.#get(this.#query({ limit: PAGE, cursor: this.#cursor }));
      if (current()) this.#append(answer);
    });
  }

  #append(answer) {
    this.#cursor = answer.cursor;
    find('logs-more').hidden = answer.cursor === null;
    this.#list.append(...answer.lines.map((line) => this.#line(line)));
    while (this.#list.children.length > LINES) this.#list.firstElementChild.remove();
    if (this.#list.children.length === 0) this.#list.append(el('li', { class: 'note' }, 'No line is like this.'));
    this.#facts(answer, plural(answer.lines.length, 'line'));
  }

  #facts({ partitions, blocks_read: blocks }, what) {
    const facts = [what, `${count(partitions.read)} of ${plural(partitions.asked, 'partition')} read`, plural(blocks, 'block')];
    if (partitions.failed.length > 0) facts.push(`${count(partitions.failed.length)} failed: there may be more`);
    say(find('logs-facts'), facts.join(' · '));
  }

  #line(line) {
    return el('li', { 'data-tone': tone(line.level) },
      el('time', { datetime: line.ts }, line.ts.replace('T', ' ').slice(0, 23)),
      el('span', { class: 'level' }, line.level), el('span', { class: 'source' }, line.source),
      el('span', { class: 'text' }, line.text));
  }

  #histogram({ count: total, by }) {
    const figure = find('logs-histogram');
    figure.hidden = by.length === 0;
    if (by.length === 0) return;
    const most = Math.max(...by.map((bar) => bar.count));
    const width = 600 / by.length;
    find('logs-bars').replaceChildren(...by.map((bar, at) => {
      const height = most > 0 ? Math.max(bar.count > 0 ? 1 : 0, (bar.count / most) * 80) : 0;
      return svg('rect', { x: (at * width).toFixed(2), y: (80 - height).toFixed(2), width: Math.max(0.5, width - 1).toFixed(2), height: height.toFixed(2) },
        svg('title', {}, `${bar.time}: ${count(bar.count)}`));
    }));
    say(find('logs-span'), `${plural(total, 'line')}, from ${by[0].time} to ${by.at(-1).time}; at most ${count(most)} in one step`);
  }

  // Asks for the newest again and again, and puts what was not there on top.
  #follow() {
    const button = find('logs-tail');
    mark(button, 'aria-pressed', 'true');
    this.#list.replaceChildren();
    this.#seen.clear();
    find('logs-histogram').hidden = true;
    find('logs-more').hidden = true;
    this.#tail = 0;
    const look = async () => {
      await this.#run(async (current) => {
        const answer = await this.#get(this.#query({ limit: PAGE, order: 'newest' }));
        if (!current() || this.#tail === null) return;
        const fresh = answer.lines.filter((line) => !this.#seen.has(same(line)));
        this.#seen = new Set(answer.lines.map(same));
        this.#list.prepend(...fresh.map((line) => this.#line(line)));
        while (this.#list.children.length > LINES) this.#list.lastElementChild.remove();
        this.#facts(answer, `${plural(fresh.length, 'new line')}`);
      });
      if (this.#tail !== null) this.#tail = setTimeout(look, TAIL_MS);
    };
    look();
  }

  #stop() {
    if (this.#tail === null) return;
    clearTimeout(this.#tail);
    this.#tail = null;
    mark(find('logs-tail'), 'aria-pressed', 'false');
  }
}
