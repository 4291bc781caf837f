//! The words by which sentences are compared: lowered, numbered, and without those that every text is full of.

use std::collections::HashMap;

/// English words that say nothing about a text. Other languages have to do with frequency, which finds most of theirs.
const COMMON: &str = "a about after all also am an and any are as at be because been before being between both but by \
    can could did do does down each every for from had has have he her here him his how i if in into is it its just \
    like made make many may me more most much must my no not now of off on one only or other our out over own same \
    said see she should so some such than that the their them then there these they this those through to too two \
    under up us use used very was way we well were what when where which while who why will with would you your";

/// Numbers words in the order in which they are first met.
pub(crate) struct Words {
    /// By the hash of a word; [`Words::SILENT`] for a common one.
    numbers: HashMap<u64, u32>,
    count: u32,
}

impl Words {
    const SILENT: u32 = u32::MAX;

    pub(crate) fn new() -> Self {
        let numbers = COMMON.split_whitespace().map(|word| (hash(word), Self::SILENT)).collect();
        Self { numbers, count: 0 }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count as usize
    }

    /// The numbers of a text's words, ascending, each once; and how many words it has, common ones included.
    pub(crate) fn of(&mut self, text: &str) -> (Vec<u32>, usize) {
        let (mut found, mut total) = (Vec::new(), 0);
        each(text, |word| {
            total += 1;
            let next = self.count;
            let number = *self.numbers.entry(word).or_insert(next);
            if number == next {
                self.count += 1;
            }
            if number != Self::SILENT {
                found.push(number);
            }
        });
        found.sort_unstable();
        found.dedup();
        (found, total)
    }
}

/// Calls with the hash of every word: of letters and digits in scripts with spaces, of two neighbours in others.
fn each(text: &str, mut found: impl FnMut(u64)) {
    let mut word = START;
    let mut open = false;
    let mut before: Option<char> = None;
    for character in text.chars() {
        if is_unspaced(character) {
            if open {
                found(word);
                (word, open) = (START, false);
            }
            if let Some(before) = before {
                found(with(with(START, before), character));
            }
            before = Some(character);
            continue;
        }
        before = None;
        if character.is_alphanumeric() {
            open = true;
            if character.is_ascii() {
                word = with(word, character.to_ascii_lowercase());
            } else {
                word = character.to_lowercase().fold(word, with);
            }
        } else if open && character != '\'' && character != '’' {
            found(word);
            (word, open) = (START, false);
        }
    }
    if open {
        found(word);
    }
}

/// FNV-1a over characters: the same in every run, unlike the standard library's.
const START: u64 = 0xcbf2_9ce4_8422_2325;

fn with(hash: u64, character: char) -> u64 {
    (hash ^ u64::from(u32::from(character))).wrapping_mul(0x0000_0100_0000_01b3)
}

fn hash(word: &str) -> u64 {
    word.chars().fold(START, with)
}

/// Whether the character is of a script that writes words without spaces between.
pub(crate) fn is_unspaced(character: char) -> bool {
    matches!(u32::from(character),
        0x0e00..=0x0eff // Thai, Lao
        | 0x1000..=0x109f // Myanmar
        | 0x1780..=0x17ff // Khmer
        | 0x3005..=0x3007 | 0x3040..=0x30ff | 0x31f0..=0x31ff // kana
        | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff) // ideographs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart_by_letters_not_by_case_or_place() {
        let mut words = Words::new();
        let (first, total) = words.of("The Quick-brown fox, the FOX!");
        assert_eq!((first.len(), total), (3, 6));
        assert_eq!(words.of("fox brown quick").0, first);
        assert_eq!(words.of("THE AND of"), (vec![], 3));
        assert_eq!(words.of("Ärger").0, words.of("äRGER").0);
        assert_eq!(words.count(), 4);
    }

    #[test]
    fn scripts_without_spaces_are_compared_by_pairs() {
        let mut words = Words::new();
        assert_eq!(words.of("東京都").0.len(), 2);
        assert_eq!(words.of("京都").0, [1]);
        assert_eq!(words.of("都").0, [] as [u32; 0]);
        assert_eq!(words.of("ภาษาไทย").1, 6);
        assert_eq!(words.of("한국어 텍스트").0.len(), 2, "hangul has spaces");
    }
}
