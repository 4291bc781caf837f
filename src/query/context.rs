//! What a store holds about a question, packed into a number of tokens: for whoever hands it to a model of their own.

use docmill_api::{Filter, Provider, Search, StageError};
use serde::Serialize;

use super::found::find;
use super::pack::Pack;
use super::source::Source;

/// What is wanted.
#[derive(Clone, Debug)]
pub struct ContextQuery {
    /// What is asked.
    pub text: String,
    /// How many tokens the packed text may have, in the encoding that the chunker counted with.
    pub budget: usize,
    /// How many documents are considered.
    pub documents: usize,
    /// Which rows are looked at.
    pub filter: Filter,
}

/// What was found, packed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Context {
    /// All of it as one text, ready for a model: [`Context::render`] with URIs. Empty where nothing was found or fits.
    pub text: String,
    /// At least as many tokens as the text has, however documents are named: never more than the budget.
    pub tokens: usize,
    /// How many there might have been.
    pub budget: usize,
    /// The documents in the text, best first.
    pub sources: Vec<Source>,
    /// How many documents were considered.
    pub found: usize,
    /// The smallest budget that gives any text; 0 where nothing was found.
    pub least: usize,
}

impl Context {
    /// The packed text: each document under a line `[3] NAME (TITLE)`, its parts each under its place, empty lines
    /// between them. `name` makes the name out of the URI; one that is longer than the URI is not used, since the budget
    /// was reckoned with the URI.
    #[must_use]
    pub fn render(&self, name: impl Fn(&str) -> String) -> String {
        let mut text = String::new();
        for source in &self.sources {
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            let named = Some(name(&source.uri)).filter(|name| name.len() <= source.uri.len());
            text.push_str(&source.header(named.as_deref().unwrap_or(&source.uri)));
            for (index, part) in source.parts.iter().enumerate() {
                text.push_str(if index == 0 { "\n" } else { "\n\n" });
                let place = part.place();
                if !place.is_empty() {
                    text.push_str(&place);
                    text.push('\n');
                }
                text.push_str(&part.text);
            }
        }
        text
    }
}

/// Packs what a store holds about a question: the more tokens, the more documents and the more of each. A chunk is never
/// cut. Where not even the best one fits, the text is empty and `least` tells how many tokens it takes.
///
/// # Errors
/// The store or the model cannot be read, or they do not belong together.
pub async fn context(
    store: &dyn Search,
    provider: Option<&dyn Provider>,
    query: &ContextQuery,
) -> Result<Context, StageError> {
    packed(store, provider, query, false).await
}

/// The same; `at_least_one` widens the budget where the best part exceeds it.
pub(super) async fn packed(
    store: &dyn Search,
    provider: Option<&dyn Provider>,
    query: &ContextQuery,
    at_least_one: bool,
) -> Result<Context, StageError> {
    let found = find(store, provider, &query.text, query.documents, &query.filter).await?;
    let count = found.len();
    let mut pack = Pack::new(found, query.budget);
    let least = pack.least();
    if at_least_one {
        pack.widen();
    }
    let budget = pack.budget();
    pack.fill(store, &query.filter).await?;
    let (sources, tokens) = pack.finish();
    let mut context = Context { text: String::new(), tokens, budget, sources, found: count, least };
    context.text = context.render(str::to_owned);
    Ok(context)
}

#[cfg(test)]
mod tests;
