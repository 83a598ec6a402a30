// Run Demo: what the node tells of its own failure and mending, as it happens.

import { badge, el, find, mark } from './dom.js';
import { count } from './format.js';

export const token = () => document.querySelector('meta[name="quorate-token"]').content;
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

export class Demo {
  #button = find('demo-run');
  #list = find('demo-acts');
  #save = find('demo-save');
  #act = null;
  #transcript = [];
  #address = null;

  constructor() {
    this.#button.addEventListener('click', () => this.#run());
  }

  // What a run raises, as the node tells it.
  figures({ ingested, repairs_completed: repairs }) {
    const figure = (name, value) => el('b', { 'data-figure': name }, count(value));
    find('demo-figures').replaceChildren(
      figure('ingested', ingested), ' ingested · ', figure('repairs_completed', repairs), ' repairs completed');
  }

  async #run() {
    this.#button.disabled = true;
    mark(this.#list, 'aria-busy', 'true');
    this.#list.replaceChildren();
    this.#list.hidden = false;
    this.#save.hidden = true;
    this.#act = null;
    this.#transcript = [`Quorate demo, ${new Date().toISOString()}, ${location.host}`, ''];
    this.#state('plain', '○', 'running');
    try {
      const response = await fetch('/v1/demo', { method: 'POST', headers: { 'X-Quorate-Token': token() } });
      if (!response.ok) throw new Error((await response.json()).error?.message ?? `status ${response.status}`);
      if (!(await this.#read(response.body))) throw new Error('the node stopped telling before the end');
    } catch (error) {
      this.#end(false, error.message);
    } finally {
      this.#button.disabled = false;
      mark(this.#list, 'aria-busy', 'false');
      this.#offer();
    }
  }

  // One line of JSON at a time; true when the last one said that it is done.
  async #read(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let [rest, done] = ['', false];
    for (;;) {
      const { value, done: over } = await reader.read();
      if (over) return done;
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      for (const line of lines) done = this.#tell(JSON.parse(line)) || done;
    }
  }

  #tell(line) {
    if (line.act !== undefined) this.#begin(line);
    else if (line.claim !== undefined) this.#claim(line);
    else if (line.say !== undefined) this.#say(line.say);
    else if (line.done !== undefined) {
      this.#end(line.done, line.text ?? (line.done ? `${line.claims} claims hold, in ${seconds(line.ms)}` : 'a claim does not hold'));
      return true;
    }
    return false;
  }

  #begin({ act, text, ms }) {
    const facts = el('ul', { class: 'claims' });
    this.#act = facts;
    this.#list.append(el('li', {}, el('h3', {}, act), el('p', { class: 'aside' }, text), facts));
    this.#transcript.push(`[${seconds(ms)}] ${act}`, `    ${text}`);
  }

  #claim({ claim, ok, text, ms }) {
    this.#act?.append(el('li', { 'data-claim': ok ? 'ok' : 'fail' },
      ok ? badge('good', '✓', 'holds') : badge('bad', '✕', 'FAILS'), ' ', claim, el('span', { class: 'aside' }, ` ${text}`)));
    this.#transcript.push(`    ${ok ? 'ok  ' : 'FAIL'} ${claim}: ${text} (${seconds(ms)})`);
  }

  #say(text) {
    this.#act?.append(el('li', { class: 'aside' }, text));
    this.#transcript.push(`         ${text}`);
  }

  #state(tone, sign, words) {
    find('demo-state').replaceChildren(badge(tone, sign, words));
  }

  #end(ok, words) {
    this.#state(ok ? 'good' : 'bad', ok ? '✓' : '✕', words);
    mark(find('demo'), 'data-ended', String(Number(find('demo').getAttribute('data-ended')) + 1));
    this.#transcript.push('', `${ok ? 'ok' : 'FAIL'}: ${words}`);
  }

  #offer() {
    if (this.#address) URL.revokeObjectURL(this.#address);
    this.#address = URL.createObjectURL(new Blob([this.#transcript.join('\n'), '\n'], { type: 'text/plain' }));
    this.#save.setAttribute('href', this.#address);
    this.#save.hidden = false;
  }
}
