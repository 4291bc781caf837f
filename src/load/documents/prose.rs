//! Words, sentences and paragraphs from a seed: what a document is about to a parser, a chunker and a model that embeds.
//!
//! No language model: words come as often as their rank in the list says (Zipf's law), sentences as long as English ones
//! are, and every document has a few words that it prefers, and names that are in no other.

use fastrand::Rng;

/// The most frequent words first, as a rank decides how often a word comes.
const WORDS: &str = "the of and to in a is that for it as was with be by on not he this are or his from at which but \
have an had they you were their one all we can her has there been if more when will would who so no what up out said \
about into than its time only could new them other some these two may then do first any my now such like our over man \
me even most made after also did many before must through years where much your way well down should because each just \
those people how too little state good very make world still own see men work long get here between both life being \
under never day same another know while last might us great old year off come since against go came right used take \
three water house place part found number system group change order point case hand later general level report process \
service result question program question field office company study record market plan paper problem form value city \
area season river bridge machine letter engine method price school meeting harbour winter garden island teacher storage \
measure surface record signal railway library account station contract committee region supply failure weather pressure \
distance agreement department increase temperature material industry development research evidence structure influence \
analysis production standard function population property resource direction technology environment management history \
average capacity delivery inventory maintenance schedule document archive catalogue reference calibration turbine \
cylinder reservoir estuary sediment glacier monsoon orchard granary foundry quarry lighthouse parliament treasury \
charter tariff ledger invoice mortgage insurance audit verdict statute clause tenant inspector surveyor architect \
physician pharmacy symptom diagnosis vaccine enzyme protein membrane molecule catalyst polymer alloy corrosion friction \
velocity momentum spectrum antenna circuit resistor capacitor transformer battery generator compressor refrigerator";

/// How many words a document prefers.
const TOPIC: usize = 8;

/// The share of words that are of the document's topic.
const TOPICAL: f64 = 0.06;

const SYLLABLES: &[&str] = &[
    "ba", "cor", "del", "en", "fal", "gri", "hol", "is", "jun", "ka", "lor", "mar", "nev", "os", "pel", "qui", "ros",
    "sten", "tor", "ul", "ver", "wick", "yar", "zan",
];

/// Writes prose. The same seed writes the same.
pub(super) struct Prose {
    random: Rng,
    words: Vec<&'static str>,
    /// At each word, the sum of the weights up to it.
    ranks: Vec<f64>,
    topic: Vec<&'static str>,
    /// Names that this document alone has.
    names: Vec<String>,
}

impl Prose {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let words: Vec<&str> = WORDS.split_whitespace().collect();
        let mut sum = 0.0;
        let mut rank = 0.0;
        let mut ranks = Vec::with_capacity(words.len());
        for _ in &words {
            rank += 1.0;
            // Mandelbrot's form of the law: the first words are not as far ahead as 1/rank has them.
            sum += 1.0 / (rank + 2.7);
            ranks.push(sum);
        }
        // What a document is about is no word that every sentence has.
        let content = &words[words.len() / 2..];
        let topic = (0..TOPIC).map(|_| content[random.usize(..content.len())]).collect();
        let mut prose = Self { random, words, ranks, topic, names: Vec::new() };
        prose.names = (0..4).map(|_| prose.new_name()).collect();
        prose
    }

    /// A number from 0 up to `end`, without it.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.random.usize(..end)
    }

    /// One of several.
    pub(super) fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    fn new_name(&mut self) -> String {
        let syllables: String = (0..2 + self.below(2)).map(|_| self.one_of(SYLLABLES)).collect();
        capital(&syllables)
    }

    /// A name that is in this document.
    pub(super) fn name(&mut self) -> String {
        let which = self.below(self.names.len());
        self.names[which].clone()
    }

    pub(super) fn word(&mut self) -> &'static str {
        if self.random.f64() < TOPICAL {
            return self.topic[self.random.usize(..self.topic.len())];
        }
        let at = self.random.f64() * self.ranks.last().copied().unwrap_or_default();
        let which = self.ranks.partition_point(|sum| *sum <= at).min(self.words.len() - 1);
        self.words[which]
    }

    /// Some words with a capital at the beginning, without a full stop.
    pub(super) fn heading(&mut self) -> String {
        let (count, topic) = (1 + self.below(4), self.below(TOPIC));
        let mut heading = capital(self.topic[topic]);
        for _ in 0..count {
            heading.push(' ');
            heading.push_str(self.word());
        }
        heading
    }

    pub(super) fn sentence(&mut self) -> String {
        // From 5 to 33 words, 19 in the middle: three dice.
        let count = 5 + self.below(10) + self.below(10) + self.below(11);
        let mut sentence = capital(self.word());
        for at in 1..count {
            sentence.push_str(if at > 3 && self.below(14) == 0 { ", " } else { " " });
            match self.below(60) {
                0 => sentence.push_str(&self.name()),
                1 => sentence.push_str(&(1 + self.below(4000)).to_string()),
                _ => sentence.push_str(self.word()),
            }
        }
        sentence.push_str(self.one_of(&[".", ".", ".", ".", ".", ".", ".", ";", "?"]));
        if sentence.ends_with(';') {
            sentence.push(' ');
            sentence.push_str(self.word());
            sentence.push('.');
        }
        sentence
    }

    /// Two to seven sentences.
    pub(super) fn paragraph(&mut self) -> String {
        let sentences: Vec<String> = (0..2 + self.below(6)).map(|_| self.sentence()).collect();
        sentences.join(" ")
    }

    /// A day of this century, as `2019-04-27`.
    pub(super) fn day(&mut self) -> String {
        format!("{}-{:02}-{:02}", 2000 + self.below(26), 1 + self.below(12), 1 + self.below(28))
    }
}

pub(super) fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn frequent_words_come_often_and_documents_differ() {
        let mut prose = Prose::new(1);
        let mut times: HashMap<&str, usize> = HashMap::new();
        for _ in 0..20_000 {
            *times.entry(prose.word()).or_default() += 1;
        }
        assert!(times["the"] > 3 * times["which"] && times["which"] > times["antenna"], "Zipf's law");
        assert!(times.len() > 250, "the list is used: {}", times.len());
        let of = |seed| Prose::new(seed).paragraph();
        assert_eq!(of(5), of(5));
        assert_ne!(of(5), of(6));
    }

    #[test]
    fn a_sentence_is_one() {
        let mut prose = Prose::new(2);
        for _ in 0..200 {
            let sentence = prose.sentence();
            assert!(sentence.starts_with(char::is_uppercase) && sentence.ends_with(['.', '?']), "{sentence}");
            assert!((5..40).contains(&sentence.split(' ').count()), "{sentence}");
        }
    }
}
