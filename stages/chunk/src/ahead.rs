//! A large document encoded ahead of where it is cut. Encoding is most of the work, and the segments of a text do not
//! depend on each other: threads of the pool that are idle take one after another while a step cuts, and the step takes one
//! itself where it lacks text. Nobody waits for anybody. A thread that waits for some microseconds goes to sleep, and is
//! woken, on virtual machines above all, on the CPU of the one that calls it: there it stands for milliseconds, behind the
//! very work that it was called to share.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use docmill_api::ByteString;

use crate::counts::{Counts, Found};
use crate::tokenizer::{Segment, Tokenizer, segment};

/// How many threads take segments beside the step, at most: cutting is a third of the work and more, so there is none for
/// others.
const HELPERS: usize = 3;

/// A thread is called for this much text and more.
const WORTH_A_CALL: usize = 64 << 10;

/// How far ahead of what the step was handed a text is encoded, at most.
const FURTHEST: usize = 512 << 10;

/// The segments of one document, in the encoding.
pub(crate) struct Lookahead(Arc<Shared>);

struct Shared {
    tokenizer: Tokenizer,
    content: ByteString,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What is encoded or being encoded, one behind the other; the latter has no ends yet.
    taken: VecDeque<Found>,
    /// The number of the first of them.
    first: usize,
    /// Where the next segment begins that nobody took.
    next: usize,
    /// Up to where segments may be taken.
    until: usize,
    /// Threads that take segments beside the step, and calls that none has followed yet.
    helpers: usize,
    calls: usize,
}

impl Lookahead {
    /// Where no thread could help there is none.
    pub(crate) fn new(tokenizer: Tokenizer, content: ByteString) -> Option<Self> {
        let alone = rayon::current_thread_index().is_none() || rayon::current_num_threads() == 1;
        let shared = || Shared { tokenizer, content, state: Mutex::default() };
        (!alone).then(|| Self(Arc::new(shared())))
    }

    /// Makes the text countable up to `need`, as far as others are not about to, and goes on from there with their help.
    pub(crate) fn reach(&self, counts: &mut Counts, place: usize, need: usize) {
        loop {
            let from = counts.encoded().max(place);
            for found in self.0.open(from, need) {
                counts.take(found);
            }
            self.call();
            if counts.encoded() >= need || !self.0.encode_next() {
                return;
            }
        }
    }

    /// Has others end what they are at and take no more.
    pub(crate) fn pause(&self) {
        let calls = {
            let mut state = self.0.lock();
            state.until = 0;
            state.calls
        };
        // One that nobody followed would lie with this thread for as long as it has steps to run.
        for _ in 0..calls {
            rayon::yield_local();
        }
    }

    /// Calls threads, if there is enough for them.
    fn call(&self) {
        let wanted = {
            let mut state = self.0.lock();
            let left = state.until.saturating_sub(state.next);
            let most = HELPERS.min(rayon::current_num_threads() - 1).min(left / WORTH_A_CALL);
            let wanted = most.saturating_sub(state.helpers + state.calls);
            state.calls += wanted;
            wanted
        };
        for _ in 0..wanted {
            let shared = Arc::downgrade(&self.0);
            rayon::spawn(move || shared.upgrade().into_iter().for_each(|shared| shared.help()));
        }
    }
}

impl Drop for Lookahead {
    fn drop(&mut self) {
        self.0.lock().until = 0;
    }
}

impl Shared {
    /// Hands over what is encoded of the text from `from` on as far as `need`, and lets more be taken.
    fn open(&self, from: usize, need: usize) -> Vec<Found> {
        let mut state = self.lock();
        while state.taken.front().is_some_and(|found| found.start < from) {
            state.drop_first();
        }
        let start = state.taken.front().map_or(state.next, |found| found.start);
        if start != from {
            // Somewhere else than where these segments lead to.
            state.first += state.taken.len();
            state.taken.clear();
            state.next = from;
        }
        state.until = self.content.len().min(from.saturating_add(FURTHEST));
        let mut ready = Vec::new();
        while state.taken.front().is_some_and(|found| !found.ends.is_empty() && found.start < need) {
            ready.extend(state.drop_first());
        }
        ready
    }

    /// Follows a call.
    fn help(&self) {
        {
            let mut state = self.lock();
            state.calls -= 1;
            state.helpers += 1;
        }
        // What a segment does to the encoder it does again, in the step that needs it: it has no ends.
        let _ = catch_unwind(AssertUnwindSafe(|| while self.encode_next() {}));
        self.lock().helpers -= 1;
    }

    /// Encodes the next segment that nobody took; says whether there was one.
    fn encode_next(&self) -> bool {
        let Some((number, start, segment)) = self.lock().take_next(&self.content) else { return false };
        let mut ends = Vec::with_capacity((segment.end - start) / 4);
        self.tokenizer.ends(&self.content, start, segment, &mut ends);
        let mut state = self.lock();
        // It may be left behind by now.
        if let Some(found) = number.checked_sub(state.first).and_then(|at| state.taken.get_mut(at)) {
            found.ends = ends;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn drop_first(&mut self) -> Option<Found> {
        self.first += 1;
        self.taken.pop_front()
    }

    /// Its number, where it begins, and what it is.
    fn take_next(&mut self, content: &str) -> Option<(usize, usize, Segment)> {
        if self.next >= self.until {
            return None;
        }
        let (number, start) = (self.first + self.taken.len(), self.next);
        let segment = segment(content, start);
        self.taken.push_back(Found { start, segment, ends: Vec::new() });
        self.next = segment.end;
        Some((number, start, segment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::Encoding;

    const ENCODING: Encoding = Encoding::Cl100kBase;

    fn text() -> String {
        "Some words, 42 of them; \u{2014} and so on.\n".repeat(30_000) + &"ab1".repeat(40_000) + " the end"
    }

    fn on<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
    }

    fn begin(text: &str) -> (Lookahead, Counts) {
        let tokenizer = Tokenizer::new(ENCODING);
        (Lookahead::new(tokenizer, text.into()).unwrap(), Counts::new(tokenizer))
    }

    #[test]
    fn a_thread_alone_has_nobody_to_help_it() {
        let new = || Lookahead::new(Tokenizer::new(ENCODING), "text".into()).is_some();
        assert!(!new() && !on(1, new) && on(2, new));
    }

    #[test]
    fn what_several_threads_encode_is_what_one_covers() {
        let text = text();
        let mut whole = Counts::new(Tokenizer::new(ENCODING));
        whole.cover(&text, 0..text.len());
        for threads in [2, 3, 8] {
            let counts = on(threads, || {
                let (ahead, mut counts) = begin(&text);
                for place in (0..text.len()).step_by(20_011) {
                    let need = (place + 30_000).min(text.len());
                    ahead.reach(&mut counts, 0, need);
                    // As a step does that lacks what another is still at.
                    counts.cover(&text, 0..need);
                    if place % 3 == 0 {
                        ahead.pause();
                    }
                }
                counts.cover(&text, 0..text.len());
                counts
            });
            assert!(counts.known() == whole.known(), "{threads} threads");
            assert_eq!(counts.effort().once, text.len(), "each segment once in what is countable");
        }
    }

    #[test]
    fn a_place_far_behind_or_ahead_of_what_was_encoded_begins_anew() {
        let text = text();
        on(4, || {
            let (ahead, mut counts) = begin(&text);
            for place in [0, 100_003, 100_004, 900_001, 900_500, text.len() - 10_000] {
                ahead.reach(&mut counts, place, place + 10_000);
                counts.cover(&text, place..place + 10_000);
                let alone = Tokenizer::new(ENCODING).count(text[place..place + 9_000].trim_end());
                let stretch = place..place + text[place..place + 9_000].trim_end().len();
                assert_eq!(counts.exact(&text, stretch), alone, "at {place}");
            }
        });
    }

    #[test]
    fn nothing_is_encoded_further_than_allowed_or_in_a_pause() {
        let text = text();
        on(2, || {
            let (ahead, mut counts) = begin(&text);
            ahead.reach(&mut counts, 0, 1);
            while ahead.0.encode_next() {}
            let next = ahead.0.lock().next;
            assert!((FURTHEST..FURTHEST + (64 << 10)).contains(&next), "{next}");
            ahead.reach(&mut counts, 0, 1);
            ahead.pause();
            assert!(!ahead.0.encode_next());
        });
    }
}
