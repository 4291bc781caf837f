//! Texts: which encoding, and what kind of text. Marks at the beginning decide where they are sure; the extension
//! decides all else.

use std::borrow::Cow;

use super::names;

/// How a text is written, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
    /// One of the many before: bytes above 127, few control characters.
    Legacy,
    /// No text.
    Binary,
}

/// What is decoded to look for marks; the longest comment or licence before a root element fits.
const HEAD: usize = 8 << 10;

pub(super) fn encoding(sample: &[u8]) -> Encoding {
    match sample {
        [0xff, 0xfe, rest @ ..] if is_utf16(rest, u16::from_le_bytes) => return Encoding::Utf16Le,
        [0xfe, 0xff, rest @ ..] if is_utf16(rest, u16::from_be_bytes) => return Encoding::Utf16Be,
        _ => {}
    }
    if sample.contains(&0) {
        return bare_utf16(sample);
    }
    let controls = sample.iter().filter(|byte| is_control(**byte)).count();
    let whole = match std::str::from_utf8(sample) {
        Ok(_) => true,
        // Cut within a character, where the sample is not all.
        Err(error) => error.error_len().is_none() && sample.len() >= super::SAMPLE,
    };
    match (whole, controls) {
        // Form feeds of a terminal and the like: a few in a long text are no reason to drop it.
        (true, controls) if controls <= sample.len() / 64 => Encoding::Utf8,
        (false, controls) if controls <= sample.len() / 256 => Encoding::Legacy,
        _ => Encoding::Binary,
    }
}

/// Control characters that texts do not hold; escape opens the shifts of ISO-2022 and the colours of logs.
fn is_control(byte: u8) -> bool {
    (byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x08 | 0x0c | 0x1b)) || byte == 0x7f
}

/// No zero, hardly a control character: what follows a byte order mark in a text.
fn is_utf16(bytes: &[u8], read: fn([u8; 2]) -> u16) -> bool {
    let units = bytes.len() / 2;
    let odd = bytes.chunks_exact(2).filter(|pair| {
        let unit = read([pair[0], pair[1]]);
        unit == 0 || u8::try_from(unit).is_ok_and(is_control)
    });
    odd.count() <= units / 64
}

/// UTF-16 without a mark: mostly Latin, so that every other byte is nearly always zero.
fn bare_utf16(sample: &[u8]) -> Encoding {
    let pairs = sample.len() / 2;
    if pairs < 4 {
        return Encoding::Binary;
    }
    let zeros = |at: usize| sample.chunks_exact(2).filter(|pair| pair[at] == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    if second > pairs * 2 / 3 && first == 0 && is_utf16(sample, u16::from_le_bytes) {
        Encoding::Utf16Le
    } else if first > pairs * 2 / 3 && second == 0 && is_utf16(sample, u16::from_be_bytes) {
        Encoding::Utf16Be
    } else {
        Encoding::Binary
    }
}

/// Text formats with a magic number.
pub(super) fn magic(bytes: &[u8]) -> Option<&'static str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.starts_with(b"{\\rtf") {
        return Some("application/rtf");
    }
    bytes.starts_with(b"%!PS").then_some("application/postscript")
}

/// The media type of a text.
pub(super) fn media_type(bytes: &[u8], encoding: Encoding, name: &str, declared: Option<&str>) -> Cow<'static, str> {
    if let Some(found) = magic(bytes) {
        return found.into();
    }
    let head = head(bytes, encoding);
    let named = names::text(name);
    if let Some(found) = marked(&head, named, declared) {
        return found.into();
    }
    if let Some(named) = named {
        return named.into();
    }
    if let Some(found) = shebang(&head).or_else(|| json(&head, bytes)) {
        return found.into();
    }
    if head.starts_with("%YAML ") {
        return "application/yaml".into();
    }
    match declared {
        Some(declared) if names::is_known_text(declared) => Cow::Owned(declared.to_owned()),
        _ => "text/plain".into(),
    }
}

/// The beginning, for looking at: what cannot be decoded becomes a replacement character.
fn head(bytes: &[u8], encoding: Encoding) -> String {
    let cut = &bytes[..bytes.len().min(HEAD)];
    let units = |read: fn([u8; 2]) -> u16| {
        char::decode_utf16(cut.chunks_exact(2).map(|pair| read([pair[0], pair[1]])))
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    };
    let text: String = match encoding {
        Encoding::Utf16Le => units(u16::from_le_bytes),
        Encoding::Utf16Be => units(u16::from_be_bytes),
        _ => String::from_utf8_lossy(cut).into_owned(),
    };
    match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}

/// HTML, XML and e-mail by their first words, unless the name says that the text only speaks of them.
fn marked(head: &str, named: Option<&'static str>, declared: Option<&str>) -> Option<&'static str> {
    let says_html =
        named == Some("text/html") || (declared == Some("text/html") && !named.is_some_and(names::is_prose));
    let yields = named.is_none_or(|named| !names::is_code(named) && !names::is_prose(named));
    let (is_xml, tag) = first_tag(head);
    if yields || says_html {
        match tag.as_deref() {
            Some("!doctype html" | "html") => return Some("text/html"),
            Some("svg") => return Some("image/svg+xml"),
            Some(tag) if (named.is_none() || says_html) && !is_xml && names::is_html_tag(tag) => {
                return Some("text/html");
            }
            _ => {}
        }
    }
    // A document that the name calls otherwise (`.csproj`, `.plist`, `.rss`) is XML all the same.
    if is_xml && yields && named != Some("image/svg+xml") {
        return Some("application/xml");
    }
    let unnamed = named.is_none() || named == Some("text/plain");
    (unnamed && is_mail(head)).then_some("message/rfc822")
}

/// Whether the text opens with an XML declaration, and the name of its first tag in lower case, past comments,
/// processing instructions and other doctypes.
fn first_tag(head: &str) -> (bool, Option<String>) {
    let mut rest = head.trim_start();
    let is_xml = rest.starts_with("<?xml");
    loop {
        let end = if rest.starts_with("<!--") {
            "-->"
        } else if rest.starts_with("<?") {
            "?>"
        } else {
            break;
        };
        let Some((_, after)) = rest.split_once(end) else { return (is_xml, None) };
        rest = after.trim_start();
    }
    let Some(tag) = rest.strip_prefix('<') else { return (is_xml, None) };
    let lower: String = tag.chars().take(16).flat_map(char::to_lowercase).collect();
    if lower.starts_with("!doctype") {
        let mut words =
            lower.split(|letter: char| letter.is_whitespace() || letter == '>').filter(|word| !word.is_empty());
        let kind = words.nth(1).unwrap_or_default();
        return (is_xml, Some(format!("!doctype {kind}")));
    }
    let name: String = lower.chars().take_while(|letter| letter.is_ascii_alphanumeric()).collect();
    (is_xml, (!name.is_empty()).then_some(name))
}

/// A message as it is stored: header lines first, and among them two that only mail has.
fn is_mail(head: &str) -> bool {
    const TELLING: [&str; 6] =
        ["received", "message-id", "mime-version", "return-path", "delivered-to", "dkim-signature"];
    const USUAL: [&str; 5] = ["from", "to", "subject", "date", "content-type"];
    let mut telling = 0;
    let mut usual = 0;
    for (index, line) in head.lines().enumerate() {
        if index == 0 && line.starts_with("From ") {
            continue;
        }
        if line.trim().is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) && index > 0 {
            continue;
        }
        let Some((name, _)) = line.split_once(':') else { break };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            break;
        }
        let name = name.to_ascii_lowercase();
        telling += usize::from(TELLING.contains(&name.as_str()));
        usual += usize::from(USUAL.contains(&name.as_str()));
    }
    telling >= 1 && usual >= 1 && telling + usual >= 3
}

/// The language of a script by its first line.
fn shebang(head: &str) -> Option<&'static str> {
    let line = head.lines().next()?.strip_prefix("#!")?;
    let mut words = line.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word));
    let program = words.find(|word| *word != "env" && !word.starts_with('-'))?;
    let program = program.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    Some(match program {
        "sh" | "bash" | "zsh" | "dash" | "ksh" | "fish" => "text/x-shellscript",
        "python" => "text/x-python",
        "node" | "deno" | "bun" => "text/x-javascript",
        "perl" => "text/x-perl",
        "ruby" => "text/x-ruby",
        "php" => "text/x-php",
        "lua" => "text/x-lua",
        "Rscript" => "text/x-r",
        _ => return None,
    })
}

/// JSON without a name: what opens it, what must follow that, and what closes it at the end of the whole.
fn json(head: &str, bytes: &[u8]) -> Option<&'static str> {
    let head = head.trim_start();
    let open = head.chars().next()?;
    let then = head[open.len_utf8()..].trim_start().chars().next()?;
    let last = *bytes.iter().rev().find(|byte| !byte.is_ascii_whitespace())?;
    match (open, last) {
        ('{', b'}') if matches!(then, '"' | '}') => {
            let line = head.lines().next().unwrap_or_default().trim_end();
            let lines = line.ends_with('}') && head.lines().nth(1).is_some_and(|next| next.starts_with("{\""));
            // A notebook opens with its cells, and says its format at the end or at the beginning.
            let notebook = head.contains("\"cell_type\"") || head.contains("\"nbformat\"");
            Some(match () {
                () if lines => "application/x-ndjson",
                () if notebook && then == '"' => "application/x-ipynb+json",
                () => "application/json",
            })
        }
        ('[', b']') if matches!(then, '{' | '[' | '"' | ']' | '-' | '0'..='9') => Some("application/json"),
        _ => None,
    }
}
