// What changes, as it changes: the service's event stream, read with `fetch`, since `EventSource` can send no header and a
// key must not be in an address. While there is no stream, whoever listens is told to look for itself.

import { authorization, place, refuse } from './api.js';

/** How long until the stream is tried again, in seconds: twice as long each time, up to the last. */
const AGAIN = [1, 2, 4, 8, 15, 30];
/** How often to look without a stream, in milliseconds. */
const LOOK = 2000;
/** The service sends a comment every 15 s; nothing for three times as long is a connection that died in silence. */
const SILENCE = 45000;

/** Takes a stream apart into events. Give it pieces of text as they come; it calls back with each event's name and data. */
export function parser(event) {
  let rest = '';
  let name = '';
  let data = [];
  const line = (text) => {
    if (text === '') {
      if (data.length > 0) event(name || 'message', data.join('\n'));
      name = '';
      data = [];
      return;
    }
    const colon = text.indexOf(':');
    if (colon === 0) return;
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? '' : text.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') name = value;
    if (field === 'data') data.push(value);
  };
  return (piece) => {
    rest += piece;
    // A carriage return at the very end may be half of a line's end.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    lines.forEach(line);
  };
}

/**
 * Follows the stream until it is stopped, and opens it again when it breaks. `changed(document)` for each event,
 * `look()` when what happened meanwhile may have been missed and every two seconds while there is no stream,
 * `linked(boolean)` when that changes.
 */
export class Events {
  constructor({ changed, look, linked }) {
    Object.assign(this, { changed, look, linked, failures: 0 });
  }

  start() {
    this.stop();
    this.stopped = new AbortController();
    this.follow(this.stopped.signal);
  }

  stop() {
    this.stopped?.abort();
    clearInterval(this.looking);
    this.looking = undefined;
  }

  async follow(signal) {
    while (!signal.aborted) {
      const one = new AbortController();
      const end = () => one.abort();
      signal.addEventListener('abort', end);
      try {
        await this.read(one);
      } catch {
        // Whatever it was, the answer is the same: look, and try again.
      }
      signal.removeEventListener('abort', end);
      clearTimeout(this.silence);
      if (signal.aborted) return;
      this.unlink();
      const wait = AGAIN[Math.min(this.failures, AGAIN.length - 1)];
      this.failures += 1;
      await new Promise((resolve) => setTimeout(resolve, wait * 1000));
    }
  }

  async read(one) {
    const headers = { Accept: 'text/event-stream', ...authorization() };
    const answer = await fetch(place('v1/events'), { headers, cache: 'no-store', signal: one.signal });
    if (answer.status === 401) {
      this.stop();
      refuse();
    }
    if (!answer.ok) return;
    this.link();
    const feed = parser((name, data) => {
      if (name === 'document') this.changed(JSON.parse(data));
    });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      clearTimeout(this.silence);
      this.silence = setTimeout(() => one.abort(), SILENCE);
      const { value, done } = await reader.read();
      if (done) return;
      this.failures = 0;
      feed(value);
    }
  }

  link() {
    clearInterval(this.looking);
    this.looking = undefined;
    this.linked(true);
    this.look();
  }

  unlink() {
    if (this.looking) return;
    this.linked(false);
    this.looking = setInterval(() => this.look(), LOOK);
  }
}
