//! The index's words are what LanceDB's filters make of a text one after the other, whatever is remembered of them.

use lance_tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, StopWordFilter, TextAnalyzer,
    TokenStream,
};

use super::super::index::words;

type Word = (String, usize, usize, usize);

fn all(stream: &mut dyn TokenStream) -> Vec<Word> {
    let mut words = Vec::new();
    stream.process(&mut |word| words.push((word.text.clone(), word.position, word.offset_from, word.offset_to)));
    words
}

/// The filters of `words()`, each behind the other.
fn one_after_the_other(text: &str) -> Vec<Word> {
    let stop = StopWordFilter::new(Language::English).expect("English has stop words");
    let mut analyzer = TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(65))
        .filter(LowerCaser)
        .filter(Stemmer::new(Language::English))
        .filter(stop)
        .filter(AsciiFoldingFilter)
        .build();
    all(&mut *analyzer.token_stream(text))
}

/// Words of 1 to some hundred bytes, most of them said before, between signs.
fn text(seed: u64) -> String {
    const PARTS: [&str; 16] =
        ["a", "the", "Run", "ning", "ly", "IZ", "ation", "s", "é", "Straße", "ﬁ", "İ", "磨", "Ωμέγα", "\u{301}", "7"];
    let word = |random: &mut fastrand::Rng| {
        (0..1 << random.usize(0..5)).map(|_| PARTS[random.usize(..PARTS.len())]).collect::<String>()
    };
    let mut random = fastrand::Rng::with_seed(seed);
    let known: Vec<String> = (0..2_000).map(|_| word(&mut random)).collect();
    let mut text = String::new();
    for _ in 0..20_000 {
        let often = random.usize(..known.len()).min(random.usize(..known.len()));
        text += &if random.u8(..4) == 0 { word(&mut random) } else { known[often].clone() };
        text.push(if seed.is_multiple_of(2) { ' ' } else { ',' });
    }
    text
}

#[test]
fn words_that_are_remembered_are_what_the_filters_make_of_them() {
    let mut tokenizer = words().build().expect("built");
    let prose = "The millers were running; their MILLS' wheels (réfléchir, Mühlen) turned. It's 2026. ".repeat(3);
    let texts = [prose, String::new()].into_iter().chain((0..12).map(text));
    for text in texts {
        let expected = one_after_the_other(&text);
        assert!(expected == all(&mut *tokenizer.token_stream_for_doc(&text)), "in {text:.80}");
        assert!(expected == all(&mut *tokenizer.token_stream_for_search(&text)), "searching {text:.80}");
    }
}
