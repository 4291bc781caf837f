//! Rich text (RTF), by a reader of its own. `tokens` cuts the bytes into control words, groups and text; `state` knows
//! what a group is for and which letters its bytes are; `document` makes paragraphs, tables and notes of them. Groups nest
//! on a stack of small states with an end to it, never by recursion.

mod document;
mod state;
mod tokens;

use docmill_api::StepContext;

use crate::reader::{Input, Parsed, ReadError};

/// Reads an RTF document.
pub(super) fn read(input: &Input<'_>, cx: &StepContext) -> Result<Parsed, ReadError> {
    let bytes = input.bytes.trim_ascii_start();
    if !bytes.starts_with(b"{\\rt") {
        return Err(ReadError::Broken("no `{\\rtf` header".to_owned()));
    }
    let mut document = document::Document::default();
    for (index, token) in tokens::tokens(bytes).enumerate() {
        if index % 65_536 == 0 && cx.is_over() {
            return Err(ReadError::OutOfTime);
        }
        if !document.take(token, cx)? {
            break;
        }
    }
    document.finish(cx)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &[u8]) -> Result<Parsed, ReadError> {
        let bytes = bytes::Bytes::copy_from_slice(text);
        read(&Input { bytes: &bytes, charset: None }, &StepContext::detached())
    }

    fn text(body: &str) -> String {
        let parsed = read_text(format!("{{\\rtf1\\ansi\\ansicpg1252 {body}}}").as_bytes()).expect("read");
        parsed.content.to_string()
    }

    #[test]
    fn letters_come_out_of_every_way_to_write_them() {
        assert_eq!(text("caf\\'e9 \\u8364? \\u-10179?\\u-8704? \\{x\\}\\~y\\par"), "café € 😀 {x} y\n");
        assert_eq!(text("\\uc2\\u1050\\'3f\\'3fz{\\uc0\\u1051}\\u1052 ab c"), "КzЛМ c\n");
        let fonts = "{\\fonttbl{\\f0\\fcharset0 A;}{\\f1\\fcharset204 B;}{\\f2\\fcharset128 C;}}";
        assert_eq!(text(&format!("{fonts}\\f1\\'cf\\'f0\\f2\\'93\\'fa\\'83A\\f0\\'e9")), "Пр日アé\n");
    }

    #[test]
    fn what_is_no_text_is_left_out() {
        let body = "{\\stylesheet{\\s1 heading 1;}}{\\*\\generator quorvex;}{\\pict\\pngblip 89504e47}\
                    {\\*\\unknown quorvex {deep quorvex}}{\\object{\\*\\objdata 0105}{\\result shown}} {\\v quorvex}kept\\par";
        assert_eq!(text(body), "shown kept\n");
        let hidden = b"{\\rtf1 a\\bin8 {}{\\par}{b\\par}".as_slice();
        assert_eq!(&*read_text(hidden).expect("read").content, "ab\n");
    }

    #[test]
    fn structure_becomes_markdown() {
        let body = "{\\info{\\title The zantwick}}{\\stylesheet{\\s0 Normal;}{\\s1\\snext0 heading 1;}}\\pard\\s1 Head\\par\
                    \\pard text{\\footnote\\pard a note\\par} on{\\field{\\*\\fldinst HYPERLINK \"http://x\"}{\\fldrslt link}}\\par\
                    \\trowd\\cellx1\\cellx2\\pard\\intbl one|\\cell two\\par lines\\cell\\row\\intbl three\\cell four\\cell\\row\
                    \\pard{\\pntext\\'b7\\tab}item{\\*\\annotation why}\\par";
        assert_eq!(
            text(body),
            "# Head\n\ntext[^1] onlink\n\n| one\\| | two lines |\n| --- | --- |\n| three | four |\n\n- item\n\n[^1]: a note\n\n\
             Comment: why\n"
        );
        let parsed = read_text(b"{\\rtf1{\\info{\\title The zantwick}}x}").expect("read");
        assert_eq!(parsed.title.as_deref(), Some("The zantwick"));
    }

    #[test]
    fn depth_and_damage_are_answered() {
        let deep = [b"{\\rtf1 a".as_slice(), &b"{".repeat(1_000_000)].concat();
        assert!(matches!(read_text(&deep), Err(ReadError::TooLarge(_))));
        assert_eq!(&*read_text(b"{\\rtf1 a{b}} }}}{\\par c").expect("read").content, "ab\n");
        for end in 5..40 {
            let _ = read_text(&b"{\\rtf1\\u-1?\\bin99999999999 {\\'e\\uc-3\\'zz\\*\\}"[..end]);
        }
        assert!(matches!(read_text(b"{\\rtf1\\ansi }"), Err(ReadError::Skipped(_))));
        assert!(matches!(read_text(b"hello"), Err(ReadError::Broken(_))));
    }
}
