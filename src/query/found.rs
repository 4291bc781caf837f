//! The documents that a question finds, best first, each with the rows by which it was found.

use std::collections::HashMap;

use docmill_api::{Filter, Hit, Provider, Search, StageError};

use super::{Mode, Query, embed, ranked};

/// How many rows are looked for to find one document: what is found of a document is a few of its rows, and those of
/// the best documents come first.
const ROWS_A_DOCUMENT: usize = 4;

/// The fewest rows that are looked for.
const LEAST_ROWS: usize = 50;

/// How often the rows are doubled where they are of too few documents. Whoever asks for 20 documents gets them unless
/// more than sixteen rows of each come before the next.
const DOUBLED: usize = 2;

/// A document that was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The document's id.
    pub(super) document: String,
    /// The version that was found; rows of another came in since.
    pub(super) version: String,
    /// The rows by which it was found, best first; never empty.
    pub(super) rows: Vec<Hit>,
}

/// Finds the best documents. With a model by meaning and by words, without one by words.
///
/// # Errors
/// The store or the model cannot be read, or they do not belong together.
pub(super) async fn find(
    store: &dyn Search,
    provider: Option<&dyn Provider>,
    text: &str,
    documents: usize,
    filter: &Filter,
) -> Result<Vec<Found>, StageError> {
    let vector = match provider {
        Some(_) => Some(embed(store, provider, text).await?),
        None => None,
    };
    let mode = if vector.is_some() { Mode::Hybrid } else { Mode::Text };
    let limit = (documents * ROWS_A_DOCUMENT).max(LEAST_ROWS);
    let mut query = Query { text: text.to_owned(), limit, mode, filter: filter.clone() };
    let mut doubled = 0;
    loop {
        let hits = ranked(store, vector.as_deref(), &query).await?;
        let is_all = hits.len() < query.limit;
        let mut found = by_document(hits);
        if is_all || found.len() >= documents || doubled == DOUBLED {
            found.truncate(documents);
            return Ok(found);
        }
        query.limit *= 2;
        doubled += 1;
    }
}

/// A document stands where its best row does.
fn by_document(hits: Vec<Hit>) -> Vec<Found> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut found: Vec<Found> = Vec::new();
    for hit in hits {
        let place = *places.entry(hit.document.clone()).or_insert(found.len());
        match found.get_mut(place) {
            Some(found) if found.version == hit.version => found.rows.push(hit),
            Some(_) => {}
            None => {
                let (document, version) = (hit.document.clone(), hit.version.clone());
                found.push(Found { document, version, rows: vec![hit] });
            }
        }
    }
    found
}
