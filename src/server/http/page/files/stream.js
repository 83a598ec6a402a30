// The one stream that the page lives on, and whether what stands on the page is still true.

import { find, mark, say } from './dom.js';
import { time } from './format.js';

// Without news for so long, or with news that say the same moment again, the page is stale.
const STALE_MS = 3500;
// A refused stream ends for the browser; this is how soon it is tried again.
const AGAIN_MS = 2000;

export function listen(handlers) {
  const state = { moved: null, last: null, broken: false };
  let source = null;

  const show = () => {
    const node = find('stream');
    const now = Date.now();
    const stale = state.moved === null ? state.broken : state.broken || now - state.moved > STALE_MS;
    document.body.classList.toggle('stale', stale);
    const [tone, sign, word] = stale
      ? ['bad', '✕', state.moved === null
        ? 'no answer yet; trying again'
        : `stale: no news since ${time(state.moved)}`]
      : state.moved === null ? ['plain', '○', 'connecting'] : ['good', '●', 'live'];
    mark(node, 'data-tone', tone);
    say(node.querySelector('.mark'), sign);
    say(node.querySelector('.word'), word);
  };

  const open = () => {
    source = new EventSource('/v1/events');
    source.onerror = () => {
      state.broken = true;
      show();
      if (source.readyState === EventSource.CLOSED) setTimeout(open, AGAIN_MS);
    };
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => {
        const data = JSON.parse(event.data);
        if (name === 'snapshot') {
          state.broken = false;
          if (data.last_update !== state.last) {
            state.last = data.last_update;
            state.moved = Date.now();
          }
          show();
        }
        handle(data);
      });
    }
  };

  open();
  setInterval(show, 500);
}
