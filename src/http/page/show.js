// How things are written down, and the few helpers that put them on the page. Text goes in as text, never as markup:
// a file's name, a document's words and an error are whatever somebody uploaded.

/** The element with this id. */
export const at = (id) => document.getElementById(id);

/** A new element; properties are set, and what is given as text becomes text. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ''));
  return element;
}

/** Text of a stranger's: apart from what stands around it, so that its writing direction turns nothing else about. */
export const strange = (text) => make('bdi', {}, text);

/** Sets an element's text if it is another, so that nothing is read out again that has not changed. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Says something to who listens to the page. */
export const say = (text) => write(at('said'), text);

const GLYPHS = {
  queued: '○', running: '◐', done: '●', unchanged: '●', skipped: '–', failed: '✕', cancelled: '⊘',
  sending: '↑', waiting: '◷', refused: '✕',
};

/** A state in words, with a sign in front that is not read out. */
export function stateOf(state, more = '') {
  const bad = state === 'failed' || state === 'refused';
  const glyph = make('span', { ariaHidden: 'true', className: 'glyph' }, GLYPHS[state] ?? '·');
  return make('span', { className: bad ? 'state bad' : `state ${state}` }, glyph, more ? `${state} ${more}` : state);
}

/** Whether nothing will come of a document any more unless it is told to. */
export const isOver = (state) => !['queued', 'running'].includes(state);

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat('en', { maximumFractionDigits: 1, minimumFractionDigits: 1 });

/** A count. */
export const count = (number) => whole.format(number ?? 0);

/** A rate per second: tenths where they tell something. */
export const rate = (number) => ((number ?? 0) >= 99.95 || !number ? whole : tenths).format(number ?? 0);

/** A share of one, as a percentage. */
export const percent = (share) => `${whole.format(100 * (share ?? 0))} %`;

/** So many of a thing, the thing in the number that fits. */
export const several = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** Bytes in the unit that fits. */
export function bytes(number) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = number ?? 0;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? whole.format(size) : tenths.format(size)} ${units[unit]}`;
}

/** A moment as a `time`: the clock alone for today, the date with it before. */
export function moment(text) {
  const date = new Date(text ?? NaN);
  if (Number.isNaN(date.getTime())) return make('span', {}, '–');
  const today = date.toDateString() === new Date().toDateString();
  const clock = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
  const day = `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, '0')}-${String(date.getDate()).padStart(2, '0')}`;
  return make('time', { dateTime: date.toISOString(), title: `${day} ${clock}` }, today ? clock : `${day} ${clock.slice(0, 5)}`);
}

/** What to call a document: its file's name, or the end of where it is. */
export function nameOf(shown) {
  return shown.filename || shown.uri?.split('/').filter(Boolean).pop() || shown.id?.slice(0, 12) || 'a document';
}
