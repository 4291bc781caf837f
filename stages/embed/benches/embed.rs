//! How fast the model embeds, on one thread: bytes and texts a second over generated texts, and reading the model.

#![allow(missing_docs, reason = "a bench has no interface")]

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use docmill_embed::{DIMENSIONS, Model, Scratch};

fn main() {
    divan::main();
}

/// Common words with a few rare ones between them, in sentences: about a token and a quarter a word, like prose.
const WORDS: [&str; 48] = [
    "the",
    "of",
    "and",
    "to",
    "a",
    "in",
    "that",
    "is",
    "was",
    "he",
    "for",
    "it",
    "with",
    "as",
    "his",
    "on",
    "be",
    "system",
    "pressure",
    "results",
    "boundary",
    "layer",
    "method",
    "theory",
    "experimental",
    "flow",
    "velocity",
    "information",
    "retrieval",
    "document",
    "pipeline",
    "throughput",
    "measured",
    "hypersonic",
    "aerodynamic",
    "quasi-steady",
    "approximation",
    "librarians",
    "bibliographic",
    "semiconductor",
    "transistors",
    "amplification",
    "1998",
    "3.14",
    "Reynolds",
    "Karman's",
    "unprecedented",
    "counterintuitive",
];

/// Common ideographs and kana.
const IDEOGRAPHS: &str = "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可里の是する文書検索パイプライン";

/// A generator whose texts are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

fn prose(bytes: usize, random: &mut Random) -> String {
    let mut text = String::new();
    while text.len() < bytes {
        text.push_str(WORDS[random.below(WORDS.len())]);
        text.push_str(if random.below(12) == 0 { ". " } else { " " });
    }
    text
}

fn ideographs(bytes: usize, random: &mut Random) -> String {
    let characters: Vec<char> = IDEOGRAPHS.chars().collect();
    let mut text = String::new();
    while text.len() < bytes {
        text.push(characters[random.below(characters.len())]);
        if random.below(20) == 0 {
            text.push('。');
        }
    }
    text
}

fn run(bencher: Bencher<'_, '_>, texts: &[String]) {
    let model = Model::shared().expect("the model is part of the program");
    let bytes: usize = texts.iter().map(String::len).sum();
    let mut scratch = Scratch::default();
    let mut vector = [0.0; DIMENSIONS];
    bencher.counter(BytesCount::new(bytes)).counter(ItemsCount::new(texts.len())).bench_local(|| {
        for text in texts {
            model.embed(black_box(text), 512, &mut scratch, &mut vector);
            black_box(&vector);
        }
    });
}

/// A batch of 256 texts of so many bytes; 1,100 is the length of an abstract, 2,200 that of a chunk.
#[divan::bench(args = [270, 1_100, 2_200])]
fn english(bencher: Bencher<'_, '_>, bytes: usize) {
    let mut random = Random(1);
    let texts: Vec<String> = (0..256).map(|_| prose(bytes, &mut random)).collect();
    run(bencher, &texts);
}

#[divan::bench]
fn chinese_and_japanese(bencher: Bencher<'_, '_>) {
    let mut random = Random(2);
    let texts: Vec<String> = (0..256).map(|_| ideographs(1_100, &mut random)).collect();
    run(bencher, &texts);
}

/// Words from all of the vocabulary, each as likely as another: rows come from memory rather than from a cache.
#[divan::bench]
fn rare_words(bencher: Bencher<'_, '_>) {
    let file: serde_json::Value =
        serde_json::from_slice(include_bytes!("../model/tokenizer.json")).expect("the file is part of the program");
    let vocabulary = file["model"]["vocab"].as_object().expect("the vocabulary is a table");
    let words: Vec<&String> =
        vocabulary.keys().filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())).collect();
    let mut random = Random(3);
    let mut text = || {
        let mut text = String::new();
        while text.len() < 1_100 {
            text.push_str(words[random.below(words.len())]);
            text.push(' ');
        }
        text
    };
    let texts: Vec<String> = (0..256).map(|_| text()).collect();
    run(bencher, &texts);
}

/// What the first batch pays.
#[divan::bench]
fn read_model() -> Model {
    let tokenizer = include_bytes!("../model/tokenizer.json");
    let weights = include_bytes!("../model/model.safetensors");
    Model::read(black_box(tokenizer), weights).expect("the model is part of the program")
}
