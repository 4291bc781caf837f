//! Answers from many documents, by a model whose context may hold only some of them at once.
//!
//! Where all that was found fits into one call, there is one. Else the documents are read in groups, each in a call of
//! its own that takes notes; the notes are joined, in further rounds where they are too many; and one last call answers
//! from them. How many calls that are is known, and told, before the first of them is made.
//!
//! | file | holds |
//! |---|---|
//! | `prompt` | what is said to the model, and how the material is kept apart from it |
//! | `material` | the documents as the model reads them, each cut to what a call can hold |
//! | `plan` | which document is read in which call, and how long notes may be |
//! | `call` | one call: its size, its failures |
//! | `cite` | what the answer cites |

mod call;
mod cite;
mod material;
mod plan;
mod prompt;
#[cfg(test)]
mod tests;

use std::time::Duration;

use docmill_api::{Chat, Filter, Provider, Search, StageError};
use serde::Serialize;

use self::call::Caller;
use self::material::Material;
use self::plan::Plan;
use self::prompt::{Prompts, Task};
use super::context::packed;
use super::{ContextQuery, Source};

/// A question.
#[derive(Clone, Debug)]
pub struct Question {
    /// What is asked.
    pub text: String,
    /// How many documents are looked at.
    pub documents: usize,
    /// Which rows are looked at.
    pub filter: Filter,
}

/// What is told while an answer is made.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// What is going to be done; told before the first call.
    Planned {
        /// Documents that are read.
        documents: usize,
        /// Calls in all.
        calls: usize,
        /// Those of them that read documents and take notes; 0 where one call does all.
        reading: usize,
    },
    /// So many documents were read; told after each call that reads some and takes notes.
    Read {
        /// Documents that were read until now.
        documents_so_far: usize,
    },
    /// A call failed, and is made again after a while.
    Waiting {
        /// Why it failed.
        why: &'a StageError,
        /// How long is waited.
        delay: Duration,
    },
    /// A piece of the answer.
    Text(&'a str),
    /// The answer broke off: what was told of it is void, and it begins anew.
    Again,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answered {
    /// What the model says.
    pub text: String,
    /// Whether it was cut off because it became too long.
    pub cut: bool,
    /// Calls that were made, those that failed included.
    pub calls: usize,
    /// Calls that were to be made.
    pub planned_calls: usize,
    /// Documents that were read.
    pub documents: usize,
    /// The sources that the answer cites, each with the parts of it that were read; where the answer names pages or
    /// lines, with those alone.
    pub sources: Vec<Source>,
    /// Citations that name no source.
    pub unknown_citations: Vec<String>,
    /// Tokens of all prompts, as the service counts them.
    pub prompt_tokens: u64,
    /// Tokens of all answers, likewise.
    pub answer_tokens: u64,
}

/// How much of a document is read: its best two chunks of the default length.
const TOKENS_A_DOCUMENT: usize = 1_000;

/// How much is read of few documents, where one call holds it.
const LEAST_TOKENS: usize = 8_000;

/// Answers a question. `told` hears what is going on, and the answer as it comes.
///
/// # Errors
/// Nothing was found; the store or a model cannot be read; the model's context is too small to read a document in.
pub async fn ask(
    store: &dyn Search,
    provider: Option<&dyn Provider>,
    chat: &dyn Chat,
    question: &Question,
    told: &mut (dyn FnMut(Event<'_>) + Send),
) -> Result<Answered, StageError> {
    let prompts = Prompts::new(chat, &question.text)?;
    let query = ContextQuery {
        text: question.text.clone(),
        budget: (question.documents * TOKENS_A_DOCUMENT).max(prompts.room_to_answer().min(LEAST_TOKENS)),
        documents: question.documents,
        filter: question.filter.clone(),
    };
    let sources = packed(store, provider, &query, true).await?.sources;
    if sources.is_empty() {
        return Err(StageError::rejected("nothing found that the question could be answered from"));
    }
    let mut material = Material::new(chat, sources);
    let plan = Plan::new(&prompts, &mut material)?;
    let caller = Caller::new(chat, told);
    let (documents, reading) = (material.documents.len(), plan.reading());
    caller.tell(Event::Planned { documents, calls: plan.calls(), reading });
    let material_to_answer = match &plan {
        Plan::Once => material.text(0..documents),
        Plan::Read { groups, notes, rounds } => {
            let task = Task::Read { notes: *notes };
            let asked =
                groups.iter().map(|group| prompts.conversation(chat, task, &material.text(group.iter().copied())));
            let read = groups.iter().map(Vec::len).collect::<Vec<_>>();
            let mut taken = caller.notes(asked.collect(), Some(&read)).await?;
            for round in rounds {
                taken = join(&caller, &prompts, *notes, round, &taken).await?;
            }
            plan::joined(chat, *notes, &taken)
        }
    };
    let answer = caller.answer(&prompts.conversation(chat, Task::Answer, &material_to_answer)).await?;
    let cited = cite::check(&answer.text, material.sources());
    let (calls, prompt_tokens, answer_tokens) = caller.made();
    Ok(Answered {
        text: answer.text,
        cut: answer.cut,
        calls,
        planned_calls: plan.calls(),
        documents,
        sources: cited.sources,
        unknown_citations: cited.unknown,
        prompt_tokens,
        answer_tokens,
    })
}

/// One round: notes are joined, group by group. One that stands alone is passed on.
async fn join(
    caller: &Caller<'_>,
    prompts: &Prompts<'_>,
    notes: usize,
    round: &[std::ops::Range<usize>],
    taken: &[String],
) -> Result<Vec<String>, StageError> {
    let chat = caller.chat();
    let groups: Vec<&[String]> = round.iter().filter_map(|range| taken.get(range.clone())).collect();
    let asked = groups.iter().filter(|group| group.len() > 1);
    let asked = asked.map(|group| prompts.conversation(chat, Task::Join { notes }, &plan::joined(chat, notes, group)));
    let mut fresh = caller.notes(asked.collect(), None).await?.into_iter();
    let next = groups.iter().filter_map(|group| match group {
        [alone] => Some(alone.clone()),
        _ => fresh.next(),
    });
    Ok(next.collect())
}
