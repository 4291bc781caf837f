//! Tells a language by its commonest words. Small and predictable rather than clever: a text of a sentence or more is
//! told apart, a name or a table is not, and says so.

/// The commonest words of each language that are words of none of the others here, or of few.
const WORDS: &[(&str, &[&str])] = &[
    ("de", &["der", "die", "das", "und", "ist", "nicht", "ein", "eine", "mit", "auf", "für", "von", "den", "zu", "im"]),
    ("en", &["the", "and", "of", "to", "is", "that", "it", "was", "for", "with", "are", "this", "not", "be", "on"]),
    ("es", &["el", "los", "las", "que", "y", "por", "con", "una", "para", "del", "es", "como", "más", "pero", "se"]),
    ("fr", &["le", "les", "des", "et", "est", "une", "dans", "pour", "qui", "pas", "du", "sur", "au", "avec", "ce"]),
    ("it", &["il", "gli", "che", "di", "per", "non", "sono", "della", "è", "una", "con", "nel", "anche", "più", "si"]),
    (
        "nl",
        &["het", "een", "van", "en", "niet", "zijn", "op", "te", "met", "voor", "aan", "dat", "maar", "ook", "naar"],
    ),
];

/// As much of a text as is looked at.
const LOOK: usize = 64 << 10;

/// The least share of common words, in hundredths, and the least number of them: below, it is a list of names.
const SHARE: usize = 12;
const COUNT: usize = 3;

/// The languages that can be told.
pub(crate) fn languages() -> impl Iterator<Item = &'static str> {
    WORDS.iter().map(|(language, _)| *language)
}

/// The language of a text, where one is clear.
pub(crate) fn language(text: &str) -> Option<&'static str> {
    let mut counts = [0_usize; WORDS.len()];
    let mut total = 0;
    let head = text.get(..text.floor_char_boundary(LOOK)).unwrap_or(text);
    for word in head.split(|symbol: char| !symbol.is_alphabetic()).filter(|word| !word.is_empty()) {
        total += 1;
        let word = word.to_lowercase();
        for (count, (_, words)) in counts.iter_mut().zip(WORDS) {
            *count += usize::from(words.contains(&word.as_str()));
        }
    }
    let best = counts.iter().copied().max().unwrap_or(0);
    let clear =
        best >= COUNT && best * 100 >= total * SHARE && counts.iter().filter(|count| **count == best).count() == 1;
    let (language, _) = WORDS.get(counts.iter().position(|count| *count == best)?)?;
    clear.then_some(*language)
}

#[cfg(test)]
mod tests {
    use super::language;

    #[test]
    fn a_sentence_is_told_and_a_list_of_names_is_not() {
        for (text, wanted) in [
            ("The wheel is made of oak, and it turns with the brook.", Some("en")),
            ("Das Rad ist aus Eiche und dreht sich mit dem Bach auf die Mühle zu.", Some("de")),
            ("La roue est en chêne et les meules sont dans le moulin pour les grains.", Some("fr")),
            ("El molino es de los hermanos, y las piedras se cambian por otras.", Some("es")),
            ("Il mulino è della cooperativa e non si ferma per la notte, che è lunga.", Some("it")),
            ("Het rad is van eiken en de molen staat niet ver van het dorp, maar ook aan het water.", Some("nl")),
            ("Alder Brook, Long Acre, La Prée, Bridge Lane", None),
            ("水車小屋の粉", None),
            ("", None),
        ] {
            assert_eq!(language(text), wanted, "{text}");
        }
    }

    #[test]
    fn only_the_head_of_a_text_counts_and_no_character_is_cut() {
        let text = format!("{}{}", "é".repeat(70_000), " the the the and of".repeat(1000));
        assert_eq!(language(&text), None);
    }
}
