//! What an RTF group is for, and which letters its bytes are: destinations, code pages, fonts.

use std::collections::BTreeMap;

use encoding_rs::{Encoding, WINDOWS_1252};

/// Where the text of a group goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// The document.
    Body,
    /// Nowhere.
    Skip,
    /// The table of fonts, of which the character sets matter.
    Fonts,
    /// The styles, of which the names matter.
    Styles,
    /// The document's title.
    Title,
    /// A foot- or endnote.
    Note,
    /// A comment.
    Comment,
    /// Who made the next comment.
    Author,
    /// The mark of a list's item.
    Mark,
}

/// What a group inherits, and loses when it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) destination: Destination,
    /// How many characters stand behind `\u` for programs without Unicode.
    pub(super) fallback: u8,
    pub(super) encoding: &'static Encoding,
    /// Text that is not shown.
    pub(super) hidden: bool,
    /// The number that is being described, in the tables of fonts and styles.
    pub(super) number: i32,
}

impl Default for State {
    fn default() -> Self {
        Self { destination: Destination::Body, fallback: 1, encoding: WINDOWS_1252, hidden: false, number: 0 }
    }
}

/// What a control word at the head of a group makes of it. `starred` says that a program that does not know the word is
/// to pass over the group.
pub(super) fn destination(word: &str, starred: bool, now: Destination) -> Option<Destination> {
    // What is passed over holds little that is not: text boxes in shapes, the Unicode half of a pair.
    if now == Destination::Skip {
        return matches!(word, "shptxt" | "ud").then_some(Destination::Body);
    }
    Some(match word {
        "fonttbl" => Destination::Fonts,
        "stylesheet" => Destination::Styles,
        "title" => Destination::Title,
        "footnote" => Destination::Note,
        "annotation" => Destination::Comment,
        "atnauthor" => Destination::Author,
        "listtext" | "pntext" => Destination::Mark,
        "header" | "headerl" | "headerr" | "headerf" | "footer" | "footerl" | "footerr" | "footerf" | "result"
        | "fldrslt" | "shptxt" | "shprslt" => return None,
        "moMath" | "moMathPara" | "shppict" if starred => return None,
        // Information but the title, pictures, objects, fields' instructions, and half of every pair.
        "colortbl" | "filetbl" | "revtbl" | "listtable" | "listoverridetable" | "list" | "listlevel" | "listname"
        | "listoverride" | "rsidtbl" | "pict" | "objdata" | "objclass" | "objname" | "fldinst" | "datafield"
        | "nonshppict" | "shpinst" | "upr" | "author" | "operator" | "company" | "manager" | "category"
        | "keywords" | "comment" | "doccomm" | "subject" | "hlinkbase" | "creatim" | "revtim" | "printim"
        | "buptim" | "private" | "xe" | "tc" | "tcn" | "ftnsep" | "ftnsepc" | "ftncn" | "aftnsep" | "aftnsepc"
        | "aftncn" | "themedata" | "colorschememapping" | "bkmkstart" | "bkmkend" | "atnid" | "atnref" | "atndate"
        | "atntime" | "atnicn" | "atrfstart" | "atrfend" | "generator" | "template" | "txe" | "rxe" | "sp" => {
            Destination::Skip
        }
        _ if starred => Destination::Skip,
        _ => return None,
    })
}

/// Fonts and styles by their numbers.
#[derive(Debug, Default)]
pub(super) struct Tables {
    fonts: BTreeMap<i32, &'static Encoding>,
    /// Levels of the styles that are headings.
    headings: BTreeMap<i32, usize>,
}

/// More fonts or styles than any document has; each costs a place in memory.
const MAX_ENTRIES: usize = 10_000;

impl Tables {
    pub(super) fn set_font(&mut self, font: i32, encoding: &'static Encoding) {
        if self.fonts.len() < MAX_ENTRIES {
            self.fonts.insert(font, encoding);
        }
    }

    pub(super) fn font(&self, font: i32) -> Option<&'static Encoding> {
        self.fonts.get(&font).copied()
    }

    /// Learns from a style's name whether it is a heading.
    pub(super) fn set_style(&mut self, style: i32, name: &str) {
        let name = name.trim().trim_end_matches(';').trim().to_lowercase();
        let level = match name.as_str() {
            "title" => Some(1),
            name => name.strip_prefix("heading ").and_then(|level| level.parse::<usize>().ok()),
        };
        if let Some(level) = level.filter(|level| (1..=9).contains(level) && self.headings.len() < MAX_ENTRIES) {
            self.headings.insert(style, level.min(6));
        }
    }

    pub(super) fn heading(&self, style: i32) -> Option<usize> {
        self.headings.get(&style).copied()
    }
}

/// The encoding of a Windows code page. DOS code pages are read as the Windows one of Western Europe: their letters
/// below 128 are the same, and files with others are older than Unicode.
pub(super) fn code_page(number: i32) -> &'static Encoding {
    let label = match number {
        874 => "windows-874",
        932 => "shift_jis",
        936 => "gbk",
        949 => "euc-kr",
        950 => "big5",
        866 => "ibm866",
        1250 => "windows-1250",
        1251 => "windows-1251",
        1253 => "windows-1253",
        1254 => "windows-1254",
        1255 => "windows-1255",
        1256 => "windows-1256",
        1257 => "windows-1257",
        1258 => "windows-1258",
        10_000 => "macintosh",
        10_007 => "x-mac-cyrillic",
        65_001 => "utf-8",
        _ => "windows-1252",
    };
    Encoding::for_label(label.as_bytes()).unwrap_or(WINDOWS_1252)
}

/// The encoding of a font's character set; `None` where it has the document's.
pub(super) fn character_set(number: i32) -> Option<&'static Encoding> {
    let page = match number {
        77 => 10_000,
        128 => 932,
        129 | 130 => 949,
        134 => 936,
        136 => 950,
        161 => 1253,
        162 => 1254,
        163 => 1258,
        177 => 1255,
        178..=180 => 1256,
        186 => 1257,
        204 => 1251,
        222 => 874,
        238 => 1250,
        _ => return None,
    };
    Some(code_page(page))
}
