//! Sources of documents that no source of the pipeline lists: those that were named by hand (dead letters that are tried
//! again, documents that are to be forgotten), and those that are handed in while it runs.

use std::collections::VecDeque;

use std::sync::Arc;

use docmill_api::{Context, Feed, Source, SourceItem, StageError, async_trait};

/// Stands for a source of the pipeline and lists what it was given.
pub(crate) struct Given(VecDeque<SourceItem>);

impl Given {
    /// What of `given` is from this source, and, for the first one, what is from none that is there.
    pub(crate) fn for_source(id: &str, sources: &[&str], given: &[(String, SourceItem)]) -> Self {
        let is_first = sources.first() == Some(&id);
        let of_it =
            given.iter().filter(|(source, _)| source == id || (is_first && !sources.contains(&source.as_str())));
        Self(of_it.map(|(_, item)| item.clone()).collect())
    }
}

#[async_trait]
impl Source for Given {
    async fn next(&mut self, _cx: &Context) -> Result<Option<SourceItem>, StageError> {
        Ok(self.0.pop_front())
    }
}

/// Stands for a source of the pipeline and gives what is handed in.
pub(crate) struct Fed(pub(crate) Arc<dyn Feed>);

#[async_trait]
impl Source for Fed {
    async fn next(&mut self, _cx: &Context) -> Result<Option<SourceItem>, StageError> {
        Ok(Some(self.0.next().await))
    }

    fn waits(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_has_one_source_even_where_its_own_is_gone() {
        let item = |uri: &str| SourceItem { uri: uri.into(), ..SourceItem::default() };
        let given = [("a".to_owned(), item("1")), ("b".to_owned(), item("2")), ("gone".to_owned(), item("3"))];
        let of = |id| {
            let Given(items) = Given::for_source(id, &["a", "b"], &given);
            items.into_iter().map(|item| item.uri).collect::<Vec<_>>()
        };
        assert_eq!((of("a"), of("b")), (vec!["1".to_owned(), "3".to_owned()], vec!["2".to_owned()]));
    }
}
