//! RTF's bytes as tokens: groups, control words with their numbers, symbols, bytes in hex, and text. Total: whatever the
//! bytes are, they are tokens, and each token takes at least one byte.

/// What stands in an RTF file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `{`
    Open,
    /// `}`
    Close,
    /// `\word12`
    Word(&'a str, Option<i32>),
    /// `\~`, `\*` and the like.
    Symbol(u8),
    /// `\'e9`
    Hex(u8),
    /// Bytes of text, without line ends, which mean nothing.
    Text(&'a [u8]),
}

/// The tokens of a file.
pub(super) fn tokens(bytes: &[u8]) -> impl Iterator<Item = Token<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        loop {
            let (first, behind) = rest.split_first()?;
            match first {
                b'{' => {
                    rest = behind;
                    return Some(Token::Open);
                }
                b'}' => {
                    rest = behind;
                    return Some(Token::Close);
                }
                b'\r' | b'\n' | 0 => rest = behind,
                b'\\' => {
                    if let Some(token) = control(behind, &mut rest) {
                        return Some(token);
                    }
                }
                _ => {
                    let end = rest.iter().position(|byte| matches!(byte, b'{' | b'}' | b'\\' | b'\r' | b'\n' | 0));
                    let (text, behind) = rest.split_at(end.unwrap_or(rest.len()));
                    rest = behind;
                    return Some(Token::Text(text));
                }
            }
        }
    })
}

/// The control behind a backslash; `None` for binary data, which is passed over.
fn control<'a>(bytes: &'a [u8], rest: &mut &'a [u8]) -> Option<Token<'a>> {
    let letters = bytes.iter().take(32).take_while(|byte| byte.is_ascii_alphabetic()).count();
    if letters == 0 {
        let Some((symbol, behind)) = bytes.split_first() else {
            *rest = bytes;
            return None;
        };
        *rest = behind;
        return Some(match symbol {
            b'\'' => {
                let pair = behind.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
                let value = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
                if value.is_some() {
                    *rest = &behind[2..];
                }
                value.map_or(Token::Symbol(b'\''), Token::Hex)
            }
            // A backslash at the end of a line is the end of a paragraph.
            b'\r' | b'\n' => Token::Word("par", None),
            symbol => Token::Symbol(*symbol),
        });
    }
    let (word, behind) = bytes.split_at(letters);
    let sign = usize::from(behind.first() == Some(&b'-'));
    let digits = behind[sign..].iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
    let length = if digits == 0 { 0 } else { sign + digits };
    let number = std::str::from_utf8(&behind[..length]).ok().and_then(|number| number.parse::<i32>().ok());
    let behind = &behind[length..];
    *rest = behind.strip_prefix(b" ").unwrap_or(behind);
    if word == b"bin" {
        let length = usize::try_from(number.unwrap_or(0)).unwrap_or(0).min(rest.len());
        *rest = &rest[length..];
        return None;
    }
    std::str::from_utf8(word).ok().map(|word| Token::Word(word, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_cut_where_they_mean_something_else() {
        let found: Vec<Token<'_>> = tokens(b"{\\rtf1\\b0 a\r\nb\\'e9\\*\\u-5 ?\\bin2 }{\\~}\\").collect();
        let text = |text: &'static [u8]| Token::Text(text);
        assert_eq!(
            found,
            [
                Token::Open,
                Token::Word("rtf", Some(1)),
                Token::Word("b", Some(0)),
                text(b"a"),
                text(b"b"),
                Token::Hex(0xe9),
                Token::Symbol(b'*'),
                Token::Word("u", Some(-5)),
                text(b"?"),
                Token::Symbol(b'~'),
                Token::Close,
            ]
        );
    }
}
