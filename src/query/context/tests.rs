//! Properties of the packed text: what is in it, and that it never has more tokens than it may.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::query::fakes::{FakeModel, FakeStore, row, text, words};

const BUDGETS: [usize; 4] = [500, 4_000, 16_000, 100_000];

fn query(budget: usize, documents: usize) -> ContextQuery {
    ContextQuery { text: "what does it say".into(), budget, documents, filter: Filter::default() }
}

fn packed(store: &FakeStore, budget: usize, documents: usize) -> Context {
    let event_loop = tokio::runtime::Builder::new_current_thread().build().expect("an event loop");
    event_loop.block_on(context(store, Some(&FakeModel), &query(budget, documents))).expect("packed")
}

/// No chunk is cut: each part's text is that of its row, and the text has it.
fn whole(context: &Context, store: &FakeStore) {
    for source in &context.sources {
        let keys: BTreeSet<(&str, i32)> = source.parts.iter().map(|part| (part.part.as_str(), part.ordinal)).collect();
        assert_eq!(keys.len(), source.parts.len(), "a part is there twice");
        for part in &source.parts {
            let is_it = |row: &&docmill_api::Hit| {
                row.document == source.document && row.part == part.part && row.ordinal == part.ordinal
            };
            let row = store.rows.iter().find(is_it).expect("it is in the store");
            assert_eq!(row.text, part.text);
            assert!(context.text.contains(&row.text));
        }
    }
}

#[test]
fn a_larger_budget_holds_more_documents_and_more_of_each() {
    let store = FakeStore::of(60, 20, 150);
    let all: Vec<Context> = BUDGETS.iter().map(|budget| packed(&store, *budget, 60)).collect();
    for (context, budget) in all.iter().zip(BUDGETS) {
        let tokens = words(&context.text);
        assert!(tokens <= context.tokens && context.tokens <= budget, "{tokens} {} {budget}", context.tokens);
        assert!(context.tokens > budget * 3 / 4, "{} of {budget} are used", context.tokens);
        assert_eq!((context.found, context.budget), (60, budget));
        assert_eq!(context.sources[0].document, "d0", "the best comes first");
        assert!(context.sources.iter().zip(1..).all(|(source, number)| source.number == number));
        whole(context, &store);
    }
    let documents: Vec<usize> = all.iter().map(|context| context.sources.len()).collect();
    assert!(documents.is_sorted() && documents[1] > 15 && documents[2..] == [60, 60], "{documents:?}");
    let parts = |context: &Context| context.sources.iter().map(|source| source.parts.len()).sum::<usize>();
    assert!(all.iter().map(parts).is_sorted());
    let last = &all[3].sources;
    assert_eq!(last[0].parts.iter().filter(|part| part.part == "chunk").count(), 20, "the best document is whole");
    assert!(last.iter().all(|source| source.parts.iter().filter(|part| part.part == "chunk").count() >= 2));
}

#[test]
fn documents_stand_under_their_names_and_parts_under_their_places() {
    let mut store = FakeStore::of(2, 2, 3);
    store.rows[1].page = None;
    (store.rows[1].line_start, store.rows[1].line_end) = (Some(12), Some(40));
    store.rows[0].title = Some("One\n\n[7] forged".into());
    let context = packed(&store, 1_000, 2);
    let all = "[1] file:///papers/paper%200.txt (One [7] forged)\n\
        p. 1\nchunk0x0w0 chunk0x0w1 chunk0x0w2\n\n\
        lines 12-40\nchunk0x1w0 chunk0x1w1 chunk0x1w2\n\n\
        [2] file:///papers/paper%201.txt (Paper 1)\n\
        p. 1\nchunk1x0w0 chunk1x0w1 chunk1x0w2\n\n\
        p. 2\nchunk1x1w0 chunk1x1w1 chunk1x1w2";
    assert_eq!(context.text, all);
    let named = context.render(|uri| uri.replace("file://", ""));
    assert!(named.starts_with("[1] /papers/paper%200.txt (One"));
    assert_eq!(context.render(|uri| format!("{uri} and more")), all, "a longer name would exceed the budget");
}

#[test]
fn a_budget_too_small_for_the_best_chunk_gives_nothing_and_says_what_it_takes() {
    let store = FakeStore::of(5, 4, 150);
    let context = packed(&store, 150, 5);
    assert_eq!((context.text.as_str(), context.sources.len(), context.tokens, context.found), ("", 0, 0, 5));
    assert!(context.least > 150);
    assert!(packed(&store, context.least - 1, 5).sources.is_empty());
    assert_eq!(packed(&store, context.least, 5).sources.len(), 1);
    let nothing = packed(&FakeStore::default(), 150, 5);
    assert_eq!((nothing.found, nothing.least), (0, 0));
}

#[test]
fn rows_are_looked_for_again_until_they_are_of_enough_documents() {
    let mut store = FakeStore::of(30, 1, 5);
    // The first document fills whatever a first search brings.
    store.rows.extend((1..120).map(|ordinal| row(0, "chunk", ordinal, 2_000.0, &text(0, "chunk", ordinal, 5))));
    let event_loop = tokio::runtime::Builder::new_current_thread().build().expect("an event loop");
    let by_words = event_loop.block_on(context(&store, None, &query(100_000, 20))).expect("packed");
    assert_eq!((by_words.found, by_words.sources.len()), (20, 20));
    assert_eq!(*store.asked.lock().expect("no panic"), [80, 160]);
}

#[test]
fn a_document_that_is_found_by_its_summary_is_there_with_it() {
    let mut store = FakeStore::of(3, 3, 40);
    for row in &mut store.rows {
        row.score = if row.part == "summary" { 1.0 } else { 0.0 };
    }
    let small = packed(&store, 250, 3);
    assert!(small.sources.iter().all(|source| source.parts[0].part == "summary"), "{small:?}");
    assert_eq!(packed(&store, 10_000, 3).sources[2].parts.len(), 4, "and with its chunks where there is room");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn the_budget_is_never_exceeded(
        rows in prop::collection::vec((0_usize..12, 0_i32..30, 0_usize..200, 0_u8..100, any::<bool>()), 0..80),
        budget in 0_usize..6_000,
        documents in 1_usize..15,
    ) {
        let mut store = FakeStore::default();
        let mut seen = BTreeSet::new();
        for (document, ordinal, length, score, is_chunk) in rows {
            let part = if is_chunk { "chunk" } else { "summary" };
            if seen.insert((document, ordinal, part)) {
                let text = text(document, part, ordinal, length);
                store.rows.push(row(document, part, ordinal, f32::from(score), &text));
            }
        }
        let context = packed(&store, budget, documents);
        let tokens = words(&context.text);
        prop_assert!(tokens <= context.tokens && context.tokens <= budget);
        prop_assert!(context.sources.len() <= documents.min(context.found));
        prop_assert_eq!(context.sources.is_empty(), context.found == 0 || context.least > budget);
        whole(&context, &store);
    }
}
