// Speaks to the service: one function for every call, the key, and what an error says. The only file that sees the key.
//
// The key is in session storage alone: it goes with the tab, and no other tab and no address ever has it.

const KEY = 'docmill.key';

/** Tells `wanted` when a call is refused for want of a key, and `given` when there is one that works. */
export const keys = new EventTarget();

let wanted = false;

/** An answer that is no success: problem details (RFC 9457) as an error. `status` 0 stands for no answer at all. */
export class Problem extends Error {
  constructor(status, text, retryAfter) {
    super(text);
    this.status = status;
    this.retryAfter = retryAfter;
  }

  static of(status, body, retryAfter) {
    if (status === 0) return new Problem(0, 'the service gives no answer');
    const known = typeof body === 'object' && body !== null;
    const text = (known && (body.detail || body.title)) || `the service answers ${status}`;
    return new Problem(status, text, retryAfter);
  }
}

/** Where a path of the service is, from where the page itself is: a proxy may serve both below a path of its own. */
export function place(path) {
  return new URL(path, document.baseURI).href;
}

/** The headers that carry the key; none where there is no key. */
export function authorization(key = sessionStorage.getItem(KEY)) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** Whether the page has a key. */
export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}

/** Resolves once calls are not refused for want of a key: at once where none is wanted. */
export function admitted() {
  if (!wanted) return Promise.resolve();
  return new Promise((resolve) => keys.addEventListener('given', resolve, { once: true }));
}

/** Notes that a call was refused: whoever listens asks for a key. Says it once, however many calls are refused. */
export function refuse() {
  if (wanted) return;
  wanted = true;
  keys.dispatchEvent(new Event('wanted'));
}

/** Tries a key, and keeps it if the service takes it. */
export async function give(key) {
  // A header takes no other characters, and `fetch` would say so in words of its own.
  if (!/^[\x21-\x7e]+$/.test(key)) throw new Problem(401, 'a key has no spaces and no letters beyond ASCII');
  const answer = await ask('v1/documents?limit=1', { headers: authorization(key) });
  if (!answer.ok) throw Problem.of(answer.status, await content(answer));
  sessionStorage.setItem(KEY, key);
  wanted = false;
  keys.dispatchEvent(new Event('given'));
}

/** Forgets the key. */
export function forget() {
  sessionStorage.removeItem(KEY);
  refuse();
}

/** Makes a call and gives what it answers, JSON as a value. Throws a `Problem`. */
export async function call(path, { json, ...options } = {}) {
  const headers = { Accept: 'application/json', ...authorization() };
  if (json !== undefined) {
    headers['Content-Type'] = 'application/json';
    options.body = JSON.stringify(json);
  }
  const answer = await ask(path, { ...options, headers });
  if (answer.ok) return content(answer);
  if (answer.status === 401) refuse();
  throw Problem.of(answer.status, await content(answer), seconds(answer.headers.get('Retry-After')));
}

/** A `Retry-After` in seconds: it is a number, or a date; `undefined` where it is neither. */
export function seconds(header) {
  if (header === null || header.trim() === '') return undefined;
  const number = Number(header);
  if (Number.isFinite(number)) return Math.max(0, number);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}

async function ask(path, options) {
  try {
    return await fetch(place(path), { cache: 'no-store', credentials: 'same-origin', ...options });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw Problem.of(0);
  }
}

async function content(answer) {
  try {
    const text = await answer.text();
    return text === '' ? null : JSON.parse(text);
  } catch {
    return null;
  }
}
