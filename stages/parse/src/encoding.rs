//! From bytes to text in whatever encoding: byte-order mark, then a UTF-8 check, then what the document or its sender
//! says, then a guess from the bytes. Tells binary data from text. UTF-8 is checked once and not copied.

use std::borrow::Cow;

use bytes::Bytes;
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use docmill_api::ByteString;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Text, and the encoding it was in.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// Where it was UTF-8, the bytes themselves.
    pub(crate) text: ByteString,
    pub(crate) encoding: &'static str,
}

/// How much of a document is looked at to tell binary data and UTF-16: headers of binary formats are shorter.
const SAMPLE: usize = 8 << 10;

/// How much the guess of an encoding reads: it is sure of legacy encodings after a few hundred characters.
const GUESS_WINDOW: usize = 256 << 10;

/// Decodes; `None` where the bytes are no text in any encoding.
pub(crate) fn decode(bytes: &Bytes, declared: Option<&str>) -> Option<Decoded> {
    if let Some(text) = utf32(bytes) {
        return Some(Decoded { text: text.into(), encoding: "UTF-32" });
    }
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return Some(decode_as(encoding, &bytes.slice(mark..)));
    }
    if let Some(encoding) = utf16_without_mark(bytes) {
        return Some(decode_as(encoding, bytes));
    }
    if is_binary(bytes) {
        return None;
    }
    let error = match ByteString::try_from(bytes.clone()) {
        Ok(text) => return Some(Decoded { text, encoding: UTF_8.name() }),
        Err(error) => error,
    };
    if is_damaged_utf8(bytes) {
        return Some(Decoded { text: shared(bytes, String::from_utf8_lossy(bytes)), encoding: UTF_8.name() });
    }
    // A declared UTF-8 was just refuted; a declared UTF-16 would have shown its zero bytes.
    let declared = declared.and_then(|label| Encoding::for_label(label.as_bytes()));
    let declared = declared.filter(|encoding| ![UTF_8, UTF_16LE, UTF_16BE].contains(encoding));
    Some(decode_as(declared.unwrap_or_else(|| guess(bytes, error.valid_up_to())), bytes))
}

fn decode_as(encoding: &'static Encoding, bytes: &Bytes) -> Decoded {
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    Decoded { text: shared(bytes, text), encoding: encoding.name() }
}

/// A text that may be a part of these bytes.
fn shared(bytes: &Bytes, text: Cow<'_, str>) -> ByteString {
    match text {
        Cow::Borrowed(part) => bytes.slice_ref(part.as_bytes()).try_into().unwrap_or_else(|_| part.into()),
        Cow::Owned(text) => text.into_boxed_str().into(),
    }
}

fn guess(bytes: &[u8], first_unusual: usize) -> &'static Encoding {
    let start = first_unusual.saturating_sub(1 << 10);
    let window = &bytes[start..bytes.len().min(start + GUESS_WINDOW)];
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(window, true);
    detector.guess(None, Utf8Detection::Deny)
}

/// Whether the bytes are no text: control bytes that no text holds make up more than one in a hundred.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    // ESC is kept: ISO-2022-JP and terminal logs use it.
    let odd = sample.iter().filter(|byte| matches!(byte, 0..=6 | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f)).count();
    odd * 100 > sample.len() && utf16_without_mark(bytes).is_none() && Encoding::for_bom(bytes).is_none()
}

/// UTF-8 with a few bad bytes (a cut end, one pasted line) is still UTF-8: any other reading would spoil all the rest.
fn is_damaged_utf8(bytes: &[u8]) -> bool {
    let (mut bad, mut good) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        bad += usize::from(!chunk.invalid().is_empty());
        good += chunk.valid().bytes().filter(|byte| *byte >= 0xc0).count();
    }
    bad * 10 <= good
}

/// UTF-16 that does not say so: decodes without an error to characters that text is made of.
fn utf16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = &bytes[..bytes.len().min(SAMPLE) & !1];
    if bytes.len() % 2 == 1 || sample.len() < 4 || !sample.contains(&0) {
        return None;
    }
    let zeros = |offset: usize| sample.iter().skip(offset).step_by(2).filter(|byte| **byte == 0).count();
    let encoding = if zeros(1) > zeros(0) { UTF_16LE } else { UTF_16BE };
    let whole = encoding.decode_without_bom_handling_and_without_replacement(sample)?;
    let is_text = |c: char| {
        c.is_alphanumeric() || c.is_whitespace() || c.is_ascii_graphic() || ('\u{80}'..'\u{e000}').contains(&c)
    };
    let plain = whole.chars().filter(|c| *c == ' ' || *c == '\n' || c.is_ascii_alphanumeric()).count();
    let clean = whole.chars().all(|c| is_text(c) && (!c.is_control() || c.is_whitespace()));
    (clean && plain * 20 >= whole.chars().count()).then_some(encoding)
}

/// UTF-32 with its mark; `encoding_rs` leaves it out, as the web does.
fn utf32(bytes: &[u8]) -> Option<String> {
    let read = match bytes.first_chunk::<4>()? {
        [0xff, 0xfe, 0, 0] => u32::from_le_bytes,
        [0, 0, 0xfe, 0xff] => u32::from_be_bytes,
        _ => return None,
    };
    let (units, _) = bytes[4..].as_chunks::<4>();
    Some(units.iter().map(|unit| char::from_u32(read(*unit)).unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(bytes: &[u8]) -> (String, &'static str) {
        let decoded = decode(&Bytes::copy_from_slice(bytes), None).expect("text");
        (decoded.text.into(), decoded.encoding)
    }

    #[test]
    fn encodings_are_told_apart() {
        let sentence = "Größe, naïve Übung — Quorvex schließt die Tür.\n";
        assert_eq!(text_of(sentence.as_bytes()).1, "UTF-8");
        let with_mark = [b"\xef\xbb\xbf", sentence.as_bytes()].concat();
        assert_eq!(text_of(&with_mark), (sentence.to_owned(), "UTF-8"));
        let little: Vec<u8> = sentence.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = sentence.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(text_of(&little), (sentence.to_owned(), "UTF-16LE"));
        assert_eq!(text_of(&big), (sentence.to_owned(), "UTF-16BE"));
        assert_eq!(text_of(&[b"\xff\xfe".as_slice(), &little].concat()), (sentence.to_owned(), "UTF-16LE"));
        let wide: Vec<u8> = sentence.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        assert_eq!(text_of(&[b"\xff\xfe\0\0".as_slice(), &wide].concat()), (sentence.to_owned(), "UTF-32"));
    }

    #[test]
    fn legacy_encodings_are_guessed_or_taken_as_declared() {
        let russian = "Съешь же ещё этих мягких французских булок, да выпей чаю. ".repeat(4);
        let (bytes, encoding, _) = encoding_rs::WINDOWS_1251.encode(&russian);
        assert_eq!(text_of(&bytes), (russian.clone(), encoding.name()));
        let japanese = "いろはにほへと ちりぬるを わかよたれそ つねならむ".repeat(4);
        let (bytes, ..) = encoding_rs::SHIFT_JIS.encode(&japanese);
        assert_eq!(text_of(&bytes), (japanese, "Shift_JIS"));
        let (bytes, ..) = encoding_rs::KOI8_R.encode("Булки");
        assert_eq!(decode(&bytes.into_owned().into(), Some("koi8-r")).expect("text").text, "Булки");
    }

    #[test]
    fn damage_does_not_spoil_the_rest() {
        let mut cut = "日本語のテキスト".repeat(20).into_bytes();
        cut.truncate(cut.len() - 1);
        assert!(text_of(&cut).0.starts_with("日本語のテキスト"));
    }

    #[test]
    fn binary_data_is_no_text() {
        let noise: Vec<u8> = (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        assert!(decode(&noise.into(), None).is_none());
        let program = Bytes::from_static(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0>\0");
        assert!(decode(&program, None).is_none());
    }
}
