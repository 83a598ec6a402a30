// Elements. Whatever comes from the cluster is text: it goes through `textContent`, never through markup.

const SVG = 'http://www.w3.org/2000/svg';

export const find = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// el('p', { class: 'x' }, 'text', el('b', {}, 'more'))
export const el = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);

export const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

// Writes only what differs, so that nothing flickers and no selection is lost.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function mark(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

// A sign and a word: never by colour alone.
export const badge = (tone, sign, word) =>
  el('span', { class: 'badge', 'data-tone': tone },
    el('span', { class: 'mark', 'aria-hidden': 'true' }, sign), ' ', word);
