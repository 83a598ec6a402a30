// A card for each member, as the node that serves the page knows it.

import { badge, el, find, mark, say } from './dom.js';
import { bytes, count, plural } from './format.js';

export const STATES = {
  alive: ['good', '●', 'alive'],
  suspect: ['warn', '◐', 'suspect'],
  dead: ['bad', '✕', 'dead'],
  left: ['plain', '○', 'left'],
  unknown: ['plain', '?', 'not met'],
};

export const state = (name) => STATES[name] ?? STATES.unknown;

const HEALTH = ['well', 'a little slow', 'slow'];

const FIELDS = ['Zone', 'Address', 'Round trip', 'Incarnation', 'Slots', 'Keys', 'Disk', 'Hints', 'Local health'];

class Card {
  constructor(member) {
    this.name = el('h3');
    this.badge = el('span');
    this.tags = el('p', { class: 'tags' });
    this.values = Object.fromEntries(FIELDS.map((field) => [field, el('dd')]));
    this.rows = Object.fromEntries(FIELDS.map((field) => [field, el('div', {}, el('dt', {}, field), this.values[field])]));
    this.link = el('a', { class: 'own' }, 'Its own page');
    this.node = el('li', { class: 'card', 'data-node': member.name },
      el('div', { class: 'head' }, this.name, this.badge),
      this.tags, el('dl', {}, ...Object.values(this.rows)), this.link);
  }

  show(member, owned, hints) {
    const [tone, sign, word] = state(member.state);
    mark(this.node, 'data-tone', tone);
    say(this.name, member.name);
    if (this.badge.dataset.state !== member.state) {
      const next = badge(tone, sign, word);
      next.dataset.state = member.state;
      this.badge.replaceWith(next);
      this.badge = next;
    }
    say(this.tags, this.#tags(member).join(' · '));
    const values = {
      Zone: member.zone || null,
      Address: member.address,
      'Round trip': member.me ? null : member.round_trip_ms === null ? 'not measured' : `${member.round_trip_ms.toFixed(2)} ms`,
      Incarnation: count(member.incarnation),
      Slots: owned ? count(owned.owned) : null,
      Keys: member.told ? (member.keys === null ? 'being counted' : count(member.keys)) : null,
      Disk: member.told && member.store_bytes !== null ? `${bytes(member.store_bytes)} used, ${bytes(member.free_bytes)} free` : null,
      Hints: this.#hints(member, hints),
      'Local health': member.told && member.local_health !== null
        ? `${member.local_health} of 8: ${HEALTH[Math.min(member.local_health, 2)]}` : null,
    };
    for (const [field, value] of Object.entries(values)) {
      this.rows[field].hidden = value === null;
      say(this.values[field], value ?? '');
    }
    this.link.hidden = member.me || !member.http || member.state === 'dead';
    if (member.http) mark(this.link, 'href', `${location.protocol}//${member.http}/`);
    mark(this.link, 'aria-label', `The page of ${member.name}`);
  }

  #tags(member) {
    const tags = [];
    if (member.me) tags.push('serves this page');
    if (!member.agreed) tags.push('not agreed on');
    if (member.rebuilding) tags.push('rebuilding');
    if (member.to_copy > 0) tags.push(`${plural(member.to_copy, 'slot')} to copy`);
    return tags;
  }

  #hints(member, hints) {
    if (!hints) return null;
    if (member.me) return `${count(hints.pending)} held for others`;
    const owed = hints.owners.find((owner) => owner.owner === member.name);
    return owed ? `${count(owed.pending)} owed to it here` : 'none owed here';
  }
}

export class Nodes {
  #cards = new Map();
  #owned = new Map();

  own(ring) {
    this.#owned = new Map(ring.members.map((member) => [member.id, member]));
  }

  show({ members, hints }) {
    if (!members) return;
    const list = find('nodes-cards');
    const there = new Set(members.map((member) => member.id));
    for (const [id, card] of this.#cards) {
      if (there.has(id)) continue;
      card.node.remove();
      this.#cards.delete(id);
    }
    members.forEach((member, at) => {
      let card = this.#cards.get(member.id);
      if (!card) {
        card = new Card(member);
        this.#cards.set(member.id, card);
      }
      card.show(member, this.#owned.get(member.id), hints);
      if (list.children[at] !== card.node) list.insertBefore(card.node, list.children[at] ?? null);
    });
    const counts = new Map();
    for (const member of members) counts.set(member.state, (counts.get(member.state) ?? 0) + 1);
    say(find('nodes-facts'), [...counts].map(([name, number]) => `${number} ${state(name)[2]}`).join(', '));
  }
}
