//! Any text, cut under any limit: what the tests of the stage hold for theirs holds for it, by the same code.
//!
//! The first eight bytes are settings (see [`Settings`]), the rest is the text.

#![no_main]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use docmill_api::{Block, CpuStage, Page, Text, TextKind};
use docmill_chunk::{Encoding, Tokenizer};
use docmill_fuzz::settings;
use libfuzzer_sys::fuzz_target;
use serde_json::json;

#[allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "the tests', of which not all is called here")]
#[path = "../../stages/chunk/tests/chunk/support.rs"]
mod support;

/// How a text is cut, by eight bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Settings {
    kind: u8,
    encoding: Encoding,
    characters: bool,
    size: usize,
    overlap: usize,
}

impl Settings {
    fn of([kind, measure, size, overlap, ..]: [u8; 8]) -> Self {
        let characters = measure & 2 != 0;
        let size = if characters { 1 + usize::from(size) } else { 8 + usize::from(size) };
        let encoding = if measure & 1 == 0 { Encoding::Cl100kBase } else { Encoding::O200kBase };
        Self { kind: kind % 3, encoding, characters, size, overlap: usize::from(overlap) % size }
    }

    fn stage(self) -> Arc<dyn CpuStage> {
        static STAGES: Mutex<Option<HashMap<Settings, Arc<dyn CpuStage>>>> = Mutex::new(None);
        let mut stages = STAGES.lock().unwrap_or_else(PoisonError::into_inner);
        let stage = stages.get_or_insert_default().entry(self).or_insert_with(|| {
            let unit = if self.characters { "characters" } else { "tokens" };
            support::build(json!({ unit: self.size, "overlap": self.overlap, "encoding": self.encoding.as_str() }))
        });
        Arc::clone(stage)
    }

    fn fits(self, said: &str) -> bool {
        let length = match self.characters {
            true => said.chars().count(),
            false => support::reference(self.encoding).encode_ordinary(said).len(),
        };
        length <= self.size
    }
}

fuzz_target!(|data: &[u8]| {
    let (bytes, text) = settings::<8>(data);
    let settings = Settings::of(bytes);
    let content = String::from_utf8_lossy(text);
    let [.., blocks, length, depth, pages] = bytes;
    let text = Text {
        content: content.as_ref().into(),
        kind: match settings.kind {
            0 => TextKind::Plain,
            1 => TextKind::Markdown,
            _ => TextKind::Code("rust".into()),
        },
        title: Some("Title".into()),
        pages: pages_of(&content, pages),
        blocks: blocks_of(&content, blocks, length, depth),
        lines: true,
    };
    let trimmed = content.trim_end();
    let expected = support::reference(settings.encoding).encode_ordinary(trimmed).len();
    assert_eq!(Tokenizer::new(settings.encoding).count(trimmed), expected, "tokens of the whole");
    let numbers: Vec<u32> = text.pages.iter().map(|page| page.number).collect();
    let run = support::run(&settings.stage(), "a.txt", text);
    support::assert_sound("any", &content, &run, settings.encoding, |said| settings.fits(said));
    for page in run.chunks.iter().filter_map(|chunk| chunk.page) {
        assert!(numbers.contains(&page), "a page that the text has");
    }
});

/// Pages at even distances, in descending order where the byte is odd: a child may send any.
fn pages_of(content: &str, pages: u8) -> Arc<[Page]> {
    let step = content.len() / (usize::from(pages) + 1) + 1;
    let offsets = (0..content.len()).step_by(step).map(|at| content.floor_char_boundary(at));
    let mut pages_of: Vec<Page> = (1..).zip(offsets).map(|(number, offset)| Page { offset, number }).collect();
    if pages % 2 == 1 {
        pages_of.reverse();
    }
    pages_of.into()
}

/// Units that lie within the text, and need not lie within one another.
fn blocks_of(content: &str, count: u8, length: u8, depth: u8) -> Arc<[Block]> {
    let count = usize::from(count) % 32;
    let step = content.len() / (count + 1);
    let block = |index: usize| {
        let start = content.floor_char_boundary(index * step);
        let end = content.floor_char_boundary(start + step * usize::from(length) / 64 + usize::from(length));
        Block {
            start,
            end,
            depth: depth.wrapping_mul(u8::try_from(index).unwrap_or_default()) % 4,
            name: "fn f".into(),
        }
    };
    (0..count).map(block).collect()
}
