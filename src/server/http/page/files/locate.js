// Where one key lives: its preference list, and who holds which version.

import { badge, el, find } from './dom.js';
import { time } from './format.js';
import { state } from './nodes.js';

// How many keys are offered again.
const RECENT = 6;

export class Locate {
  #ring;
  #recent = [];
  #asked = 0;

  constructor(ring) {
    this.#ring = ring;
    find('locate').addEventListener('submit', (event) => {
      event.preventDefault();
      const { bucket, key, sort } = event.target.elements;
      this.#ask({ bucket: bucket.value, key: key.value, sort: sort.value });
    });
  }

  async #ask(item) {
    this.#asked += 1;
    const asked = this.#asked;
    const sort = item.sort ? `?sort=${encodeURIComponent(item.sort)}` : '';
    const path = `/v1/locate/${encodeURIComponent(item.bucket)}/${encodeURIComponent(item.key)}${sort}`;
    let answer;
    try {
      const response = await fetch(path, { headers: { Accept: 'application/json' } });
      answer = await response.json();
      if (!response.ok) throw new Error(answer.error?.message ?? `status ${response.status}`);
    } catch (error) {
      if (asked === this.#asked) this.#fail(error.message);
      return;
    }
    if (asked !== this.#asked) return;
    this.#remember(item);
    this.#show(item, answer);
  }

  #fail(message) {
    find('locate-answer').replaceChildren(el('p', { class: 'note' }, badge('bad', '✕', 'no answer'), ` ${message}`));
  }

  #remember(item) {
    const same = (other) => other.bucket === item.bucket && other.key === item.key && other.sort === item.sort;
    this.#recent = [item, ...this.#recent.filter((other) => !same(other))].slice(0, RECENT);
    find('locate-recent').replaceChildren(...this.#recent.map((recent) => {
      const button = el('button', { type: 'button', class: 'quiet' }, [recent.bucket, recent.key, recent.sort].filter(Boolean).join(' / '));
      button.addEventListener('click', () => this.#ask(recent));
      return el('li', {}, button);
    }));
  }

  #show(item, answer) {
    this.#ring.choose(answer.partition, `${item.bucket} / ${item.key} is in partition ${answer.partition}`);
    // Who holds the same dots holds the same version: each gets a letter.
    const letters = new Map();
    const version = (replica) => {
      const dots = [...replica.dots].sort().join(' ');
      if (!letters.has(dots)) letters.set(dots, String.fromCharCode(65 + (letters.size % 26)));
      return letters.get(dots);
    };
    const rows = answer.replicas.map((replica) => {
      const holds = !replica.answered ? badge('warn', '?', 'did not answer')
        : replica.present ? badge('good', '●', `version ${version(replica)}`)
          : badge('plain', '○', 'nothing');
      return el('tr', {},
        el('th', { scope: 'row' }, replica.node),
        el('td', {}, replica.role),
        el('td', {}, badge(...state(this.#ring.is(replica.node)))),
        el('td', {}, holds),
        el('td', { class: 'dots' }, replica.dots.join(' ') || '–'),
        el('td', {}, replica.stands_in_for.join(', ') || '–'));
    });
    const different = letters.size > 1
      ? badge('warn', '!', `${letters.size} different versions are held`)
      : letters.size === 1 ? badge('good', '✓', 'everybody who holds it holds the same') : badge('plain', '○', 'nobody holds it');
    const columns = ['Node', 'Role', 'State', 'Holds', 'Dots', 'Stands in for'];
    find('locate-answer').replaceChildren(
      el('p', {}, different, el('span', { class: 'aside' }, ` at ${time(Date.now())}`)),
      el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Replicas of the key' },
        el('table', {},
          el('thead', {}, el('tr', {}, ...columns.map((name) => el('th', { scope: 'col' }, name)))),
          el('tbody', {}, ...rows))));
  }
}
