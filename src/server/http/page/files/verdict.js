// How it is, in words. The node's own verdict decides; this gives it a sign, a word and a colour.

import { find, mark, say } from './dom.js';
import { count, plural } from './format.js';

const LEVELS = {
  good: ['✓', 'Healthy'],
  warn: ['!', 'Attention'],
  bad: ['✕', 'At risk'],
};

export class Verdict {
  #replicas = null;
  #said = '';

  ring(ring) {
    this.#replicas = Math.min(ring.replicas, ring.members.length);
  }

  show({ status }) {
    if (!status) return;
    const { nodes, partitions } = status;
    const level = this.#level(status);
    const [sign, word] = LEVELS[level];
    const section = find('verdict');
    mark(section, 'data-tone', level);
    say(section.querySelector('.sign'), sign);
    say(find('verdict-word'), word);
    say(find('verdict-facts'), this.#facts(status).join(' · '));
    const why = find('verdict-why');
    why.hidden = status.healthy;
    say(why, status.healthy ? '' : this.#why(status.verdict));
    document.title = `${sign} ${word} · ${status.node} · Quorate`;
    // Once for each change, not every second.
    const said = `${word}: ${nodes.alive} of ${nodes.agreed} alive, ${partitions.under_replicated ? 'short of copies' : 'all copies live'}`;
    if (said !== this.#said) {
      this.#said = said;
      say(find('verdict-said'), said);
    }
  }

  #level({ healthy, partitions }) {
    if (partitions.at_risk > 0) return 'bad';
    return healthy ? 'good' : 'warn';
  }

  #facts({ nodes, partitions, hints_pending: hints, verified }) {
    const facts = [`${nodes.alive} of ${nodes.agreed} alive`];
    const all = this.#replicas;
    if (partitions.total === 0) {
      facts.push('no cluster yet');
    } else if (partitions.under_replicated === 0) {
      facts.push(all === null ? 'every key has all its live replicas' : `every key has ${plural(all, 'live replica')}`);
    } else {
      facts.push(`${count(partitions.under_replicated)} of ${count(partitions.total)} partitions are short of live replicas`);
    }
    facts.push(hints === 1 ? '1 hint' : `${count(hints)} hints`);
    if (verified && verified.ranges > 0) {
      facts.push(verified.never === 0
        ? `last verified ${count(verified.oldest_seconds)} s ago`
        : `${count(verified.ranges - verified.never)} of ${count(verified.ranges)} ranges verified`);
    }
    return facts;
  }

  #why(verdict) {
    const text = verdict.replace(/^attention: /, '');
    return text.charAt(0).toUpperCase() + text.slice(1);
  }
}
