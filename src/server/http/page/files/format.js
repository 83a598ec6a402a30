// Numbers as people read them.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

export const count = (value) => (Number.isFinite(value) ? whole.format(value) : '–');

export function rate(value) {
  if (!Number.isFinite(value)) return '–';
  return value >= 1000 ? whole.format(value) : short.format(value);
}

export function bytes(value) {
  if (!Number.isFinite(value)) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${short.format(value)} ${units[at]}`;
}

// From microseconds.
export function took(us) {
  if (!Number.isFinite(us)) return '–';
  if (us < 1000) return `${short.format(us)} µs`;
  return us < 1e6 ? `${short.format(us / 1e3)} ms` : `${short.format(us / 1e6)} s`;
}

export const percent = (share) => `${(share * 100).toFixed(1)} %`;

export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

export const time = (ms) => clock.format(new Date(ms));
