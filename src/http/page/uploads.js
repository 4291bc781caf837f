// Files on their way in: each a POST of its own, a few at once. A full service says `503` and when to come again; the
// file then waits, and says so. A file whose answer got lost is sent again under the same idempotency key, so that it is
// taken once.

import { Problem, admitted, authorization, call, place, refuse, seconds } from './api.js';
import { at, bytes, count, isOver, make, say, several, stateOf, strange, write } from './show.js';

/** A browser opens six connections to one host: one is for events, two for what else the page asks. */
const AT_ONCE = 3;
/** How often a file is sent again that got no answer at all. */
const ATTEMPTS = 5;
/** How long to wait where a refusal does not say, in seconds. */
const PATIENCE = 5;
/** Of how many documents the last event is remembered. */
const REMEMBERED = 1000;

const uploads = new Set();
const line = [];
/** The last event of each document, by id: a small one may be done before the answer to its upload is here. */
const latest = new Map();
let workers = 0;
/** Before this moment nothing is sent: the service said so to one file, and it holds for all. */
let notBefore = 0;
/** Opens a document's result. */
let open = () => {};

/** Puts the file input, the place to drop on, and the list to work. `show(id)` opens a document's result. */
export function setUp(show) {
  open = show;
  const input = at('files');
  const drop = at('drop');
  input.addEventListener('change', () => {
    add(input.files);
    // So that the same file may be chosen again.
    input.value = '';
  });
  let inside = 0;
  const over = (by) => {
    inside = Math.max(0, inside + by);
    drop.classList.toggle('over', inside > 0);
  };
  drop.addEventListener('dragenter', () => over(1));
  drop.addEventListener('dragleave', () => over(-1));
  drop.addEventListener('drop', (event) => {
    over(-inside);
    add(event.dataTransfer.files);
  });
  // A file that is dropped beside the place would otherwise be opened in the page's stead.
  for (const kind of ['dragover', 'drop']) window.addEventListener(kind, (event) => event.preventDefault());
  at('uploads-clear').addEventListener('click', clear);
  window.addEventListener('beforeunload', (event) => {
    if ([...uploads].some((upload) => upload.isOnItsWay())) event.preventDefault();
  });
  setInterval(sum, 1000);
}

/** Takes what became of a document. */
export function take(shown) {
  latest.delete(shown.id);
  latest.set(shown.id, shown);
  if (latest.size > REMEMBERED) latest.delete(latest.keys().next().value);
  for (const upload of uploads) {
    if (upload.id === shown.id) upload.follow(shown);
  }
}

/** Asks what became of the documents that are under way: for when no events come. */
export async function look() {
  const open = [...uploads].filter((upload) => upload.id && !isOver(upload.state)).slice(0, 20);
  for (const upload of open) {
    try {
      take(await call(`v1/documents/${upload.id}`));
    } catch (error) {
      if (error.status === 404) upload.set('cancelled');
    }
  }
}

function add(files) {
  const session = at('session').value.trim();
  for (const file of files) {
    const upload = new Upload(file, session);
    uploads.add(upload);
    line.push(upload);
    at('uploads-list').append(upload.row);
  }
  at('uploads').hidden = uploads.size === 0;
  sum();
  while (workers < AT_ONCE && line.length > 0) work();
}

async function work() {
  workers += 1;
  while (line.length > 0) await line.shift().deliver();
  workers -= 1;
}

function clear() {
  for (const upload of uploads) {
    if (upload.isOnItsWay() || (upload.id && !isOver(upload.state))) continue;
    upload.row.remove();
    uploads.delete(upload);
  }
  at('uploads').hidden = uploads.size === 0;
  at('files').focus();
}

function sum() {
  if (uploads.size === 0) return;
  const all = [...uploads];
  const ended = (...states) => all.filter((upload) => states.includes(upload.state)).length;
  const parts = [[ended('done', 'unchanged', 'skipped'), 'done'], [ended('waiting'), 'waiting'],
    [ended('refused', 'failed'), 'failed']];
  const told = parts.filter(([number]) => number > 0).map(([number, what]) => `${count(number)} ${what}`);
  write(at('uploads-sum'), [several(uploads.size, 'file'), ...told].join(', '));
}

/** One file. Its state is one of its own until the service has it, and then the document's. */
class Upload {
  constructor(file, session) {
    Object.assign(this, { file, session, key: random(), failures: 0 });
    this.label = make('span', { className: 'upload-state' });
    this.bar = make('progress', { max: 1, value: 0, hidden: true, ariaLabel: `Sent of ${file.name}` });
    this.why = make('span', { className: 'upload-why' });
    this.button = make('button', { type: 'button' });
    this.button.addEventListener('click', () => (this.id ? open(this.id) : this.cancel()));
    const name = make('span', { className: 'upload-name' }, strange(file.name));
    const size = make('span', { className: 'quiet number' }, bytes(file.size));
    this.row = make('li', {}, name, size, this.label, this.button, this.bar, this.why);
    this.set('waiting', 'for its turn');
  }

  isOnItsWay() {
    return !this.id && ['waiting', 'sending'].includes(this.state);
  }

  set(state, more = '', why = '') {
    if (this.shown !== `${state} ${more}`) this.label.replaceChildren(stateOf(state, more));
    this.shown = `${state} ${more}`;
    this.state = state;
    this.bar.hidden = state !== 'sending';
    write(this.why, why);
    this.button.hidden = !this.id && !this.isOnItsWay();
    write(this.button, this.id ? 'Result' : 'Cancel');
    this.button.ariaLabel = this.id ? `Result of ${this.file.name}` : `Cancel ${this.file.name}`;
  }

  cancel() {
    this.set('cancelled');
    this.request?.abort();
  }

  follow(shown) {
    const more = shown.state === 'running' && shown.stage ? `(${shown.stage})` : '';
    const over = isOver(shown.state) && shown.state !== this.state;
    this.set(shown.state, more, shown.error ?? '');
    if (over) say(`${this.file.name}: ${shown.state}`);
  }

  /** Sends the file until it is taken, refused or cancelled. */
  async deliver() {
    try {
      // A directory that was dropped looks like a file, and so does one that is gone.
      await this.file.slice(0, 1).arrayBuffer();
    } catch {
      this.set('refused', '', 'cannot be read: a directory, or a file that is gone');
      return;
    }
    while (this.isOnItsWay()) {
      await this.turn();
      if (!this.isOnItsWay()) return;
      this.set('sending');
      const answer = await this.send();
      if (this.state === 'cancelled') return;
      this.settle(answer);
    }
  }

  /** Waits until the page is admitted and the service wants to hear of it again; counts the seconds down. */
  async turn() {
    await admitted();
    for (;;) {
      const left = Math.ceil((notBefore - Date.now()) / 1000);
      if (left <= 0 || this.state === 'cancelled') return;
      this.set('waiting', `(${several(left, 'second')})`, this.waits);
      await new Promise((resolve) => setTimeout(resolve, Math.min(1000, notBefore - Date.now() + 1)));
    }
  }

  settle({ status, body, after }) {
    if (status >= 200 && status < 300 && body?.id) {
      this.id = body.id;
      const event = latest.get(body.id);
      this.follow(event && Date.parse(event.changed) >= Date.parse(body.changed) ? event : body);
    } else if (status === 401) {
      this.set('waiting', 'for a key');
      refuse();
    } else if (status === 503 || status === 429 || status === 409) {
      // 409: the same file's first attempt is still being taken in.
      this.waits = status === 409 ? 'its first attempt is still under way' : 'the service is full: tried again then';
      this.wait(after ?? (status === 409 ? 1 : PATIENCE));
    } else if (status === 0 && this.failures < ATTEMPTS) {
      this.failures += 1;
      this.waits = 'no answer: tried again then';
      this.wait(2 ** this.failures);
    } else {
      this.set('refused', '', Problem.of(status, body).message);
      say(`${this.file.name} was refused: ${Problem.of(status, body).message}`);
    }
  }

  wait(time) {
    // Up to a fifth more, so that several pages do not all come again at once.
    notBefore = Math.max(notBefore, Date.now() + 1000 * time * (1 + Math.random() / 5));
    this.set('waiting', '', this.waits);
  }

  /** One attempt. An `XMLHttpRequest`, since `fetch` does not say how much of a body is sent. */
  send() {
    const form = new FormData();
    if (this.session) form.append('session_id', this.session);
    form.append('file', this.file, this.file.name);
    const request = new XMLHttpRequest();
    this.request = request;
    return new Promise((resolve) => {
      request.upload.addEventListener('progress', (event) => {
        if (event.lengthComputable) this.bar.value = event.loaded / event.total;
      });
      // Also after an error or an abort, whose status is 0.
      request.addEventListener('loadend', () => {
        resolve({ status: request.status, body: request.response, after: seconds(request.getResponseHeader('Retry-After')) });
      });
      request.open('POST', place('v1/documents'));
      request.responseType = 'json';
      const headers = { Accept: 'application/json', 'Idempotency-Key': this.key, ...authorization() };
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      request.send(form);
    });
  }
}

/** `randomUUID` is there only where the page comes by https or from this machine. */
function random() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
