//! Conducts a load test while its run goes on: sets places at the beginning of a step, marks what was reached at its middle
//! and its end, and has the run end after the last.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use docmill_api::async_trait;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;

use super::super::carry_out::{Begun, Started};
use crate::control::{Command, Pace};
use crate::load::measure::{Mark, Meter, Results};
use crate::load::places::Places;
use crate::load::profile::{Clock, Step};
use crate::monitor::{Snapshot, host_use};
use crate::runtime::View;

/// The pace of a clock.
#[derive(Debug)]
pub(super) struct Paced(pub(super) Arc<Clock>);

#[async_trait]
impl Pace for Paced {
    async fn turn(&self) {
        self.0.turn().await;
    }
}

/// Conducts a test.
pub(super) struct Conductor {
    clock: Arc<Clock>,
    places: Arc<Places>,
    notes: Arc<Mutex<Notes>>,
}

/// What is noted while the run goes on.
#[derive(Default)]
struct Notes {
    meter: Meter,
    told_to_end: bool,
}

/// How often it is looked whether all documents have ended: a step that lasts until then is measured as exactly.
const LOOK: Duration = Duration::from_millis(50);

impl Conductor {
    /// Prepares for a test.
    pub(super) fn new(clock: Arc<Clock>) -> Self {
        let most = clock.profile().most_at_once();
        let first = clock.profile().steps().first().and_then(|step| step.at_once).unwrap_or(most);
        Self { clock, places: Arc::new(Places::new(most, first)), notes: Arc::default() }
    }

    /// Where the run takes its places from.
    pub(super) fn places(&self) -> Arc<Semaphore> {
        self.places.semaphore()
    }

    /// What is done once the run has begun: conducts it, beside it.
    pub(super) fn begin(&self) -> Begun {
        let (clock, places, notes) = (Arc::clone(&self.clock), Arc::clone(&self.places), Arc::clone(&self.notes));
        Box::new(move |Started { view, commands, .. }| {
            let published = view.published();
            let run = Conducted { clock, places, notes, view, commands, published };
            tokio::spawn(run.conduct());
            None
        })
    }

    /// What was measured, once the run has ended; and whether it ended because the last step was over.
    pub(super) fn finish(self, view: &View) -> (Results, bool) {
        let Notes { meter, told_to_end } = std::mem::take(&mut *noting(&self.notes));
        (meter.finish(&mark(view)), told_to_end)
    }
}

fn noting(notes: &Mutex<Notes>) -> MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

fn mark(view: &View) -> Mark {
    let used = host_use();
    let memory = used.rss_bytes + used.children_rss_bytes;
    Mark { snapshot: view.snapshot(), times: view.document_times(), cpu_seconds: used.cpu_seconds, memory }
}

/// A run that is conducted.
struct Conducted {
    clock: Arc<Clock>,
    places: Arc<Places>,
    notes: Arc<Mutex<Notes>>,
    view: View,
    commands: mpsc::Sender<Command>,
    published: watch::Receiver<Arc<Snapshot>>,
}

/// The run has ended.
struct Ended;

impl Conducted {
    async fn conduct(mut self) {
        if self.steps().await.is_ok() {
            noting(&self.notes).told_to_end = true;
            // A run that has just ended takes no command, and needs none.
            let _ = self.commands.send(Command::Drain).await;
        }
        while self.look().await.is_ok() {}
    }

    /// Goes through the steps; ends with `Ok` where all of them had their time.
    async fn steps(&mut self) -> Result<(), Ended> {
        let mut at = self.clock.begin();
        let clock = Arc::clone(&self.clock);
        for step in clock.profile().steps() {
            self.set_places(step);
            noting(&self.notes).meter.begin(*step, mark(&self.view));
            let Some(lasts) = step.lasts else { return self.until(None).await };
            self.until(Some(at + lasts / 2)).await?;
            noting(&self.notes).meter.half(mark(&self.view));
            at += lasts;
            self.until(Some(at)).await?;
        }
        self.over();
        Ok(())
    }

    /// Where there become fewer, that takes as long as the documents do that are under way; the step begins meanwhile.
    fn set_places(&self, step: &Step) {
        let places = Arc::clone(&self.places);
        let number = step.at_once.unwrap_or(self.clock.profile().most_at_once());
        tokio::spawn(async move { places.set(number).await });
    }

    fn over(&self) {
        noting(&self.notes).meter.over(mark(&self.view));
    }

    /// Waits for a moment, or for the last document; for that alone where no moment is given.
    async fn until(&mut self, moment: Option<Instant>) -> Result<(), Ended> {
        loop {
            let last = self.view.snapshot();
            if last.listed && last.documents.unfinished == 0 {
                self.over();
                return Err(Ended);
            }
            let now = Instant::now();
            if moment.is_some_and(|moment| now >= moment) {
                return Ok(());
            }
            let pause = moment.map_or(now + LOOK, |moment| moment.min(now + LOOK));
            tokio::select! {
                () = tokio::time::sleep_until(pause) => {}
                looked = self.look() => looked?,
            }
        }
    }

    /// Waits for the next snapshot and notes what is in it.
    async fn look(&mut self) -> Result<(), Ended> {
        self.published.changed().await.map_err(|_| Ended)?;
        let snapshot = Arc::clone(&self.published.borrow_and_update());
        noting(&self.notes).meter.look(snapshot.host.rss_bytes + snapshot.host.children_rss_bytes);
        if snapshot.state.is_over() { Err(Ended) } else { Ok(()) }
    }
}
