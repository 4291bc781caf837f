//! The stage: a text in, one chunk of part `summary` out, or the reason why there is none.

use std::sync::Arc;

use docmill_api::{
    Chunk, Chunks, CpuStage, Outputs, Part, Payload, Record, StageError, StepContext, Text, TextKind, Work, one_shot,
};

use crate::extract;

/// Summarises texts with their own sentences.
#[derive(Clone, Debug)]
pub(crate) struct Summarize {
    /// How many sentences a summary has at most.
    pub(crate) sentences: usize,
    /// What its tokens are counted in.
    pub(crate) encoding: Arc<str>,
}

impl CpuStage for Summarize {
    /// One step, as the work on a document of any size is bounded.
    fn open(&self, _cx: &StepContext, input: Record) -> Result<Box<dyn Work>, StageError> {
        let stage = self.clone();
        Ok(one_shot(move |cx, out| stage.summarize(cx, &input, out)))
    }

    /// Any text costs time in proportion to its length, up to a bound.
    fn trusts(&self, _input: &Record) -> bool {
        true
    }
}

impl Summarize {
    fn summarize(&self, cx: &StepContext, input: &Record, out: &mut Outputs) -> Result<(), StageError> {
        let Payload::Text(text) = &input.payload else {
            return Err(StageError::unexpected(input.payload.kind()));
        };
        if cx.is_over() {
            return Err(StageError::rejected("cancelled"));
        }
        let found = match &text.kind {
            TextKind::Code(_) => extract::of_code(&text.content, self.sentences),
            TextKind::Markdown => extract::of_prose(&text.content, text.title.as_deref(), true, self.sentences),
            TextKind::Plain => extract::of_prose(&text.content, text.title.as_deref(), false, self.sentences),
        };
        match found {
            Ok(summary) => out.emit(input.derive(Payload::Chunks(row(text, summary, &self.encoding)?))),
            Err(reason) => out.skip(reason),
        }
        Ok(())
    }
}

/// A summary as the one chunk of its document's part `summary`.
pub(crate) fn row(text: &Text, summary: String, encoding: &str) -> Result<Chunks, StageError> {
    let counted = tiktoken::get_encoding(encoding)
        .ok_or_else(|| StageError::fatal(format!("`{encoding}` is no encoding that this program knows")))?;
    let chunk = Chunk {
        ordinal: 0,
        tokens: counted.count(&summary) as u32,
        text: summary.into(),
        page: None,
        line_start: None,
        line_end: None,
        heading: Arc::from([]),
    };
    Ok(Chunks { part: Part::Summary, title: text.title.clone(), items: vec![chunk] })
}
