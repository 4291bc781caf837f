//! The text format read back, strictly: what is not in the format is a panic.

use std::collections::{BTreeMap, BTreeSet};

/// One line with a figure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

/// One family: its name, type and meaning, and its figures.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) help: String,
    pub(super) samples: Vec<Sample>,
}

/// All families of a text, in its order.
pub(super) fn read(text: &str) -> Vec<Described> {
    let mut families: Vec<Described> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a name and its meaning");
            assert!(families.iter().all(|family| family.name != name), "`{name}` is there twice");
            let (name, help) = (name.to_owned(), help.to_owned());
            families.push(Described { name, kind: String::new(), help, samples: Vec::new() });
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and its type");
            let family =
                families.last_mut().filter(|family| family.name == name).expect("the type of what was described");
            kind.clone_into(&mut family.kind);
        } else {
            let sample = sample(line);
            let family = families.last_mut().expect("a figure of something");
            let suffix = sample.name.strip_prefix(&family.name).expect("a figure of its family");
            let allowed: &[&str] = if family.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(allowed.contains(&suffix), "{line}");
            family.samples.push(sample);
        }
    }
    let all: Vec<&Sample> = families.iter().flat_map(|family| &family.samples).collect();
    let different: BTreeSet<_> = all.iter().map(|sample| (&sample.name, &sample.labels)).collect();
    assert_eq!(all.len(), different.len(), "a series is there twice");
    families
}

fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).expect("a name and a value");
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").expect("a label and its value");
            let (value, after) = quoted(after);
            assert!(labels.insert(label.to_owned(), value).is_none(), "`{label}` twice: {line}");
            rest = after;
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}').expect("the end of the labels");
    }
    let value = rest.strip_prefix(' ').expect("a space before the value");
    Sample { name: name.to_owned(), labels, value: value.parse().expect("a number") }
}

/// What stands in quotes, without its escapes, and what follows.
fn quoted(text: &str) -> (String, &str) {
    let (mut value, mut characters) = (String::new(), text.char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match characters.next().expect("something after a backslash").1 {
                'n' => '\n',
                plain @ ('"' | '\\') => plain,
                other => panic!("`\\{other}` is no escape"),
            }),
            plain => value.push(plain),
        }
    }
    panic!("the quotes are not closed: {text}")
}
