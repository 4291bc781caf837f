//! How fast a document is chunked: the stage on ten megabytes of generated text, and what a user would pick instead
//! (`text-splitter` sized by `tiktoken-rs`) on the same and on a small slice, since its throughput falls as a text grows.
//!
//! Run `cargo bench -p docmill-chunk`; with `DOCMILL_BENCH_TEXT=FILE` a text of yours is measured besides, as `file`.

mod input;

use divan::Bencher;
use divan::counter::BytesCount;
use docmill_chunk::{Encoding, Tokenizer};
use text_splitter::{ChunkConfig, ChunkSizer, TextSplitter};

fn main() {
    divan::main();
}

const SLICE: usize = 200_000;

#[divan::bench(args = ["english", "prose", "markdown", "code", "chinese", "file"], sample_count = 7, sample_size = 1)]
fn stage_on_one_core(bencher: Bencher, kind: &str) {
    run_on(bencher, kind, input::MEGABYTES * 1_000_000, (0, 1));
}

/// The next part is encoded beside.
#[divan::bench(args = ["english", "prose", "markdown", "code", "chinese", "file"], sample_count = 7, sample_size = 1)]
fn stage_on_two_cores(bencher: Bencher, kind: &str) {
    run_on(bencher, kind, input::MEGABYTES * 1_000_000, (0, 2));
}

#[divan::bench(args = ["prose"], sample_count = 7, sample_size = 1)]
fn stage_by_characters(bencher: Bencher, kind: &str) {
    run(bencher, kind, input::MEGABYTES * 1_000_000, 2048);
}

#[divan::bench(args = ["prose", "markdown"], sample_count = 7, sample_size = 1)]
fn stage_on_a_slice(bencher: Bencher, kind: &str) {
    run(bencher, kind, SLICE, 0);
}

#[divan::bench(args = ["prose", "endless", "unbroken chinese", "emoji", "blank lines"], sample_count = 5, sample_size = 1)]
fn stage_on_a_megabyte(bencher: Bencher, kind: &str) {
    run(bencher, kind, 1_000_000, 0);
}

/// What no chunker that counts exactly can be faster than.
#[divan::bench(args = ["english", "prose", "chinese", "file"], sample_count = 7, sample_size = 1)]
fn counting_alone(bencher: Bencher, kind: &str) {
    let text = input::generate(kind, input::MEGABYTES * 1_000_000);
    let tokenizer = Tokenizer::new(Encoding::Cl100kBase);
    bencher.counter(BytesCount::new(text.len())).bench(|| tokenizer.count(&text));
}

#[divan::bench(args = ["prose"], sample_count = 3, sample_size = 1)]
fn text_splitter_with_tiktoken_rs_on_a_slice(bencher: Bencher, kind: &str) {
    peer(bencher, kind, SLICE);
}

/// Takes minutes.
#[divan::bench(args = ["english", "file"], sample_count = 1, sample_size = 1)]
fn text_splitter_with_tiktoken_rs(bencher: Bencher, kind: &str) {
    peer(bencher, kind, input::MEGABYTES * 1_000_000);
}

/// Takes minutes as well.
#[divan::bench(args = ["endless", "unbroken chinese", "emoji", "blank lines"], sample_count = 1, sample_size = 1)]
fn text_splitter_on_a_megabyte(bencher: Bencher, kind: &str) {
    peer(bencher, kind, 1_000_000);
}

fn peer(bencher: Bencher, kind: &str, bytes: usize) {
    struct Reference;
    impl ChunkSizer for Reference {
        fn size(&self, chunk: &str) -> usize {
            tiktoken_rs::cl100k_base_singleton().encode_ordinary(chunk).len()
        }
    }
    let text = input::generate(kind, bytes);
    bencher.counter(BytesCount::new(text.len())).bench(|| {
        let config = ChunkConfig::new(512).with_sizer(Reference).with_overlap(64).expect("64 is below 512");
        TextSplitter::new(config).chunks(&text).count()
    });
}

fn run(bencher: Bencher, kind: &str, bytes: usize, characters: u32) {
    run_on(bencher, kind, bytes, (characters, 1));
}

fn run_on(bencher: Bencher, kind: &str, bytes: usize, (characters, threads): (u32, usize)) {
    let (stage, text) = (input::stage(characters), input::text(kind, bytes));
    let pool = input::pool(threads);
    let bytes = BytesCount::new(text.content.len());
    bencher.counter(bytes).bench(|| pool.install(|| input::chunks(&*stage, text.clone())));
}
