// Puts the page together: asks for a key where one is wanted, starts and stops what looks at the service, and hands each
// change to whoever shows it.

import { call, forget, give, hasKey, keys } from './api.js';
import { at, write } from './show.js';
import { Events } from './events.js';
import * as documents from './documents.js';
import * as live from './live.js';
import * as result from './result.js';
import * as search from './search.js';
import * as uploads from './uploads.js';

const events = new Events({
  changed(shown) {
    for (const part of [uploads, documents, result]) part.take(shown);
  },
  look() {
    for (const part of [uploads, result]) part.look();
    documents.load();
  },
  linked(is) {
    write(at('link'), is ? 'live' : 'no live updates: looking every 2 s');
    at('link').classList.toggle('off', !is);
  },
});

let admitted = false;

function start() {
  admitted = true;
  at('key').hidden = true;
  at('work').hidden = false;
  at('key-forget').hidden = !hasKey();
  resume();
}

/** A page that nobody sees holds no connection: a browser has six for a service, for all its tabs together. */
function resume() {
  if (!admitted || document.hidden) return;
  live.start();
  events.start();
}

function rest() {
  live.stop();
  events.stop();
}

keys.addEventListener('wanted', () => {
  admitted = false;
  rest();
  write(at('key-error'), hasKey() ? 'The service does not take the key that this tab had.' : '');
  write(at('link'), '');
  write(at('run'), '');
  at('work').hidden = true;
  at('key').hidden = false;
  at('key-forget').hidden = true;
  at('key-text').focus();
});

keys.addEventListener('given', () => {
  at('key-text').value = '';
  start();
  at('search-text').focus();
});

at('key-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  write(at('key-error'), '');
  try {
    await give(at('key-text').value.trim());
  } catch (error) {
    write(at('key-error'), error.status === 401 ? 'The service does not take this key.' : `Not tried: ${error.message}.`);
    at('key-text').select();
  }
});

at('key-forget').addEventListener('click', () => {
  // What this key showed goes with it.
  forget();
  location.reload();
});

document.addEventListener('visibilitychange', () => (document.hidden ? rest() : resume()));

uploads.setUp(result.open);
documents.setUp(result.open);
search.setUp(result.open);
result.setUp();

// One call tells whether a key is wanted; whatever else goes wrong, the parts say by themselves.
call('v1/documents?limit=1').then(start, (error) => error.status !== 401 && start());
