//! How fast a document is chunked: the stage on ten megabytes of generated text, and what a user would pick instead
//! (`text-splitter` sized by `tiktoken-rs`) on the same and on a small slice, since its throughput falls as a text grows.
//!
//! Run `cargo bench -p docmill-chunk`; with `DOCMILL_BENCH_TEXT=FILE` a text of yours is measured besides, as `file`.

use std::sync::{Arc, LazyLock};

use divan::Bencher;
use divan::counter::BytesCount;
use docmill_api::{
    BuildContext, ByteString, CpuStage, Digest, Document, Node, Outputs, Payload, Record, Registry, SourceItem, Step,
    StepContext, Text, TextKind, defaults,
};
use docmill_chunk::{Encoding, Tokenizer};
use text_splitter::{ChunkConfig, ChunkSizer, TextSplitter};

fn main() {
    divan::main();
}

const MEGABYTES: usize = 10;
const SLICE: usize = 200_000;

#[divan::bench(args = ["english", "prose", "markdown", "code", "chinese", "file"], sample_count = 7, sample_size = 1)]
fn stage_on_one_core(bencher: Bencher, kind: &str) {
    run_on(bencher, kind, MEGABYTES * 1_000_000, (0, 1));
}

/// The next part is encoded beside.
#[divan::bench(args = ["english", "prose", "markdown", "code", "chinese", "file"], sample_count = 7, sample_size = 1)]
fn stage_on_two_cores(bencher: Bencher, kind: &str) {
    run_on(bencher, kind, MEGABYTES * 1_000_000, (0, 2));
}

#[divan::bench(args = ["prose"], sample_count = 7, sample_size = 1)]
fn stage_by_characters(bencher: Bencher, kind: &str) {
    run(bencher, kind, MEGABYTES * 1_000_000, 2048);
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
    let text = generate(kind, MEGABYTES * 1_000_000);
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
    peer(bencher, kind, MEGABYTES * 1_000_000);
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
    let text = generate(kind, bytes);
    bencher.counter(BytesCount::new(text.len())).bench(|| {
        let config = ChunkConfig::new(512).with_sizer(Reference).with_overlap(64).expect("64 is below 512");
        TextSplitter::new(config).chunks(&text).count()
    });
}

fn run(bencher: Bencher, kind: &str, bytes: usize, characters: u32) {
    run_on(bencher, kind, bytes, (characters, 1));
}

fn run_on(bencher: Bencher, kind: &str, bytes: usize, (characters, threads): (u32, usize)) {
    let stage = build(characters);
    let content: ByteString = generate(kind, bytes).into();
    let kind = match kind {
        "markdown" => TextKind::Markdown,
        "code" => TextKind::Code("rust".into()),
        _ => TextKind::Plain,
    };
    let text = Text { content, kind, title: None, pages: Arc::new([]), blocks: Arc::new([]), lines: true };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started");
    let bytes = BytesCount::new(text.content.len());
    bencher.counter(bytes).bench(|| pool.install(|| chunks(&*stage, text.clone())));
}

/// How many chunks a text gives.
fn chunks(stage: &dyn CpuStage, text: Text) -> usize {
    let item = SourceItem { uri: "file:///bench".into(), ..SourceItem::default() };
    let document = Arc::new(Document::admit(item, Digest::of(&[])));
    let context = StepContext::detached();
    let mut work = stage.open(&context, Record { document, payload: Payload::Text(text) }).expect("a text is taken");
    let mut chunks = 0;
    loop {
        let mut out = Outputs::with_quota(1 << 20);
        let step = work.step(&context, &mut out).expect("chunking does not fail");
        chunks += out.records().iter().map(|record| record.payload.items()).sum::<usize>();
        if step == Step::Done {
            return chunks;
        }
    }
}

fn build(characters: u32) -> Arc<dyn CpuStage> {
    let mut registry = Registry::default();
    docmill_chunk::register(&mut registry);
    let factory = registry.get("chunk").expect("it was registered");
    let mut config = defaults(&factory.spec().fields);
    config["characters"] = characters.into();
    let context = BuildContext {
        stage: "chunk".into(),
        base: ".".into(),
        fingerprint: Digest::of(&[]),
        embedding: None,
        inputs: Vec::new(),
        ..BuildContext::default()
    };
    match futures_lite(factory.build(config, &context)) {
        Ok(Node::Cpu(stage)) => stage,
        _ => unreachable!("the stage is of the CPU tier"),
    }
}

/// Runs a future that never waits.
fn futures_lite<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => unreachable!("building a chunk stage waits for nothing"),
    }
}

const COMMON: &str = "the of and to in a is that for it as was with be by on not he his but at are this have from or had an \
    they which one you were all her she there would their we him been has when who will no more if out so up said what \
    its about than into them can only other time new some could these two may first then do any like my now over such \
    our man me even most made after also did many off before must well back through years much where your way down \
    should because long each just state those people too mr how little good world make very year still see own work men \
    day get here old life both between being under three never know same last another while us might great go come since \
    against right came take used himself few house use place during high without again home around small however found";

const HAN: &str = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实";

/// Text made of words as a language has them: a few very often, many seldom, in sentences and paragraphs.
fn generate(kind: &str, bytes: usize) -> String {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut text = String::with_capacity(bytes + 1000);
    while text.len() < bytes {
        match kind {
            "english" => english(&mut text, &mut dice),
            "file" => text.push_str(&yours()),
            "endless" => text.push_str("abcdefghijklmnop"),
            "unbroken chinese" => text.push(han(&mut dice)),
            "emoji" => text.push_str(["👩‍👩‍👧‍👦", "🎉", "🏳️‍🌈", "👍🏽"][dice.below(4)]),
            "blank lines" => text.push_str(["a", "\n", " \n", "\n"][dice.below(4)]),
            "chinese" => chinese_paragraph(&mut text, &mut dice),
            "code" => code_block(&mut text, &mut dice),
            "markdown" => {
                text.push_str(["# ", "## ", "### "][dice.below(3)]);
                sentence(&mut text, &mut dice);
                text.push_str("\n\n");
                paragraph(&mut text, &mut dice);
                for _ in 0..dice.below(6) {
                    text.push_str("- ");
                    sentence(&mut text, &mut dice);
                    text.push('\n');
                }
                if dice.below(3) == 0 {
                    text.push_str("\n```rust\n");
                    code_block(&mut text, &mut dice);
                    text.push_str("```\n\n");
                }
            }
            _ => paragraph(&mut text, &mut dice),
        }
    }
    text.truncate(text.floor_char_boundary(bytes));
    text
}

/// The text that `DOCMILL_BENCH_TEXT` names; without it, nothing that takes time.
fn yours() -> String {
    let file = std::env::var_os("DOCMILL_BENCH_TEXT").map(|path| std::fs::read_to_string(path).expect("a text"));
    file.unwrap_or_else(|| "no text was named\n".repeat(1_000_000))
}

/// A paragraph of sentences as people write them: those of this project's documents.
fn english(text: &mut String, dice: &mut Dice) {
    static SENTENCES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let pages = ["docs/adr", "docs/guide", "docs"].map(|place| format!("{root}/{place}"));
        let files = pages.iter().flat_map(|page| std::fs::read_dir(page).into_iter().flatten().flatten());
        let mut paths: Vec<_> =
            files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
        paths.sort();
        let mut sentences = Vec::new();
        for path in paths {
            let page = std::fs::read_to_string(path).expect("a page is readable");
            let blocks = page.split("\n\n").filter(|block| block.starts_with(|c: char| c.is_ascii_uppercase()));
            let joined = blocks.map(|block| block.replace('\n', " ")).collect::<Vec<_>>().join(" ");
            sentences.extend(joined.split_inclusive(". ").filter(|one| one.len() > 40).map(str::to_owned));
        }
        sentences
    });
    for _ in 0..3 + dice.below(6) {
        text.push_str(&SENTENCES[dice.below(SENTENCES.len())]);
    }
    text.push_str("\n\n");
}

/// A word of a few that are frequent, or one that is made up: more of the latter than a language has.
fn word(text: &mut String, dice: &mut Dice) {
    let common: Vec<&str> = COMMON.split_ascii_whitespace().collect();
    if dice.below(10) < 6 {
        text.push_str(common[dice.below(common.len()).min(dice.below(common.len()))]);
        return;
    }
    let syllables =
        ["ment", "con", "ta", "re", "li", "stra", "ver", "pro", "si", "ing", "per", "no", "cal", "er", "tion", "de"];
    for _ in 0..2 + dice.below(3) {
        text.push_str(syllables[dice.below(syllables.len())]);
    }
}

fn sentence(text: &mut String, dice: &mut Dice) {
    text.push(char::from(b'A' + u8::try_from(dice.below(26)).unwrap_or(0)));
    for at in 0..6 + dice.below(20) {
        if at > 0 {
            text.push_str(if dice.below(9) == 0 { ", " } else { " " });
        }
        word(text, dice);
    }
    text.push('.');
}

fn paragraph(text: &mut String, dice: &mut Dice) {
    for _ in 0..2 + dice.below(8) {
        sentence(text, dice);
        text.push(' ');
    }
    text.push_str("\n\n");
}

fn code_block(text: &mut String, dice: &mut Dice) {
    text.push_str("fn ");
    word(text, dice);
    text.push_str("(input: &str) -> usize {\n");
    for _ in 0..4 + dice.below(10) {
        text.push_str("    let ");
        word(text, dice);
        text.push_str(" = self.");
        word(text, dice);
        text.push_str("(0x1f, \"");
        word(text, dice);
        text.push_str("\");\n");
    }
    text.push_str("}\n\n");
}

fn chinese_paragraph(text: &mut String, dice: &mut Dice) {
    for _ in 0..3 + dice.below(6) {
        for _ in 0..8 + dice.below(30) {
            text.push(han(dice));
            if dice.below(14) == 0 {
                text.push('，');
            }
        }
        text.push('。');
    }
    text.push('\n');
}

fn han(dice: &mut Dice) -> char {
    let count = HAN.chars().count();
    HAN.chars().nth(dice.below(count).min(dice.below(count))).unwrap_or('的')
}

/// A small generator, the same on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound
    }
}
