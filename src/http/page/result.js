// What became of one document: its result or its error, and what can be done about it.

import { call } from './api.js';
import { at, bytes, count, make, moment, nameOf, say, stateOf, strange, write } from './show.js';
import * as documents from './documents.js';

/** States out of which a document may be tried again. */
const AGAIN = ['failed', 'skipped', 'cancelled'];

let id = null;
let name = '';

/** Puts the buttons to work. */
export function setUp() {
  at('result-close').addEventListener('click', close);
  at('result-retry').addEventListener('click', retry);
  at('result-delete').addEventListener('click', ask);
  at('sure').addEventListener('close', () => {
    if (at('sure').returnValue === 'yes') remove();
  });
}

/** Opens a document and goes there. */
export async function open(wanted) {
  if (id !== wanted) empty();
  id = wanted;
  documents.mark(id);
  write(at('result-note'), '');
  at('result').hidden = false;
  await look();
  at('result-title').focus();
  at('result').scrollIntoView({ block: 'nearest' });
}

/** Asks for the open document again. */
export async function look() {
  if (id === null) return;
  const wanted = id;
  try {
    take(await call(`v1/documents/${wanted}`));
  } catch (error) {
    if (wanted !== id || error.status === 401) return;
    const gone = error.status === 404;
    empty();
    write(at('result-title'), name || 'Document');
    write(at('result-error'), gone ? 'This document is gone.' : `No result: ${error.message}.`);
  }
}

/** Takes what became of a document, if it is the open one. */
export function take(shown) {
  if (shown.id !== id) return;
  name = nameOf(shown);
  at('result-title').replaceChildren(strange(name));
  const stage = shown.state === 'running' && shown.stage ? `in ${shown.stage}` : '';
  at('result-state').replaceChildren(stateOf(shown.state, stage));
  const { result } = shown;
  write(at('result-error'), shown.error ?? '');
  write(at('result-message'), result?.message && result.message !== shown.error ? result.message : '');
  at('result-summary').hidden = !result?.summary;
  write(at('result-summary-text'), result?.summary ?? '');
  at('result-facts').replaceChildren(...facts(shown, result ?? {}).map(([what, value]) =>
    make('div', {}, make('dt', {}, what), make('dd', {}, value))));
  at('result-retry').hidden = !AGAIN.includes(shown.state);
  at('result-delete').hidden = false;
}

function facts(shown, result) {
  const size = (value) => (value ? bytes(value) : undefined);
  const number = (value) => (value === undefined || value === null ? undefined : count(value));
  const all = [
    ['Chunks', number(result.total_chunks)],
    ['Tokens', number(result.token_count)],
    ['Type', result.filetype],
    ['Source code', result.is_code_file === undefined ? undefined : result.is_code_file ? 'yes' : 'no'],
    ['Attempts', number(shown.attempts)],
    ['Memory at most', size(result.peak_bytes)],
    ['Changed', moment(shown.changed)],
    ['Session', shown.session_id && strange(shown.session_id)],
    ['User', shown.user_id && strange(shown.user_id)],
    ['Where', shown.uri && strange(shown.uri)],
    ['Id', make('code', {}, shown.id)],
  ];
  return all.filter(([, value]) => value !== undefined && value !== null && value !== '');
}

function empty() {
  for (const part of ['title', 'error', 'message', 'summary-text', 'note']) write(at(`result-${part}`), '');
  for (const part of ['state', 'facts']) at(`result-${part}`).replaceChildren();
  for (const part of ['summary', 'retry', 'delete']) at(`result-${part}`).hidden = true;
}

function close() {
  const was = id;
  id = null;
  name = '';
  at('result').hidden = true;
  documents.mark(null);
  documents.focus(was);
}

async function retry() {
  const wanted = id;
  at('result-retry').disabled = true;
  try {
    take(await call(`v1/documents/${wanted}/retry`, { method: 'POST' }));
    note('It is tried again.');
    at('result-title').focus();
  } catch (error) {
    const when = error.retryAfter ? ` Try again in ${count(error.retryAfter)} s.` : '';
    note(`Not tried again: ${error.message}.${when}`);
  }
  at('result-retry').disabled = false;
}

function ask() {
  at('sure-text').replaceChildren(strange(name), ': its rows go from the store, and it is found no more.');
  at('sure').returnValue = 'no';
  at('sure').showModal();
}

async function remove() {
  const [wanted, called] = [id, name];
  try {
    await call(`v1/documents/${wanted}`, { method: 'DELETE' });
    say(`${called} is deleted`);
    if (wanted === id) close();
    documents.load();
  } catch (error) {
    note(`Not deleted: ${error.message}.`);
  }
}

function note(text) {
  write(at('result-note'), text);
}
