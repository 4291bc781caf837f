// Stages and queues as they are: the snapshot that the dashboard and the recording show, looked at once a second.

import { call } from './api.js';
import { at, bytes, count, make, percent, rate, strange, write } from './show.js';

/** Milliseconds between two looks. The service makes four snapshots a second; more than one is not to be read. */
const EVERY = 1000;

const rows = new Map();
let timer;
let looks = 0;

/** Begins to look. */
export function start() {
  stop();
  looks += 1;
  look(looks);
}

/** Looks no more. */
export function stop() {
  clearTimeout(timer);
  looks += 1;
}

async function look(mine) {
  try {
    const [snapshot, queue] = await Promise.all([call('v1/snapshot'), call('health/queue').catch(() => null)]);
    if (mine !== looks) return;
    write(at('live-error'), '');
    figures(snapshot, queue);
    stages(snapshot.stages ?? []);
  } catch (error) {
    if (mine !== looks) return;
    // A key that is bound to a user may not see the whole service; asking again changes nothing.
    if (error.status === 403) return closed();
    write(at('live-error'), `No figures: ${error.message}.`);
    if (error.status === 0) write(at('run'), 'no answer');
  }
  timer = setTimeout(() => look(mine), EVERY);
}

function closed() {
  write(at('live-error'), 'Your key does not show the pipeline, only your own documents.');
  at('figures').hidden = true;
  at('stages').hidden = true;
}

function figures(snapshot, queue) {
  at('figures').hidden = false;
  at('stages').hidden = false;
  const { documents = {} } = snapshot;
  write(at('run'), [snapshot.pipeline, snapshot.state].filter(Boolean).join(' · '));
  const full = queue?.state === 'full' ? ' full' : '';
  write(at('queued'), queue ? `${count(queue.length)} of ${count(queue.capacity)}${full}` : '–');
  gauge(at('queued-bar'), queue?.length, queue?.capacity);
  write(at('unfinished'), count(documents.unfinished));
  write(at('done'), count((documents.done ?? 0) + (documents.unchanged ?? 0) + (documents.skipped ?? 0)));
  write(at('failed'), count(documents.failed));
  at('failed').classList.toggle('bad', documents.failed > 0);
  write(at('memory'), `${bytes(snapshot.memory_used)} of ${bytes(snapshot.memory_budget)}`);
  gauge(at('memory-bar'), snapshot.memory_used, snapshot.memory_budget);
}

function gauge(meter, value = 0, most = 0) {
  meter.value = most > 0 ? Math.min(1, value / most) : 0;
}

function stages(list) {
  const known = new Set(list.map((stage) => stage.id));
  for (const [id, row] of rows) {
    if (known.has(id)) continue;
    row.line.remove();
    rows.delete(id);
  }
  for (const stage of list) {
    if (!rows.has(stage.id)) rows.set(stage.id, new Row(stage.id));
    rows.get(stage.id).show(stage);
  }
}

/** One stage's line: made once, then written over, so that neither focus nor a reader's place is lost each second. */
class Row {
  constructor(id) {
    const meter = (label) => make('meter', { min: 0, max: 1, value: 0, ariaLabel: `${label} of ${id}` });
    const cell = (...children) => make('td', {}, ...children);
    this.width = make('td', { className: 'number' });
    this.rate = make('td', { className: 'number' });
    this.queue = make('span', { className: 'number' });
    this.queueBar = meter('Queue');
    this.busy = make('span', { className: 'number' });
    this.busyBar = meter('Busy share');
    this.failed = make('span', { className: 'bad' });
    const name = make('th', { scope: 'row' }, strange(id), this.failed);
    this.line = make('tr', {}, name, this.width, this.rate, cell(this.queueBar, this.queue), cell(this.busyBar, this.busy));
    at('stages-rows').append(this.line);
  }

  show(stage) {
    const { queue = {}, now = {} } = stage;
    const source = stage.role === 'source';
    write(this.width, count(stage.width));
    write(this.rate, rate(source ? now.out : now.in));
    write(this.queue, source ? '–' : `${count(queue.length)} / ${count(queue.capacity)}`);
    this.queueBar.hidden = source;
    gauge(this.queueBar, queue.length, queue.capacity);
    write(this.busy, percent(now.busy));
    gauge(this.busyBar, now.busy, 1);
    write(this.failed, stage.failed > 0 ? `${count(stage.failed)} failed` : '');
  }
}
