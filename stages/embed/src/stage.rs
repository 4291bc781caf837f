//! The stage: chunks in, the same chunks with a vector each out.

use std::sync::Arc;

use docmill_api::{Chunks, CpuStage, Outputs, Payload, Record, StageError, StepContext, Vectors, Work, one_shot};

use crate::model::{DIMENSIONS, Model, Scratch};

/// Embeds chunks with the model that ships with docmill.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Embed {
    /// How many tokens of a chunk count.
    pub(crate) max_tokens: usize,
}

impl CpuStage for Embed {
    fn warm_up(&self) {
        // Where it fails, so does the first record, and says why.
        let _ = Model::shared();
    }

    fn open(&self, _cx: &StepContext, input: Record) -> Result<Box<dyn Work>, StageError> {
        let stage = *self;
        Ok(one_shot(move |cx, out| {
            out.emit(stage.embed(cx, &mut Scratch::default(), input)?);
            Ok(())
        }))
    }

    fn process_batch(&self, cx: &StepContext, inputs: Vec<Record>) -> Vec<Result<Outputs, StageError>> {
        let mut scratch = Scratch::default();
        inputs.into_iter().map(|input| self.embed(cx, &mut scratch, input).map(Outputs::one)).collect()
    }

    /// Any text costs time in proportion to its length, up to the first tokens that count.
    fn trusts(&self, _input: &Record) -> bool {
        true
    }
}

impl Embed {
    fn embed(self, cx: &StepContext, scratch: &mut Scratch, input: Record) -> Result<Record, StageError> {
        let Record { document, payload } = input;
        let Payload::Chunks(chunks) = payload else {
            return Err(StageError::unexpected(payload.kind()));
        };
        let values = self.values(cx, scratch, &chunks)?;
        Ok(Record { document, payload: Payload::Vectors(Vectors { chunks, dimensions: DIMENSIONS, values }) })
    }

    /// The chunks' vectors, one after another.
    fn values(self, cx: &StepContext, scratch: &mut Scratch, chunks: &Chunks) -> Result<Arc<[f32]>, StageError> {
        let model = Model::shared()?;
        let mut values: Arc<[f32]> = std::iter::repeat_n(0.0, chunks.items.len() * DIMENSIONS).collect();
        let room = Arc::get_mut(&mut values).expect("nobody else has it yet");
        let (vectors, _) = room.as_chunks_mut();
        for (chunk, vector) in chunks.items.iter().zip(vectors) {
            if cx.is_over() {
                return Err(StageError::rejected("cancelled"));
            }
            model.embed(&chunk.text, self.max_tokens, scratch, vector);
        }
        Ok(values)
    }
}
