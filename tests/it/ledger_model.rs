//! The ledger against a model of it: whatever is written in whatever order, and wherever the process ends or the power is
//! cut, it holds what a plain map would, up to the last write that it can have kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use docmill::ledger::{Accepted, Change, Ended, Entry, Ledger, State};
use docmill_api::Digest;
use proptest::prelude::*;

/// Few documents, stores and contents, so that writes meet.
const DOCUMENTS: u8 = 4;

fn id(kind: &str, number: u8) -> Digest {
    Digest::of(&[kind.as_bytes(), &[number]])
}

/// A change, as the test tells it.
#[derive(Clone, Copy, Debug)]
enum Told {
    Accept(u8, u8),
    Seal(u8, u8),
    End(u8, State, u8, u32),
    Reopen(u8),
    Drop(u8),
    Rest(u8),
    Forget(u8),
}

fn told() -> impl Strategy<Value = Told> {
    let (document, content) = (0..DOCUMENTS, 0_u8..3);
    let state = prop_oneof![Just(State::Done), Just(State::Skipped), Just(State::Failed)];
    prop_oneof![
        4 => (document.clone(), 0_u8..2).prop_map(|(document, stores)| Told::Accept(document, stores)),
        2 => (document.clone(), content.clone()).prop_map(|(document, content)| Told::Seal(document, content)),
        4 => (document.clone(), state, content, 0_u32..3)
            .prop_map(|(document, state, content, attempts)| Told::End(document, state, content, attempts)),
        1 => document.clone().prop_map(Told::Reopen),
        1 => document.clone().prop_map(Told::Drop),
        1 => document.clone().prop_map(Told::Rest),
        1 => document.prop_map(Told::Forget),
    ]
}

impl Told {
    fn change(self) -> Change {
        let document = |number| id("document", number);
        match self {
            Self::Accept(number, stores) => Change::Accept(Accepted {
                document: document(number),
                uri: format!("test:///{number}"),
                source: "source".into(),
                item: "{}".into(),
                stores: stores.to_string(),
                run: "run".into(),
            }),
            Self::Seal(number, content) => Change::Seal {
                document: document(number),
                content: id("content", content),
                fingerprint: id("pipeline", 0),
            },
            Self::End(number, state, content, attempts) => Change::End(Ended {
                document: document(number),
                state,
                content: Some(id("content", content)),
                fingerprint: id("pipeline", 0),
                stamp: Some(content.to_string()),
                stage: "parse".into(),
                class: if state == State::Failed { "rejected".into() } else { String::new() },
                reason: String::new(),
                attempts,
                result: None,
            }),
            Self::Reopen(number) => Change::Reopen(document(number)),
            Self::Drop(number) => Change::Drop(document(number)),
            Self::Rest(number) => Change::Rest(document(number)),
            Self::Forget(number) => Change::Forget(document(number)),
        }
    }
}

/// What the ledger says of a document: what the engine acts on.
#[derive(Clone, Debug, Default, PartialEq)]
struct Row {
    open: bool,
    ended: Option<State>,
    content: Option<Digest>,
    stamp: Option<String>,
    kept: Option<Digest>,
    stores: String,
    failed: bool,
    attempts: u32,
    run: String,
}

impl Row {
    fn of(entry: &Entry) -> Self {
        Self {
            open: entry.open,
            ended: entry.ended,
            content: entry.content,
            stamp: entry.stamp.clone(),
            kept: entry.kept.map(|(content, _)| content),
            stores: entry.stores.clone(),
            failed: !entry.class.is_empty(),
            attempts: entry.attempts,
            run: entry.run.clone(),
        }
    }
}

/// The ledger as a map.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model(BTreeMap<u8, Row>);

impl Model {
    fn apply(&mut self, told: Told) {
        match told {
            Told::Accept(number, stores) => {
                let row = self.0.entry(number).or_default();
                if row.stores != stores.to_string() {
                    // What another store held says nothing of this one.
                    let (failed, attempts) = (row.failed, row.attempts);
                    *row = Row { stores: stores.to_string(), failed, attempts, ..Row::default() };
                }
                row.open = true;
                row.run = "run".into();
            }
            Told::End(number, state, content, attempts) => {
                let Some(row) = self.0.get_mut(&number) else { return };
                row.open = false;
                // Attempts add up over failures that follow one another.
                row.attempts = if state == State::Failed && row.failed { row.attempts + attempts } else { attempts };
                row.failed = state == State::Failed;
                row.ended = Some(state);
                row.content = Some(id("content", content));
                row.stamp = Some(content.to_string());
                match state {
                    State::Done => row.kept = row.content,
                    State::Skipped => row.kept = None,
                    _ => {}
                }
            }
            Told::Seal(number, content) => {
                let Some(row) = self.0.get_mut(&number) else { return };
                row.kept = Some(id("content", content));
                (row.stamp, row.content, row.ended) = (None, None, None);
            }
            Told::Reopen(number) => {
                let Some(row) = self.0.get_mut(&number) else { return };
                row.open = true;
                (row.stamp, row.content, row.ended) = (None, None, None);
            }
            Told::Drop(number) => self.drop_failure(number),
            Told::Rest(number) => {
                if let Some(row) = self.0.get_mut(&number) {
                    row.run.clear();
                }
            }
            Told::Forget(number) => {
                self.0.remove(&number);
            }
        }
    }

    fn drop_failure(&mut self, number: u8) {
        let Some(row) = self.0.get_mut(&number) else { return };
        if row.open || row.ended != Some(State::Failed) {
            return;
        }
        match row.kept {
            None => {
                self.0.remove(&number);
            }
            Some(kept) => {
                (row.ended, row.content, row.stamp) = (Some(State::Done), Some(kept), None);
                (row.failed, row.attempts) = (false, 1);
            }
        }
    }

    async fn of(ledger: &Ledger) -> Self {
        let ids = (0..DOCUMENTS).map(|number| id("document", number)).collect();
        let entries = ledger.look(ids).await.expect("read");
        let rows = (0..DOCUMENTS).zip(entries).filter_map(|(number, entry)| Some((number, Row::of(&entry?))));
        Self(rows.collect())
    }
}

/// The files of a ledger as they are now, in another directory: as they are found after a kill.
fn copied(from: &Path, to: &Path) {
    for name in ["ledger.db", "ledger.db-wal"] {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).expect("copied");
        }
    }
}

async fn hold(writes: Vec<Vec<Told>>, kill_after: usize, torn: f64) {
    let (directory, after) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let ledger = Ledger::open(&directory.path().join("ledger.db"), false).expect("opened");
    let mut states = vec![Model::default()];
    for (number, write) in writes.iter().enumerate() {
        ledger.write(write.iter().map(|told| told.change()).collect()).await.expect("written");
        let mut model = states.last().cloned().unwrap_or_default();
        write.iter().for_each(|told| model.apply(*told));
        states.push(model);
        if number == kill_after {
            copied(directory.path(), after.path());
        }
    }
    let last = states.last().cloned().unwrap_or_default();
    assert_eq!(Model::of(&ledger).await, last);
    if kill_after < writes.len() {
        let killed = Ledger::open(&after.path().join("ledger.db"), false).expect("opened after a kill");
        assert_eq!(Model::of(&killed).await, states[kill_after + 1], "every write that returned");
    }
    // A power cut may take the end of what was not synced, but nothing from the middle.
    let cut = tempfile::tempdir().expect("a directory");
    copied(directory.path(), cut.path());
    let log = cut.path().join("ledger.db-wal");
    if let Ok(found) = fs::metadata(&log) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a part"
        )]
        let length = (found.len() as f64 * torn) as u64;
        fs::File::options().write(true).open(&log).and_then(|file| file.set_len(length)).expect("cut");
    }
    let ledger = Ledger::open(&cut.path().join("ledger.db"), false).expect("opened after a cut");
    let found = Model::of(&ledger).await;
    assert!(states.contains(&found), "{found:?} was never the state after a whole write");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn it_is_what_was_written_after_every_kill_and_a_state_that_was_after_every_cut(
        writes in proptest::collection::vec(proptest::collection::vec(told(), 1..5), 1..20),
        kill_after in 0_usize..20,
        torn in 0.0_f64..1.0,
    ) {
        let event_loop = tokio::runtime::Builder::new_current_thread().build().expect("an event loop");
        event_loop.block_on(hold(writes, kill_after, torn));
    }
}
