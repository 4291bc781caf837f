//! A model that is paid by the call.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use docmill_api::{
    BuildContext, Chunks, Context, Digest, Node, Outputs, Part, Payload, PayloadKind, Record, Stage, StageError,
    StageFactory, StageSpec, Tier, async_trait,
};

use super::{FakeConfig, one_chunk, spec};

/// Gives a summary of a text. Calls are counted in a file, which outlives the process.
pub(super) struct FakePaid;
#[async_trait]
impl StageFactory for FakePaid {
    type Config = FakeConfig;
    const KIND: &'static str = "fake-paid";
    const REVISION: u32 = 1;
    fn spec() -> StageSpec {
        spec(&[PayloadKind::Text], &[PayloadKind::Chunks], Tier::Service, "kind = \"fake-paid\"\ncalls = \"calls.txt\"")
    }
    async fn build(config: FakeConfig, _cx: &BuildContext) -> Result<Node, StageError> {
        Ok(Node::Service(Arc::new(PaidFake { config })))
    }
}

struct PaidFake {
    config: FakeConfig,
}

impl PaidFake {
    async fn call(&self, text: &str) -> Result<Bytes, StageError> {
        tokio::time::sleep(self.config.delay.0).await;
        let unusable = |error: std::io::Error| StageError::fatal(format!("`{}`: {error}", self.config.calls));
        let mut calls =
            std::fs::File::options().create(true).append(true).open(&self.config.calls).map_err(unusable)?;
        calls.write_all(b"called\n").map_err(unusable)?;
        Ok(text.chars().take(20).collect::<String>().into())
    }
}

#[async_trait]
impl Stage for PaidFake {
    async fn process(&self, cx: &Context, input: Record) -> Result<Outputs, StageError> {
        let Payload::Text(text) = &input.payload else { return Err(StageError::unexpected(input.payload.kind())) };
        let key = Digest::of(&[b"fake-paid", text.content.as_bytes()]);
        let summary = cx.paid.once(key, self.call(&text.content)).await?;
        let chunk = one_chunk(0, String::from_utf8_lossy(&summary).as_ref().into());
        Ok(Outputs::one(input.derive(Payload::Chunks(Chunks { part: Part::Summary, title: None, items: vec![chunk] }))))
    }
}
