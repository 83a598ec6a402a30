// What the charts draw: the last ten minutes, kept by the page. Counters only grow; what is kept is how fast.

const SECONDS = 600;
// Percentiles are over so many samples: of one second alone there would be too few requests.
const WINDOW = 10;
const PARTS = [['p50', 0.5], ['p99', 0.99], ['p999', 0.999]];

// Where a histogram's counts reach a part of all: straight between a bucket's two bounds.
export function quantile(counts, total, bounds, part) {
  if (total <= 0) return null;
  const rank = part * total;
  let sum = 0;
  for (let at = 0; at < counts.length; at += 1) {
    if (counts[at] > 0 && sum + counts[at] >= rank) {
      const low = at === 0 ? 0 : bounds[at - 1];
      return low + (bounds[at] - low) * ((rank - sum) / counts[at]);
    }
    sum += counts[at];
  }
  return bounds[bounds.length - 1];
}

export class History {
  samples = [];
  levels = new Set();
  operations = new Set();
  #bounds = [];
  #last = null;
  #window = [];

  begin(bounds) {
    this.#bounds = bounds;
    this.#last = null;
    this.#window = [];
  }

  add({ last_update: at, metrics, operations, durations }) {
    const before = this.#last;
    if (before && at <= before.at) return;
    this.#last = { at, metrics, operations };
    this.#window.push(durations);
    if (this.#window.length > WINDOW + 1) this.#window.shift();
    const sample = { at, hints_pending: metrics.hints_pending, rates: {}, operations: {}, latency: {} };
    if (before) {
      const seconds = at - before.at;
      const rate = (now, then) => (now === undefined || then > now ? null : (now - (then ?? 0)) / seconds);
      for (const name of Object.keys(metrics)) sample.rates[name] = rate(metrics[name], before.metrics[name]);
      for (const name of Object.keys(operations)) {
        this.operations.add(name);
        sample.operations[name] = rate(operations[name], before.operations[name]);
      }
      for (const level of Object.keys(durations)) {
        this.levels.add(level);
        sample.latency[level] = this.#latency(durations[level], this.#window[0][level]);
      }
    }
    this.samples.push(sample);
    const oldest = at - SECONDS;
    while (this.samples.length > 0 && (this.samples[0].at < oldest || this.samples.length > 2 * SECONDS)) this.samples.shift();
  }

  #latency(now, then) {
    const counts = now.counts.map((number, at) => number - (then?.counts[at] ?? 0));
    const total = now.count - (then?.count ?? 0);
    return Object.fromEntries(PARTS.map(([name, part]) => [name, quantile(counts, total, this.#bounds, part)]));
  }
}
