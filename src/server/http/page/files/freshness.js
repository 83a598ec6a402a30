// How likely a read misses what was just written. The node is asked while this is open, and else not at all.

import { el, find, say } from './dom.js';

const EVERY_MS = 10000;
// As long as the node still measures the ways to the others.
const SOON_MS = 1000;

function chance(share) {
  if (share === null || share === undefined) return '–';
  if (share === 0) return '0';
  return share < 0.0005 ? '< 0.1 %' : `${(share * 100).toFixed(1)} %`;
}

const ms = (value) => (value === null || value === undefined ? '–' : `${Number(value.toPrecision(3))} ms`);

export class Freshness {
  #details = find('freshness-table');
  #timer = null;

  constructor() {
    this.#details.addEventListener('toggle', () => {
      clearTimeout(this.#timer);
      if (this.#details.open) this.#ask();
    });
  }

  async #ask() {
    let next = EVERY_MS;
    try {
      const response = await fetch('/v1/staleness');
      const answer = await response.json();
      if (answer.error) throw new Error(answer.error.message);
      if (answer.sounding) next = SOON_MS;
      this.#show(answer);
    } catch (error) {
      say(find('freshness-verdict'), `No answer: ${error.message}`);
    }
    if (this.#details.open) this.#timer = setTimeout(() => this.#ask(), next);
  }

  #show({ verdict, enough, after_ms: times, predictions }) {
    say(find('freshness-verdict'), verdict);
    this.#details.querySelector('table').hidden = !enough;
    if (!enough) return;
    const head = ['r', 'w', ...times.map((time) => `${time} ms`), '99.9 % fresh after'];
    find('freshness-times').replaceChildren(
      ...head.map((text) => el('th', { scope: 'col', class: 'number' }, text)));
    find('freshness-chances').replaceChildren(...predictions.map(({ r, w, elsewhere }) => {
      const stale = times.map((_, at) => chance(elsewhere?.stale[at]));
      const cells = [r, w, ...stale, ms(elsewhere?.fresh_999_ms)];
      return el('tr', {}, ...cells.map((text) => el('td', { class: 'number' }, String(text))));
    }));
  }
}
