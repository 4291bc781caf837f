// The list of documents, a page at a time, and which one is chosen.

import { call } from './api.js';
import { at, count, make, moment, nameOf, stateOf, strange, write } from './show.js';

/** Documents on a page: few enough that a result, below the list, is near the row that it was opened from. */
const LIMIT = 10;
/** The list is asked for again at most so often, in milliseconds, however many events tell that it changed. */
const CALM = 1000;

const rows = new Map();
/** Where the pages up to this one begin: cursors, the first of them none. */
let cursors = [null];
let next = null;
let chosen = null;
let choose = () => {};
let asked = 0;
let calm;

/** Puts the list to work. `show(id)` opens a document's result. */
export function setUp(show) {
  choose = show;
  at('documents-filter').addEventListener('submit', (event) => {
    event.preventDefault();
    first();
  });
  at('documents-state').addEventListener('change', first);
  at('documents-older').addEventListener('click', () => {
    if (next) turn([...cursors, next]);
  });
  at('documents-newer').addEventListener('click', () => {
    if (cursors.length > 1) turn(cursors.slice(0, -1));
  });
}

/** Takes what became of a document: in its row where it has one; else the list is asked for again, soon. */
export function take(shown) {
  const row = rows.get(shown.id);
  row?.show(shown);
  // Under a filter by state, what changes may come or go.
  if (!row || at('documents-state').value) soon();
}

/** Asks for the list again, soon. */
export function soon() {
  calm ??= setTimeout(() => {
    calm = undefined;
    load();
  }, CALM);
}

/** Marks a document as chosen; `null` for none. */
export function mark(id) {
  chosen = id;
  for (const row of rows.values()) row.mark();
}

/** Puts the focus on a document's row, or on the list where it has none. */
export function focus(id) {
  (rows.get(id)?.button ?? at('documents-state')).focus();
}

/** Asks for the page that is shown. */
export async function load() {
  asked += 1;
  const mine = asked;
  const query = new URLSearchParams({ limit: LIMIT });
  const [state, session, after] = [at('documents-state').value, at('documents-session').value.trim(), cursors.at(-1)];
  if (state) query.set('state', state);
  if (session) query.set('session_id', session);
  if (after) query.set('after', after);
  try {
    const page = await call(`v1/documents?${query}`);
    if (mine === asked) show(page, Boolean(state || session));
  } catch (error) {
    if (mine === asked && error.status !== 401) write(at('documents-error'), `No list: ${error.message}.`);
  }
}

function first() {
  turn([null]);
}

function turn(to) {
  cursors = to;
  load();
}

function show(page, filtered) {
  write(at('documents-error'), '');
  next = page.next ?? null;
  const lines = page.documents.map((shown) => {
    if (!rows.has(shown.id)) rows.set(shown.id, new Row(shown.id));
    const row = rows.get(shown.id);
    row.show(shown);
    return row.line;
  });
  place(lines);
  const listed = new Set(page.documents.map((shown) => shown.id));
  for (const id of rows.keys()) if (!listed.has(id)) rows.delete(id);
  const none = page.documents.length === 0;
  at('documents').hidden = none;
  at('documents-none').hidden = !none;
  write(at('documents-none'), filtered ? 'No document is like that.' : 'No documents yet.');
  const from = (cursors.length - 1) * LIMIT;
  write(at('documents-sum'), none ? '' : `${count(from + 1)} to ${count(from + lines.length)} of ${count(page.total)}`);
  at('documents-newer').disabled = cursors.length === 1;
  at('documents-older').disabled = next === null;
  at('documents-pages').hidden = none && cursors.length === 1;
}

/** Brings the lines into order and moves only those that stand elsewhere: a line that is moved loses the focus. */
function place(lines) {
  const body = at('documents-rows');
  const wanted = new Set(lines);
  for (const line of [...body.children]) if (!wanted.has(line)) line.remove();
  const focused = document.activeElement;
  lines.forEach((line, index) => {
    if (body.children[index] !== line) body.insertBefore(line, body.children[index] ?? null);
  });
  if (focused !== document.activeElement && body.contains(focused)) focused.focus({ preventScroll: true });
}

class Row {
  constructor(id) {
    this.id = id;
    this.name = make('bdi');
    this.button = make('button', { type: 'button', className: 'plain' }, this.name);
    this.button.addEventListener('click', () => choose(id));
    this.session = make('span', { className: 'quiet' });
    this.state = make('td');
    this.changed = make('td', { className: 'number' });
    this.line = make('tr', {}, make('th', { scope: 'row' }, this.button, this.session), this.state, this.changed);
    this.mark();
  }

  show(shown) {
    write(this.name, nameOf(shown));
    this.session.replaceChildren(...(shown.session_id ? ['session ', strange(shown.session_id)] : []));
    const stage = shown.state === 'running' && shown.stage ? `(${shown.stage})` : '';
    this.state.replaceChildren(stateOf(shown.state, stage));
    this.changed.replaceChildren(moment(shown.changed));
  }

  mark() {
    this.line.classList.toggle('chosen', this.id === chosen);
    if (this.id === chosen) this.button.setAttribute('aria-current', 'true');
    else this.button.removeAttribute('aria-current');
  }
}
