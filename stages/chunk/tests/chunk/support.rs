//! What the tests share: the stage from the registry, stepped as the engine steps it, and all that holds for any text.

use std::ops::Range;
use std::sync::Arc;

use docmill_api::{
    Block, BuildContext, Chunk, CpuStage, Digest, Document, Node, Outputs, Part, Payload, Record, Registry, SourceItem,
    Step, StepContext, Text, TextKind, defaults,
};
use docmill_chunk::Encoding;
use serde_json::Value;

pub(crate) fn registry() -> Registry {
    let mut registry = Registry::default();
    docmill_chunk::register(&mut registry);
    registry
}

pub(crate) fn config(changes: &Value) -> Value {
    let mut config = defaults(&registry().get("chunk").unwrap().spec().fields);
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    config
}

pub(crate) fn build(changes: Value) -> Arc<dyn CpuStage> {
    let registry = registry();
    let context = BuildContext {
        stage: "chunk".into(),
        base: ".".into(),
        fingerprint: Digest::of(&[]),
        embedding: None,
        inputs: Vec::new(),
        ..BuildContext::default()
    };
    let config = config(&changes);
    let mut future = registry.get("chunk").unwrap().build(config, &context);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(Ok(Node::Cpu(stage))) => stage,
        std::task::Poll::Ready(Err(error)) => panic!("{error}"),
        _ => panic!("a cpu stage, at once"),
    }
}

pub(crate) fn record(name: &str, text: Text) -> Record {
    let item = SourceItem { uri: format!("file:///{name}"), ..SourceItem::default() };
    Record { document: Arc::new(Document::admit(item, Digest::of(&[]))), payload: Payload::Text(text) }
}

pub(crate) fn text(content: &str, kind: TextKind) -> Text {
    Text {
        content: content.into(),
        kind,
        title: Some("Title".into()),
        pages: Arc::new([]),
        blocks: Arc::new([]),
        lines: true,
    }
}

/// What came of a document.
pub(crate) struct Run {
    pub(crate) chunks: Vec<Chunk>,
    /// How many chunks each record had.
    pub(crate) sizes: Vec<usize>,
    /// Why there was nothing.
    pub(crate) skip: Option<String>,
    /// How it was cut, as its records say.
    pub(crate) strategy: Option<String>,
    /// Where the text is in memory.
    pub(crate) base: usize,
}

/// Steps to the end with a small quota.
pub(crate) fn run(stage: &Arc<dyn CpuStage>, name: &str, text: Text) -> Run {
    let cx = StepContext::detached();
    let base = text.content.as_ptr().addr();
    let mut work = stage.open(&cx, record(name, text)).unwrap();
    let mut run = Run { chunks: Vec::new(), sizes: Vec::new(), skip: None, strategy: None, base };
    let mut document: Option<Arc<Document>> = None;
    loop {
        let mut out = Outputs::with_quota(100_000);
        let step = work.step(&cx, &mut out).unwrap();
        let (records, skip) = out.into_parts();
        for record in records {
            let Payload::Chunks(part) = record.payload else { panic!("chunks are emitted") };
            assert_eq!((part.part, part.title.as_deref()), (Part::Chunk, Some("Title")));
            assert!(!part.items.is_empty());
            run.sizes.push(part.items.len());
            run.chunks.extend(part.items);
            run.strategy = Some(record.document.metadata["strategy"].as_str().unwrap().to_owned());
            let first = document.get_or_insert_with(|| Arc::clone(&record.document));
            assert!(Arc::ptr_eq(first, &record.document), "all records share one document");
        }
        if step == Step::Done {
            run.skip = skip;
            return run;
        }
        assert_eq!(skip, None);
    }
}

pub(crate) fn chunks_of(changes: Value, kind: TextKind, content: &str) -> Vec<Chunk> {
    run(&build(changes), "a.txt", text(content, kind)).chunks
}

pub(crate) fn reference(encoding: Encoding) -> &'static tiktoken_rs::CoreBPE {
    match encoding {
        Encoding::Cl100kBase => tiktoken_rs::cl100k_base_singleton(),
        Encoding::O200kBase => tiktoken_rs::o200k_base_singleton(),
    }
}

/// A unit of `content`: the text between two marks that stand once in it.
pub(crate) fn block(content: &str, from: &str, to: &str, depth: u8, name: &str) -> Block {
    let start = content.find(from).unwrap();
    let end = start + content[start..].find(to).unwrap() + to.len();
    Block { start, end, depth, name: name.to_owned() }
}

/// Where in the text each chunk is from. What is no slice of it is rows of a table under the table's header.
pub(crate) fn places(name: &str, content: &str, run: &Run) -> Vec<Range<usize>> {
    let lines: Vec<usize> = std::iter::once(0).chain(content.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let place = |chunk: &Chunk| {
        let start = chunk.text.as_ptr().addr();
        if (run.base..run.base + content.len()).contains(&start) {
            return start - run.base..start - run.base + chunk.text.len();
        }
        let (first, last) = (chunk.line_start.unwrap() as usize, chunk.line_end.unwrap() as usize);
        let rows = lines[first - 1]..lines.get(last).copied().unwrap_or(content.len());
        let rows = rows.start..rows.start + content[rows].trim_end().len();
        let header = chunk
            .text
            .strip_suffix(&content[rows.clone()])
            .unwrap_or_else(|| panic!("{name}: {:?} does not end with {:?}", &*chunk.text, &content[rows.clone()]));
        assert_eq!(header.lines().count(), 2, "{name}: {header:?}");
        assert!(
            header.lines().nth(1).unwrap().trim_matches(['|', '-', ':', ' ', '\t', '\r']).is_empty(),
            "{name}: {header:?}"
        );
        assert!(content[..rows.start].contains(header), "{name}: {header:?} stands above");
        rows
    };
    run.chunks.iter().map(place).collect()
}

/// All that holds for any text and any setting.
pub(crate) fn assert_sound(name: &str, content: &str, run: &Run, encoding: Encoding, fits: impl Fn(&str) -> bool) {
    let places = places(name, content, run);
    let mut from = 0;
    for (at, (chunk, place)) in run.chunks.iter().zip(&places).enumerate() {
        let said: &str = &chunk.text;
        assert_eq!(chunk.ordinal as usize, at, "{name}: ordinals are consecutive");
        assert!(!said.trim().is_empty() && said.trim_end() == said, "{name}: {said:?}");
        assert!(fits(said), "{name}: chunk {at} of {} bytes is too long", said.len());
        let expected = reference(encoding).encode_ordinary(said).len();
        assert_eq!(chunk.tokens as usize, expected, "{name}: tokens of chunk {at}: {said:?}");
        assert!(place.end > from, "{name}: chunk {at} says nothing new");
        from = place.end;
        let line = |at: usize| content[..at].matches('\n').count() as u32 + 1;
        let lines = (Some(line(place.start)), Some(line(place.end)));
        assert_eq!((chunk.line_start, chunk.line_end), lines, "{name}: lines of chunk {at}");
    }
    let mut said: Vec<&str> = run.chunks.iter().map(|chunk| &*chunk.text).collect();
    said.sort_unstable();
    assert!(said.windows(2).all(|pair| pair[0] != pair[1]), "{name}: no chunk twice");
    let missing = missing(content, &places, &said);
    assert!(missing.is_none(), "{name}: nobody says {missing:?}");
}

/// A part of the text that is not white space, is in no chunk, and does not stand elsewhere as a whole chunk.
fn missing<'a>(content: &'a str, places: &[Range<usize>], said: &[&str]) -> Option<&'a str> {
    let first_gap = |places: &[Range<usize>]| {
        let mut covered = 0;
        places.iter().cloned().chain(std::iter::once(content.len()..content.len())).find_map(|place| {
            let gap = covered..place.start.max(covered);
            covered = covered.max(place.end);
            let text = content.get(gap).expect("cuts are at characters").trim();
            (!text.is_empty()).then_some(text)
        })
    };
    first_gap(places)?;
    // A chunk that was said before is left out, so where the same words stand again they are not missing. Of rows that
    // stood under a repeated header it is the rows that stand again.
    let mut places = places.to_vec();
    let rows = said.iter().filter_map(|text| text.splitn(3, '\n').nth(2));
    for text in said.iter().copied().chain(rows).filter(|text| !text.is_empty()) {
        let starts = content.char_indices().map(|(at, _)| at);
        places.extend(starts.filter(|&at| content[at..].starts_with(text)).map(|at| at..at + text.len()));
    }
    places.sort_unstable_by_key(|place| place.start);
    first_gap(&places)
}
