//! Whether a PDF has annotations worth reading, by its bytes alone. Objects may be packed into compressed streams
//! (`ObjStm`), which are inflated and searched as well, up to a bound; a file that goes beyond it is taken to have none,
//! since the library that would read them inflates without one.

use std::io::Read;

use flate2::read::ZlibDecoder;
use memchr::memmem;

/// Inflated object streams of a file: a thousand pages of a manual have some 10 MiB.
const MAX_INFLATED: u64 = 64 << 20;

/// As far around the word `/ObjStm` as the dictionary that it stands in reaches.
const DICTIONARY: usize = 2048;

/// Kinds of annotations whose contents somebody wrote. Links and media carry at most a description of where they lead.
pub(super) const WRITTEN: [&[u8]; 15] = [
    b"Text",
    b"FreeText",
    b"Highlight",
    b"Underline",
    b"StrikeOut",
    b"Squiggly",
    b"Caret",
    b"Stamp",
    b"Ink",
    b"Popup",
    b"Line",
    b"Square",
    b"Circle",
    b"Polygon",
    b"PolyLine",
];

/// A field of a form.
const FIELD: &[u8] = b"Widget";

/// Whether any annotation or form shows in the file.
pub(super) fn has_annotations(bytes: &[u8]) -> bool {
    let packed = match packed(bytes) {
        Packed::Shows => true,
        Packed::ShowsNone => false,
        // Not even what shows in the open can be read safely.
        Packed::TooMuch => return false,
    };
    packed || shows(bytes)
}

fn shows(bytes: &[u8]) -> bool {
    if memmem::find(bytes, b"/AcroForm").is_some() {
        return true;
    }
    memmem::find_iter(bytes, b"/Subtype").any(|at| {
        let rest = bytes[at + b"/Subtype".len()..].trim_ascii_start();
        let Some(name) = rest.strip_prefix(b"/") else { return false };
        let end = name.iter().take(16).position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(0);
        &name[..end] == FIELD || WRITTEN.contains(&&name[..end])
    })
}

enum Packed {
    Shows,
    ShowsNone,
    TooMuch,
}

/// Searches the object streams.
fn packed(bytes: &[u8]) -> Packed {
    let mut left = MAX_INFLATED;
    let mut shown = false;
    for at in memmem::find_iter(bytes, b"/ObjStm") {
        let dictionary = &bytes[at..bytes.len().min(at + DICTIONARY)];
        let Some(begin) = memmem::find(dictionary, b"stream") else { continue };
        let data = &bytes[at + begin + b"stream".len()..];
        let data = data.strip_prefix(b"\r").unwrap_or(data);
        let data = data.strip_prefix(b"\n").unwrap_or(data);
        let mut inflated = Vec::new();
        // What is damaged or locked is searched as far as it goes.
        let _ = ZlibDecoder::new(data).take(left + 1).read_to_end(&mut inflated);
        match left.checked_sub(inflated.len() as u64) {
            Some(rest) => left = rest,
            None => return Packed::TooMuch,
        }
        shown = shown || shows(&inflated);
    }
    if shown { Packed::Shows } else { Packed::ShowsNone }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    fn object_stream(content: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).expect("written");
        let packed = encoder.finish().expect("ended");
        [b"%PDF-1.5\n1 0 obj <</Type/ObjStm /N 1>>\nstream\r\n".as_slice(), &packed, b"\nendstream"].concat()
    }

    #[test]
    fn notes_and_forms_show_and_links_do_not() {
        assert!(has_annotations(b"<< /Type /Annot /Subtype\n/FreeText >>"));
        assert!(has_annotations(b"<< /AcroForm 7 0 R >>"));
        assert!(!has_annotations(b"<< /Annots [1 0 R] >> << /Subtype /Link >> << /ProcSet [/PDF /Text] >>"));
        assert!(has_annotations(&object_stream(b"<</Subtype/Highlight>>")));
        assert!(!has_annotations(&object_stream(b"<</Subtype/Link>>")));
    }

    #[test]
    fn a_bomb_shows_nothing() {
        let bomb = vec![b' '; usize::try_from(MAX_INFLATED).expect("fits") + 1];
        let file = [object_stream(&bomb), b"<< /Subtype /FreeText >>".to_vec()].concat();
        assert!(!has_annotations(&file));
    }
}
