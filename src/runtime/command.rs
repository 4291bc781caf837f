//! Carries commands out: what is said to a run while it runs. Each that changes something is an event.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use docmill_api::SourceItem;
use tokio::sync::mpsc;

use super::node::NodeRuntime;
use super::origin::Origin;
use super::shared::Shared;
use crate::control::Command;
use crate::monitor::{Event, EventKind};

/// Who carries commands out, and on what.
pub(super) struct Controller {
    pub(super) shared: Arc<Shared>,
    /// The stages whose width can change.
    pub(super) gates: Vec<Lever>,
    /// Where documents that are tried again come in, by source.
    pub(super) doors: Vec<(Arc<str>, Arc<Origin>)>,
    pub(super) drain: Duration,
}

/// What turns one stage's width.
pub(super) struct Lever {
    node: Arc<NodeRuntime>,
    /// The way to who starts its workers.
    set: mpsc::Sender<usize>,
    /// The width that was asked for last: it may not be in force yet.
    wanted: usize,
}

impl Lever {
    pub(super) fn new(node: &Arc<NodeRuntime>, set: mpsc::Sender<usize>) -> Self {
        Self { node: Arc::clone(node), set, wanted: node.plan.width.start }
    }
}

impl Controller {
    /// Goes on until the run ends.
    pub(super) async fn carry_out(mut self, mut commands: mpsc::Receiver<Command>) {
        let shared = Arc::clone(&self.shared);
        let (mut until, mut open) = (None, true);
        loop {
            let time_is_up = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = time_is_up => shared.board.abort.cancel(),
                () = shared.winding_down.cancelled(), if until.is_none() => {
                    until = Some(tokio::time::Instant::now() + self.drain);
                }
                command = commands.recv(), if open => match command {
                    Some(Command::Drain) => {
                        if !shared.closing.is_cancelled() {
                            self.note(EventKind::Run, "takes no more documents in and finishes what is in hand");
                        }
                        shared.closing.cancel();
                        until.get_or_insert(tokio::time::Instant::now() + self.drain);
                    }
                    Some(command) => self.obey(command).await,
                    // Nobody can say more; a drain that is under way still has its limit.
                    None => open = false,
                },
            }
            if shared.board.is_aborted() || (!open && until.is_none()) {
                break;
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        let shared = Arc::clone(&self.shared);
        match command {
            Command::SetWidth { stage, width, by, why } => self.set_width(stage, width, by, why).await,
            Command::OrderWorkers { worker, stage, width, by } => self.order_workers(&worker, stage, width, by),
            Command::HandOver { stage, by } => self.hand_over(stage, by),
            Command::Note { kind, stage, by, text } => {
                shared.counters.events.add(Event { kind, stage, by, text, ..Event::default() });
            }
            Command::Retry { documents } => self.retry(documents).await,
            Command::Pause => {
                if !shared.paused.send_replace(true) {
                    self.note(EventKind::Run, "paused: no document is taken in, what is in hand goes on");
                }
            }
            Command::Resume => {
                if shared.paused.send_replace(false) {
                    self.note(EventKind::Run, "goes on");
                }
            }
            Command::Stop => {
                shared.closing.cancel();
                shared.board.abort.cancel();
            }
            // Told apart above: it has a limit of time.
            Command::Drain => {}
        }
    }

    fn note(&self, kind: EventKind, text: &str) {
        let (by, text) = ("run".to_owned(), text.to_owned());
        self.shared.counters.events.add(Event { kind, by, text, ..Event::default() });
    }

    async fn set_width(&mut self, stage: String, width: usize, by: String, why: String) {
        let Some(lever) = self.gates.iter_mut().find(|lever| *lever.node.id == *stage) else { return };
        let (min, max) = lever.node.gate.bounds();
        let after = width.clamp(min, max);
        let before = lever.wanted;
        let by = if by.is_empty() { "another program".to_owned() } else { by };
        if after != width {
            let text = format!("a width of {width} is out of its bounds, {min} to {max}");
            self.shared.counters.events.add(Event {
                kind: EventKind::Note,
                stage: stage.clone(),
                by: by.clone(),
                text,
                ..Event::default()
            });
        }
        // A stage that has ended has no width to change.
        if after != before && lever.set.send(after).await.is_ok() {
            lever.wanted = after;
            let (from, to) = (Some(before), Some(after));
            let event = Event { kind: EventKind::Width, stage, by, text: why, from, to, ..Event::default() };
            self.shared.counters.events.add(event);
        }
    }

    fn order_workers(&self, worker: &str, stage: String, width: usize, by: String) {
        let of = if worker.is_empty() { "all workers".to_owned() } else { format!("worker `{worker}`") };
        let ordered = match &self.shared.fleet {
            Some(workers) => workers.0.order(worker, &stage, width),
            None => Err("this run has no workers on other machines".to_owned()),
        };
        let text = match ordered {
            Ok(()) => format!("width {width} is wanted of {of}"),
            Err(why) => format!("width {width} of {of}: {why}"),
        };
        self.shared.counters.events.add(Event { kind: EventKind::Note, stage, by, text, ..Event::default() });
    }

    fn hand_over(&self, stage: String, by: String) {
        let Some(lever) = self.gates.iter().find(|lever| *lever.node.id == *stage) else { return };
        lever.node.auto.store(true, Relaxed);
        let (kind, text) = (EventKind::HandOver, "its width is the tuner's".to_owned());
        self.shared.counters.events.add(Event { kind, stage, by, text, ..Event::default() });
    }

    /// Has documents tried again: by this run where their source still takes documents in, otherwise by the next.
    async fn retry(&self, documents: Vec<(String, SourceItem)>) {
        let Some(memory) = self.shared.memory.get() else { return };
        if let Err(error) = memory.reopen(documents.iter().map(|(_, item)| item)).await {
            return self.shared.halt(&"engine".into(), error);
        }
        let many = if documents.len() == 1 { "document is" } else { "documents are" };
        self.note(EventKind::Run, &format!("{} {many} tried again", documents.len()));
        for (source, item) in documents {
            let door = self.doors.iter().find(|(id, _)| **id == *source).or(self.doors.first());
            if let Some((_, door)) = door {
                // Where it is closed the document stays open in the ledger, which is what the next run looks at.
                let _ = door.find_from_outside(item);
            }
        }
    }
}
