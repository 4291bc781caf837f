//! What the benches of the stage have in common: texts, the stage itself, and pools of threads.

use std::sync::{Arc, LazyLock};

use docmill_api::{
    BuildContext, CpuStage, Digest, Document, Node, Outputs, Payload, Record, Registry, SourceItem, Step, StepContext,
    Text, TextKind, defaults,
};

pub(crate) const MEGABYTES: usize = 10;

/// A text of a kind that [`generate`] knows, as a parser hands it over.
pub(crate) fn text(kind: &str, bytes: usize) -> Text {
    let content = generate(kind, bytes).into();
    let kind = match kind {
        "markdown" => TextKind::Markdown,
        "code" => TextKind::Code("rust".into()),
        _ => TextKind::Plain,
    };
    Text { content, kind, title: None, pages: Arc::new([]), blocks: Arc::new([]), lines: true }
}

pub(crate) fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started")
}

/// How many chunks a text gives.
pub(crate) fn chunks(stage: &dyn CpuStage, text: Text) -> usize {
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

/// A chunk stage of 512 tokens with 64 of overlap; of that many characters if they are not 0.
pub(crate) fn stage(characters: u32) -> Arc<dyn CpuStage> {
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
pub(crate) fn generate(kind: &str, bytes: usize) -> String {
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
