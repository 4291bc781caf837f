//! Several who hear what becomes of documents, as one: a run takes one witness.

use std::sync::Arc;

use crate::{Digest, DocumentEnd, SourceItem, Visit, Witness};

/// Hands on what it hears to each of several, in their order.
#[derive(Clone, Debug, Default)]
pub struct Several(pub Vec<Arc<dyn Witness>>);

impl Several {
    /// One witness for all of them: none where there is none, and the one where there is one.
    #[must_use]
    pub fn of(mut all: Vec<Arc<dyn Witness>>) -> Option<Arc<dyn Witness>> {
        match all.len() {
            0 | 1 => all.pop(),
            _ => Some(Arc::new(Self(all))),
        }
    }
}

impl Witness for Several {
    fn visited(&self, visit: &Visit) {
        for one in &self.0 {
            one.visited(visit);
        }
    }

    fn found(&self, document: &Digest, items: &[SourceItem]) {
        for one in &self.0 {
            one.found(document, items);
        }
    }

    fn ended(&self, end: &DocumentEnd) {
        for one in &self.0 {
            one.ended(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::Document;

    #[derive(Debug)]
    struct Hears(&'static str, Arc<Mutex<Vec<String>>>);

    impl Witness for Hears {
        fn visited(&self, visit: &Visit) {
            self.1.lock().expect("no panic").push(format!("{} {}", self.0, visit.stage));
        }

        fn ended(&self, end: &DocumentEnd) {
            self.1.lock().expect("no panic").push(format!("{} {}", self.0, end.state));
        }
    }

    #[test]
    fn each_hears_each_once_and_one_alone_is_itself() {
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let hears = |name| Arc::new(Hears(name, Arc::clone(&heard))) as Arc<dyn Witness>;
        assert!(Several::of(Vec::new()).is_none());
        let alone = hears("alone");
        assert!(Several::of(vec![Arc::clone(&alone)]).is_some_and(|one| Arc::ptr_eq(&one, &alone)));
        let both = Several::of(vec![hears("first"), hears("second")]).expect("two");
        let document = Arc::new(Document::admit(SourceItem::default(), Digest::of(&[])));
        let began = SystemTime::now();
        let (stage, took) = (Arc::from("parse"), Duration::ZERO);
        both.visited(&Visit { document: document.id, stage, began, took, attempt: 1, failed: None });
        let (stage, class, reason) = (String::new(), String::new(), String::new());
        let end = DocumentEnd { document, state: "done", stage, class, reason, attempts: 1, began, took, result: None };
        both.ended(&end);
        assert_eq!(*heard.lock().expect("no panic"), ["first parse", "second parse", "first done", "second done"]);
    }
}
