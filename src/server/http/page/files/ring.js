// The ring: one band for each place in a preference list, cut into arcs by owner, in a few strokes.
//
//   outermost band: first owners          angle 0, at the top: partition 0
//   innermost band: last owners           hatched: that owner is not alive; the rim: one of them is not

import { badge, el, find, mark, say, svg } from './dom.js';
import { count, percent, plural } from './format.js';
import { state } from './nodes.js';

const CENTRE = 200;
const OUTER = 176;
const INNER = 92;
const GAP = 4;
const RIM = 182;
// As many colours as the style knows; with more members they come again, and the table tells who is who.
const COLOURS = 8;

const colour = (at) => `owner-${at % COLOURS}`;

// n2 before n10.
const byName = new Intl.Collator('en', { numeric: true }).compare;

const point = (radius, turn) => {
  const angle = turn * 2 * Math.PI;
  return `${(CENTRE + radius * Math.sin(angle)).toFixed(2)} ${(CENTRE - radius * Math.cos(angle)).toFixed(2)}`;
};

// From one part of a turn to another; in two pieces where one would be ambiguous.
function arc(radius, from, to) {
  const middle = (from + to) / 2;
  const piece = (a, b) => `M${point(radius, a)}A${radius} ${radius} 0 0 1 ${point(radius, b)}`;
  return to - from > 0.45 ? piece(from, middle) + piece(middle, to) : piece(from, to);
}

export class Ring {
  #ring = null;
  #live = new Map();
  #picture = find('ring-picture');
  #strokes = [];
  #chosen = null;
  #listed = false;

  constructor() {
    this.#picture.addEventListener('click', (event) => this.#click(event));
    this.#picture.addEventListener('keydown', (event) => this.#key(event));
    find('ring-table').addEventListener('toggle', () => this.#list());
  }

  draw(ring) {
    this.#ring = ring;
    const names = ring.members.map((member) => member.name).sort(byName);
    const shade = (member) => colour(names.indexOf(member.name));
    this.#listed = false;
    const bands = Math.max(1, ...ring.arcs.map(([, , owners]) => owners.length));
    const width = (OUTER - INNER - GAP * (bands - 1)) / bands;
    const radius = (band) => OUTER - width / 2 - band * (width + GAP);
    const paths = new Map();
    const put = (band, owner, from, to) => {
      const key = `${band} ${owner}`;
      if (!paths.has(key)) paths.set(key, { band, owner, d: '' });
      paths.get(key).d += arc(radius(band), from / ring.partitions, to / ring.partitions);
    };
    for (let band = 0; band < bands; band += 1) {
      // Neighbours that differ in other places of their lists only are one arc here.
      let run = null;
      for (const [from, length, owners] of ring.arcs) {
        const owner = owners[band];
        if (run && run.owner === owner) {
          run.to = from + length;
        } else {
          if (run && run.owner !== undefined) put(band, run.owner, run.from, run.to);
          run = { owner, from, to: from + length };
        }
      }
      if (run && run.owner !== undefined) put(band, run.owner, run.from, run.to);
    }
    this.#strokes = [...paths.values()].map(({ band, owner, d }) => {
      const attributes = { d, 'stroke-width': width.toFixed(2), fill: 'none' };
      const { name } = ring.members[owner];
      const line = svg('path', { ...attributes, class: `arc ${shade(ring.members[owner])}` });
      const hatch = svg('path', { ...attributes, class: 'hatched', stroke: 'url(#hatch)' });
      return { name, band, line, hatch };
    });
    this.#picture.replaceChildren(
      svg('defs', {},
        svg('pattern', { id: 'hatch', width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
          svg('rect', { width: 6, height: 6, class: 'hatch-ground' }),
          svg('rect', { width: 2.5, height: 6, class: 'hatch-line' }))),
      ...this.#strokes.flatMap(({ line, hatch }) => [line, hatch]),
      svg('path', { class: 'rim', fill: 'none' }),
      svg('g', { class: 'chosen-mark' }),
      svg('text', { class: 'ring-number', x: CENTRE, y: CENTRE - 4, 'text-anchor': 'middle' }, count(ring.partitions)),
      svg('text', { class: 'ring-words', x: CENTRE, y: CENTRE + 20, 'text-anchor': 'middle' }, 'partitions'));
    mark(this.#picture, 'aria-valuemax', String(Math.max(0, ring.partitions - 1)));
    const members = [...ring.members].sort((a, b) => byName(a.name, b.name));
    find('ring-legend').replaceChildren(...members.map((member) =>
      el('li', {}, el('span', { class: `swatch ${shade(member)}`, 'aria-hidden': 'true' }), member.name,
        el('span', { class: 'number' }, percent(member.share)))));
    const facts = [`epoch ${ring.epoch}`, plural(ring.replicas, 'replica')];
    if (ring.each > 1) facts.push(`one drawn of every ${ring.each}`);
    if (ring.change) facts.push(ring.change.words ?? 'owners are changing');
    say(find('ring-facts'), facts.join(' · '));
    if (this.#chosen !== null && this.#chosen < ring.partitions) this.choose(this.#chosen);
    this.#shade();
    this.#list();
  }

  // Who is alive.
  states(members) {
    if (!members) return;
    const states = new Map(members.filter((m) => m.agreed).map((m) => [m.name, m.state]));
    const same = states.size === this.#live.size && [...states].every(([name, is]) => this.#live.get(name) === is);
    if (same) return;
    this.#live = states;
    this.#listed = false;
    this.#shade();
    this.#list();
    if (this.#chosen !== null) this.choose(this.#chosen);
  }

  is(name) {
    return this.#live.get(name) ?? 'unknown';
  }

  // A partition, and whose it is.
  choose(partition, label = null) {
    const ring = this.#ring;
    if (!ring || ring.partitions === 0) return;
    this.#chosen = partition;
    const owners = this.#owners(partition);
    const words = owners.map((name) => `${name} (${state(this.is(name))[2]})`).join(', ');
    const text = `${label ?? `Partition ${partition}`}: ${words || 'nobody'}`;
    say(find('ring-chosen'), text);
    mark(this.#picture, 'aria-valuenow', String(partition));
    mark(this.#picture, 'aria-valuetext', text);
    const turn = (partition + 0.5) / ring.partitions;
    const group = this.#picture.querySelector('.chosen-mark');
    group.replaceChildren(
      svg('path', { class: 'needle', d: `M${point(INNER - 10, turn)}L${point(OUTER + 8, turn)}` }),
      svg('circle', { class: 'needle-head', r: 5, cx: point(OUTER + 13, turn).split(' ')[0], cy: point(OUTER + 13, turn).split(' ')[1] }));
  }

  #isLive(name) {
    return this.is(name) === 'alive' || this.is(name) === 'suspect';
  }

  #owners(partition) {
    const found = this.#ring.arcs.find(([from, length]) => from <= partition && partition < from + length);
    return found ? found[2].map((at) => this.#ring.members[at].name) : [];
  }

  #shade() {
    for (const { name, line, hatch } of this.#strokes) {
      const away = this.#live.size > 0 && !this.#isLive(name);
      line.classList.toggle('away', away);
      hatch.classList.toggle('shown', away);
    }
    const ring = this.#ring;
    if (!ring) return;
    // Where anybody of the owners is away, the rim says so: a hatched arc of one partition is but a dot.
    const away = ring.members.map((member) => this.#live.size > 0 && !this.#isLive(member.name));
    const short = ring.arcs.filter(([, , owners]) => owners.some((at) => away[at]));
    const pieces = short.map(([from, length]) => arc(RIM, from / ring.partitions, (from + length) / ring.partitions));
    mark(this.#picture.querySelector('.rim'), 'd', pieces.join(''));
  }

  // The table twin: rows only while somebody looks.
  #list() {
    const ring = this.#ring;
    if (!ring || this.#listed || !find('ring-table').open) return;
    this.#listed = true;
    find('ring-shares').replaceChildren(...[...ring.members].sort((a, b) => byName(a.name, b.name)).map((member) =>
      el('tr', {}, el('th', { scope: 'row' }, member.name), el('td', {}, member.zone || '–'),
        el('td', {}, badge(...state(this.is(member.name)))),
        el('td', { class: 'number' }, count(member.owned)), el('td', { class: 'number' }, percent(member.share)))));
    find('ring-arcs').replaceChildren(...ring.arcs.map(([from, length, owners]) => {
      const names = owners.map((at) => ring.members[at].name);
      const live = names.filter((name) => this.#isLive(name)).length;
      return el('tr', { class: live < names.length ? 'short' : null },
        el('th', { scope: 'row' }, length === 1 ? `${from}` : `${from} to ${from + length - 1}`),
        el('td', {}, names.join(', ')), el('td', {}, `${live} of ${names.length}`));
    }));
  }

  #click(event) {
    if (!this.#ring) return;
    const box = this.#picture.getBoundingClientRect();
    const x = event.clientX - box.left - box.width / 2;
    const y = event.clientY - box.top - box.height / 2;
    const turn = (Math.atan2(x, -y) / (2 * Math.PI) + 1) % 1;
    this.choose(Math.min(this.#ring.partitions - 1, Math.floor(turn * this.#ring.partitions)));
  }

  #key(event) {
    const total = this.#ring?.partitions ?? 0;
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 64, PageDown: -64 };
    const at = this.#chosen ?? 0;
    let next = null;
    if (event.key in steps) next = (at + steps[event.key] + total) % total;
    if (event.key === 'Home') next = 0;
    if (event.key === 'End') next = total - 1;
    if (next === null || total === 0) return;
    event.preventDefault();
    this.choose(next);
  }
}
