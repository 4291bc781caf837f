//! Whatever the text, its vector has length 1 or is zero, and costs no more than a bound.

use docmill_embed::{DIMENSIONS, Model, Scratch};
use proptest::prelude::*;

use crate::vector;

fn length(text: &str) -> f32 {
    let vector = vector(text);
    assert!(vector.iter().all(|value| value.is_finite()), "{text:?}");
    vector.iter().map(|value| value * value).sum::<f32>().sqrt()
}

#[test]
fn huge_and_odd_texts_are_embedded_like_any_other() {
    let megabyte = 1 << 20;
    for nothing in ["a".repeat(megabyte), " \n\t".repeat(megabyte), "\u{0}\u{1}\u{7f}\u{ad}".repeat(megabyte / 4)] {
        assert_eq!(length(&nothing), 0.0);
    }
    for text in ["Yes. ".repeat(100_000), "!".repeat(megabyte), "漢".repeat(megabyte / 3), "[PAD]".repeat(megabyte / 5)]
    {
        assert!((length(&text) - 1.0).abs() < 1e-5, "{:?}", &text[..5]);
    }
}

#[test]
fn what_comes_after_the_tokens_that_count_has_no_part() {
    let start = "rain ".repeat(512);
    assert_eq!(vector(&start), vector(&format!("{start}snow snow snow")));
    assert_ne!(vector(&start[5..]), vector(&format!("{}snow snow snow", &start[5..])));
    let spaces = " ".repeat(512 * 6);
    assert_eq!(vector(&format!("{spaces}snow")), [0.0; DIMENSIONS], "characters are counted as well");
    let model = Model::shared().unwrap();
    let mut whole = [0.0; DIMENSIONS];
    model.embed(&format!("{start}snow snow snow"), 600, &mut Scratch::default(), &mut whole);
    assert_ne!(whole, vector(&start), "with a larger limit it has");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_gets_a_unit_vector_or_zeros(text in any::<String>()) {
        let length = length(&text);
        prop_assert!(length == 0.0 || (length - 1.0).abs() < 1e-5, "{}", length);
    }

    #[test]
    fn a_used_scratch_changes_nothing(texts in prop::collection::vec("\\PC{0,80}", 1..8), limit in 0_usize..40) {
        let model = Model::shared().unwrap();
        let mut used = Scratch::default();
        for text in &texts {
            let (mut one, mut other) = ([1.0; DIMENSIONS], [2.0; DIMENSIONS]);
            model.embed(text, limit, &mut used, &mut one);
            model.embed(text, limit, &mut Scratch::default(), &mut other);
            prop_assert_eq!(one, other);
        }
    }
}
