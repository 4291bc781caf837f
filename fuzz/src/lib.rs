//! What the fuzz targets share: stages built from the registry as the engine builds them, and a download stage that reads
//! bytes instead of places. What is checked is each target's own.

mod download;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use docmill_api::{BuildContext, CpuStage, Digest, Node, Registry, defaults};
use serde_json::Value;

pub use download::Download;

/// Every built-in kind but the stores, whose build takes too long, and fakes in their place.
#[must_use]
pub fn registry() -> Registry {
    let mut registry = Registry::new();
    docmill_source::register(&mut registry);
    docmill_download::register(&mut registry);
    docmill_parse::register(&mut registry);
    docmill_chunk::register(&mut registry);
    docmill_summarize::register(&mut registry);
    docmill_embed::register(&mut registry);
    docmill_exec::register(&mut registry);
    docmill_testkit::fakes::register(&mut registry);
    registry
}

/// Polls a future that waits for nothing.
pub fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits for something"),
    }
}

/// A stage of a kind, with these of its fields set and the rest by default.
///
/// # Panics
/// The stage cannot be built: a mistake of the target's.
#[must_use]
pub fn node(kind: &str, set: &Value) -> Node {
    let registry = registry();
    let factory = registry.get(kind).expect("a built-in kind");
    let mut config = defaults(&factory.spec().fields);
    if let (Some(config), Some(set)) = (config.as_object_mut(), set.as_object()) {
        config.extend(set.clone());
    }
    let context = BuildContext {
        stage: kind.to_owned(),
        base: ".".into(),
        fingerprint: Digest::of(&[]),
        embedding: None,
        inputs: Vec::new(),
        ..BuildContext::default()
    };
    now(factory.build(config, &context)).expect("its defaults are good")
}

/// A stage that works in the CPU pool.
///
/// # Panics
/// The kind is of another tier.
#[must_use]
pub fn cpu(kind: &str, set: &Value) -> Arc<dyn CpuStage> {
    match node(kind, set) {
        Node::Cpu(stage) => stage,
        _ => panic!("`{kind}` is no stage of the CPU tier"),
    }
}

/// The first bytes as settings, the rest as content; settings that are missing are nought.
#[must_use]
pub fn settings<const N: usize>(data: &[u8]) -> ([u8; N], &[u8]) {
    let mut settings = [0; N];
    let count = N.min(data.len());
    settings[..count].copy_from_slice(&data[..count]);
    (settings, &data[count..])
}
