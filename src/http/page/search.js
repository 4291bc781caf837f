// Search, and its hits in context.

import { call } from './api.js';
import { at, count, make, nameOf, several, strange, write } from './show.js';

let open = () => {};
let running;

/** Puts the form to work. `show(id)` opens a document's result. */
export function setUp(show) {
  open = show;
  at('search').addEventListener('submit', (event) => {
    event.preventDefault();
    search();
  });
}

/**
 * A text with the ranges that match as `mark`s. The service counts in bytes of UTF-8 and a string here in UTF-16, so
 * that the ranges are cut out of the bytes.
 */
export function marked(text, matches) {
  const whole = new TextEncoder().encode(text);
  const cut = (from, to) => new TextDecoder().decode(whole.subarray(from, to));
  const parts = [];
  let done = 0;
  for (const [from, to] of matches) {
    if (from < done || to <= from || to > whole.length) continue;
    if (from > done) parts.push(cut(done, from));
    parts.push(make('mark', {}, cut(from, to)));
    done = to;
  }
  if (done < whole.length) parts.push(cut(done));
  return parts;
}

/** Where in its file a hit is: page and lines, as far as they are known. */
export function whereIs(hit) {
  const known = (value) => value !== null && value !== undefined;
  const parts = [];
  if (known(hit.page)) parts.push(`page ${count(hit.page)}`);
  if (known(hit.line_start)) {
    const several = known(hit.line_end) && hit.line_end !== hit.line_start;
    parts.push(several ? `lines ${count(hit.line_start)}–${count(hit.line_end)}` : `line ${count(hit.line_start)}`);
  }
  if (hit.part === 'summary') parts.push('summary');
  return parts.join(', ');
}

async function search() {
  const question = at('search-text').value.trim();
  if (!question) return;
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  const query = new URLSearchParams({ q: question, k: at('search-count').value, mode: at('search-mode').value });
  const session = at('search-session').value.trim();
  if (session) query.set('session_id', session);
  at('hits').ariaBusy = 'true';
  write(at('search-sum'), 'Searching…');
  try {
    const { hits } = await call(`v1/search?${query}`, { signal });
    at('hits').replaceChildren(...hits.map(item));
    write(at('search-sum'), hits.length === 0 ? 'Nothing found.' : `${several(hits.length, 'hit')} for “${question}”.`);
  } catch (error) {
    if (error.name === 'AbortError') return;
    at('hits').replaceChildren();
    write(at('search-sum'), `No answer: ${error.message}.`);
  }
  at('hits').ariaBusy = 'false';
}

function item(hit) {
  const button = make('button', { type: 'button', className: 'plain' }, strange(nameOf(hit)));
  button.addEventListener('click', () => open(hit.document));
  const where = make('span', { className: 'where' }, whereIs(hit));
  const title = make('h3', {}, button, where);
  // The headings above it, outermost first; the first of them is often the title.
  const above = [hit.title, ...[hit.heading ?? []].flat()];
  const heading = above.filter((text, index) => text && above.indexOf(text) === index).join(' › ');
  const about = make('p', { className: 'quiet' }, heading && strange(heading));
  const snippet = hit.snippet ?? { text: hit.text ?? '', matches: [] };
  const shown = make('p', { className: 'snippet', dir: 'auto' }, ...marked(snippet.text, snippet.matches ?? []));
  const whole = make('details', {}, make('summary', {}, 'Whole passage'), make('pre', { dir: 'auto' }, hit.text ?? ''));
  return make('li', {}, title, heading ? about : null, shown, hit.text ? whole : null);
}
