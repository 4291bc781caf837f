//! The vectors are the reference's. `fixtures/golden.json` holds what `model2vec` 0.10 (Python) gives for the same
//! model files, in millionths: `StaticModel.from_pretrained(folder).encode(texts)`.

use serde_json::Value;

use crate::{similarity, vector};

#[test]
fn vectors_are_those_of_the_reference_implementation() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../fixtures/golden.json")).unwrap();
    assert!(cases.len() > 50);
    for case in &cases {
        let text = case["text"].as_str().unwrap();
        let expected = case["vector"].as_array().unwrap();
        let actual = vector(text);
        assert_eq!(expected.len(), actual.len());
        for (expected, actual) in expected.iter().zip(actual) {
            let distance = (expected.as_f64().unwrap() / 1e6 - f64::from(actual)).abs();
            assert!(distance < 2e-6, "{distance} apart for {:?}", text.chars().take(60).collect::<String>());
        }
    }
}

#[test]
fn what_is_alike_is_near() {
    let query = "How do I cook pasta?";
    let near = similarity(query, "Boil the spaghetti in salted water, then add the tomato sauce.");
    let far = similarity(query, "The committee approved the budget for road maintenance.");
    assert!(near > far + 0.2, "{near} and {far}");
}
