//! Sixty documents in a real store, packed into numbers of tokens, and a question answered from them by a model that is
//! asked over the network: a simulated one, with the real client.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use docmill::load::simulate::{Server, Settings};
use docmill::query::ask::{Answered, Event, Question, ask};
use docmill::query::{Context, ContextQuery, context};
use docmill_api::{Chat, Filter, Hit, Services, StageError};
use serde_json::json;

use super::mill::{Mill, Store, block_on};

/// How many documents there are.
const DOCUMENTS: usize = 60;

/// What is asked.
const QUESTION: &str = "which grain is brought to the mill, and when";

/// A document of some 1,500 tokens in three or four chunks.
fn document(number: usize) -> String {
    let grains = ["rye", "oats", "barley", "spelt", "wheat", "millet"];
    let grain = grains[number % grains.len()];
    let paragraph = |day: usize| {
        format!(
            "On day {day} of week {number} the carts bring {grain} to the mill, and {count} sacks of it are weighed at \
             the gate before the miller opens the sluice. What was ground the day before goes back to the village.\n\n",
            count = number * 7 + day
        )
    };
    format!("# The book of week {number}\n\n{}", (1..32).map(paragraph).collect::<String>())
}

/// The store that a run over all documents fills.
async fn filled() -> (Mill, Store) {
    let mill = Mill::new();
    for number in 0..DOCUMENTS {
        mill.write(&format!("week {number:02}.md"), document(number));
    }
    let ran = mill.run_well().await;
    assert_eq!(ran.snapshot.documents.done, DOCUMENTS as u64);
    let store = mill.store().await;
    (mill, store)
}

async fn packed(store: &Store, budget: usize) -> Context {
    let query = ContextQuery { text: QUESTION.into(), budget, documents: DOCUMENTS, filter: Filter::default() };
    context(store.search(), Some(store.provider()), &query).await.expect("packed")
}

#[test]
fn a_larger_budget_holds_more_documents_and_more_of_each() {
    block_on(async || {
        let (_mill, store) = filled().await;
        let rows = store.rows().await;
        let mut last: Option<Context> = None;
        for budget in [4_000, 16_000, 100_000] {
            let context = packed(&store, budget).await;
            assert_eq!(context.found, DOCUMENTS);
            assert!(context.tokens <= budget, "{} of {budget}", context.tokens);
            // The rows' own counts are the chunker's: what is packed has no more, names and places left aside.
            let whole: usize =
                parts(&context).map(|(document, part, ordinal)| tokens(&rows, document, part, ordinal)).sum();
            assert!(whole > 0 && whole <= context.tokens, "{whole} of {}", context.tokens);
            for source in &context.sources {
                assert!(
                    source.filename.starts_with("week ") && context.text.contains(&format!("[{}] ", source.number))
                );
                assert!(source.parts.iter().all(|part| context.text.contains(&part.text)), "a part is cut");
            }
            if let Some(last) = &last {
                assert!(context.sources.len() >= last.sources.len());
                assert!(parts(&context).count() > parts(last).count());
            }
            last = Some(context);
        }
        assert_eq!(last.expect("packed").sources.len(), DOCUMENTS, "100,000 tokens have something of each");
    });
}

/// Every part in a context: its document, its kind, its place.
fn parts(context: &Context) -> impl Iterator<Item = (&str, &str, i32)> {
    let all = context.sources.iter().flat_map(|source| source.parts.iter().map(move |part| (source, part)));
    all.map(|(source, part)| (source.document.as_str(), part.part.as_str(), part.ordinal))
}

fn tokens(rows: &BTreeMap<String, Hit>, document: &str, part: &str, ordinal: i32) -> usize {
    let is_it = |row: &&Hit| row.document == document && row.part == part && row.ordinal == ordinal;
    let row = rows.values().find(is_it).expect("it is stored");
    usize::try_from(row.tokens).expect("counted")
}

/// A model of this context behind the real client, at a server.
async fn chat(mill: &Mill, base_url: &str, context: usize) -> Arc<dyn Chat> {
    let service = mill.registry.service("openai").expect("it is built in");
    let mut settings = docmill_api::defaults(&service.fields());
    settings["base_url"] = json!(base_url);
    settings["model"] = json!("simulated");
    settings["context"] = json!(context);
    service.chat("ask", settings, &Services::default()).await.expect("opened")
}

async fn answered(store: &Store, chat: &dyn Chat, told: &mut Vec<String>) -> Result<Answered, StageError> {
    let question = Question { text: QUESTION.into(), documents: DOCUMENTS, filter: Filter::default() };
    let mut hear = |event: Event<'_>| told.push(format!("{event:?}"));
    ask(store.search(), Some(store.provider()), chat, &question, &mut hear).await
}

#[test]
fn sixty_documents_are_read_in_as_many_calls_as_planned() {
    block_on(async || {
        let (mill, store) = filled().await;
        for context in [2_048, 4_096, 8_192, 200_000] {
            // Its tokens are a quarter of the characters, which may be somewhat more than the client's.
            let settings = Settings { context: context * 2, latency: Duration::from_millis(20), ..Settings::default() };
            let server = Server::bind(([127, 0, 0, 1], 0).into(), settings).await.expect("bound").start();
            let chat = chat(&mill, &server.base_url(), context).await;
            let mut told = Vec::new();
            let answered = answered(&store, chat.as_ref(), &mut told).await.expect("answered");
            let stats = server.stop().await;
            assert_eq!(answered.planned_calls, answered.calls, "{context}");
            assert_eq!(stats.calls.chat, answered.calls as u64, "{context}");
            assert!(stats.in_flight.chat.max <= 4, "{context}: {}", stats.in_flight.chat.max);
            assert_eq!((answered.documents, answered.unknown_citations.len()), (DOCUMENTS, 0), "{context}");
            assert_eq!(answered.calls == 1, context == 200_000);
            assert!(told[0].starts_with("Planned { documents: 60, "), "{}", told[0]);
            let names: BTreeSet<&str> = answered.sources.iter().map(|source| source.filename.as_str()).collect();
            assert!(!names.is_empty() && names.iter().all(|name| name.starts_with("week ")), "{names:?}");
            assert!(answered.sources.iter().all(|source| !source.parts.is_empty()));
        }
    });
}
