// Charts of the history, by uPlot: it draws on canvas, so each of them also says its last values in words.

import { el, find, mark, say } from './dom.js';
import { bytes, count, rate, took } from './format.js';

const HEIGHT = 150;
const SECONDS = 600;
// A chart of a few seconds would jump: it begins with a minute.
const SHORTEST = 60;
const COLOURS = 4;

const plain = (name) => (sample) => sample.rates[name] ?? null;

const SIMPLE = [
  {
    title: 'Hints', unit: 'held here now, and a second',
    series: [['held', (s) => s.hints_pending, count], ['kept /s', plain('hints_stored'), rate], ['handed over /s', plain('hints_replayed'), rate]],
  },
  { title: 'Read repairs', unit: 'stale replicas a second', series: [['found', plain('read_repairs'), rate]] },
  {
    title: 'Merkle traffic', unit: 'sent a second to find what differs',
    series: [['sent', plain('antientropy_bytes'), bytes]],
  },
  {
    title: 'Gossip', unit: 'bytes a second',
    series: [['sent', plain('gossip_sent_bytes'), bytes], ['received', plain('gossip_received_bytes'), bytes]],
  },
  { title: 'Log lines', unit: 'ingested a second', series: [['lines', plain('logs_ingested'), rate]], without: 'This build has no log store.' },
];

const OPERATIONS = ['get', 'put', 'scan', 'delete'];

// Where bytes are counted, lines of a chart stand at powers of two.
const POWERS = Array.from({ length: 44 }, (_, at) => 2 ** at);

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

class Chart {
  constructor({ title, unit, series, without, control }) {
    this.series = series;
    this.without = without;
    this.values = series.map(([name], at) =>
      el('span', { class: `value series-${at % COLOURS}` }, el('span', { class: 'swatch', 'aria-hidden': 'true' }), `${name} `, el('b')));
    this.figure = el('div', { class: 'canvas', role: 'img' });
    this.note = el('p', { class: 'empty', hidden: true }, without ?? '');
    this.node = el('article', { class: 'chart' },
      el('div', { class: 'head' }, el('h3', {}, title), el('p', { class: 'unit' }, unit), control ?? null),
      el('p', { class: 'values' }, ...this.values), this.figure, this.note);
    this.title = title;
    this.plot = null;
  }

  // The colours of a canvas are fixed when it is drawn: another scheme needs another one.
  begin() {
    this.plot?.destroy();
    const [line, ink] = [css('--line'), css('--muted')];
    const font = `11px ${css('--font')}`;
    const format = this.series[0][2];
    const axis = { stroke: ink, font, grid: { stroke: line, width: 1 }, ticks: { show: false } };
    this.plot = new uPlot({
      width: Math.max(200, this.figure.clientWidth),
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
      scales: { x: { time: true }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.15 : 1] } },
      axes: [
        { ...axis, size: 26, space: 70, values: (_, ticks) => ticks.map((at) => new Date(at * 1000).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })) },
        { ...axis, size: 62, space: 34, ...(format === bytes ? { incrs: POWERS } : {}), values: (_, ticks) => ticks.map((tick) => format(tick)) },
      ],
      series: [{}, ...this.series.map(([name], at) => ({
        label: name, stroke: css(`--series-${at % COLOURS}`), width: 1.75, points: { show: false }, spanGaps: false,
      }))],
    }, [[], ...this.series.map(() => [])], this.figure);
  }

  show(samples, range) {
    const columns = this.series.map(([, value]) => samples.map(value));
    const empty = this.without !== undefined && columns.every((column) => column.every((value) => value === null));
    this.figure.hidden = empty;
    this.note.hidden = !empty;
    const words = this.series.map(([name, , format], at) => {
      const text = format(columns[at].at(-1) ?? NaN);
      say(this.values[at].querySelector('b'), text);
      return `${name} ${text}`;
    });
    mark(this.figure, 'aria-label', `${this.title}: now ${words.join(', ')}`);
    if (empty) return;
    if (!this.plot) this.begin();
    this.plot.batch(() => {
      this.plot.setData([samples.map((sample) => sample.at), ...columns], false);
      this.plot.setScale('x', range);
    });
  }

  fit() {
    if (this.plot && this.figure.clientWidth > 0) this.plot.setSize({ width: this.figure.clientWidth, height: HEIGHT });
  }
}

export class Charts {
  #history;
  #charts;
  #level = null;
  #select = el('select', { 'aria-label': 'Consistency level' });

  constructor(history) {
    this.#history = history;
    const latency = (part) => (sample) => sample.latency[this.#level]?.[part] ?? null;
    const operations = {
      title: 'Operations', unit: 'a second, coordinated here',
      series: OPERATIONS.map((op) => [op, (sample) => sample.operations[op] ?? null, rate]),
    };
    const durations = {
      title: 'Latency', unit: 'over 10 s, at level', control: this.#select,
      series: [['p50', latency('p50'), took], ['p99', latency('p99'), took], ['p99.9', latency('p999'), took]],
    };
    this.#charts = [operations, durations, ...SIMPLE].map((spec) => new Chart(spec));
    find('charts-all').append(...this.#charts.map((chart) => chart.node));
    this.#select.addEventListener('change', () => {
      this.#level = this.#select.value;
      this.show();
    });
    this.#select.append(el('option', {}, 'no requests yet'));
    this.#select.disabled = true;
    const seen = new ResizeObserver(() => this.#charts.forEach((chart) => chart.fit()));
    seen.observe(find('charts-all'));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.#charts.forEach((chart) => chart.plot && chart.begin());
      this.show();
    });
    document.addEventListener('visibilitychange', () => this.show());
  }

  show() {
    this.#offer();
    const { samples } = this.#history;
    if (document.hidden || samples.length === 0) return;
    const max = samples.at(-1).at;
    const min = Math.min(Math.max(samples[0].at, max - SECONDS), max - SHORTEST);
    this.#charts.forEach((chart) => chart.show(samples, { min, max }));
  }

  // The levels that requests came with, as they come.
  #offer() {
    const levels = [...this.#history.levels].sort();
    if (levels.length === 0 || levels.join() === this.#offered) return;
    this.#offered = levels.join();
    this.#level ??= levels.includes('quorum') ? 'quorum' : levels[0];
    this.#select.disabled = false;
    this.#select.replaceChildren(...levels.map((level) => el('option', { selected: level === this.#level }, level)));
  }

  #offered = '';
}
