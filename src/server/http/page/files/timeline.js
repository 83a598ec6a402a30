// What happened, newest first. The server derives it; it also remembers what was before this page.

import { badge, el, find } from './dom.js';
import { time } from './format.js';

// As many as the server keeps.
const ENTRIES = 256;
const SIGNS = { good: '●', warn: '◐', bad: '✕', plain: '○' };

export class Timeline {
  #list = find('timeline-list');

  begin() {
    this.#list.replaceChildren();
  }

  add(entries) {
    for (const entry of entries) this.#list.prepend(this.#line(entry));
    while (this.#list.children.length > ENTRIES) this.#list.lastElementChild.remove();
  }

  #line({ at, since, what, tone, text }) {
    const when = el('time', { datetime: new Date(at).toISOString() }, time(at));
    const told = since === null ? text : `${text} (nobody looked since ${time(since)})`;
    return el('li', { 'data-tone': tone, 'data-what': what },
      when, badge(tone, SIGNS[tone] ?? SIGNS.plain, what), el('span', { class: 'text' }, told));
  }
}
