//! What the guide says of the frames is what is spoken.

use docmill_api::frames::{self, Message};
use serde_json::Value;

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/own-stage.md");

#[test]
fn every_header_in_the_guide_is_one() {
    let guide = std::fs::read_to_string(GUIDE).unwrap();
    let headers = guide.lines().filter_map(|line| line.strip_prefix("> ").or(line.strip_prefix("< ")));
    let mut kinds = Vec::new();
    for header in headers.filter(|line| line.starts_with('{')) {
        let message: Message = serde_json::from_str(header).unwrap_or_else(|error| panic!("{error}: {header}"));
        let (written, read): (Value, Value) =
            (serde_json::from_str(header).unwrap(), serde_json::to_value(&message).unwrap());
        for (key, value) in written.as_object().unwrap() {
            // What the guide leaves out is null.
            let same = value.as_object().map_or(read[key] == *value, |_| !read[key].is_null());
            assert!(same, "`{key}` of {header}");
        }
        kinds.push(written["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(kinds, ["hello", "ready", "input", "output", "end", "failed", "failed", "output"]);
}

#[test]
fn the_bytes_in_the_guide_are_those_of_a_frame() {
    let guide = std::fs::read_to_string(GUIDE).unwrap();
    let dump = guide.lines().filter(|line| line.starts_with("00") && line.get(4..6) == Some("  "));
    let bytes: Vec<u8> = dump
        .flat_map(|line| line[6..54.min(line.len())].split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let mut written = Vec::new();
    frames::write(&mut written, &Message::End { skip: None }, b"").unwrap();
    assert_eq!(bytes, written);
}
