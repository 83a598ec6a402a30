// The chaos buttons, where the node was started with --enable-chaos.

import { badge, find } from './dom.js';
import { token } from './demo.js';

const TOLD = {
  kill: 'killed; start it again with `quorate cluster restart`',
  pause: 'stands still for ten seconds',
  partition: 'cut off from the others, for a minute or until it is healed',
  heal: 'joined with the others again',
};

export class Chaos {
  constructor() {
    for (const button of document.querySelectorAll('#chaos [data-harm]')) {
      button.addEventListener('click', () => this.#do(button.dataset.harm));
    }
  }

  offer(enabled) {
    find('chaos').hidden = !enabled;
  }

  async #do(harm) {
    const state = find('chaos-state');
    try {
      const response = await fetch(`/v1/chaos/${harm}`, { method: 'POST', headers: { 'X-Quorate-Token': token() } });
      if (!response.ok) throw new Error((await response.json()).error?.message ?? `status ${response.status}`);
      state.replaceChildren(badge('warn', '◐', TOLD[harm]));
    } catch (error) {
      state.replaceChildren(badge('bad', '✕', error.message));
    }
  }
}
