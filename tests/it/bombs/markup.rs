//! Text that nests, repeats or refers to itself without measure: markup, data, code, one line of everything.

use super::{Bomb, End};

/// As deep as documents are nested here, but where they are kept as they are: a debug build takes a second to cut 30 KiB
/// of brackets.
const DEEP: usize = 100_000;

/// So much of one line, for the same reason.
const LONG: usize = 256 << 10;

const DECLARATION: &str = "<?xml version=\"1.0\"?>";

/// An entity `b` of three billion letters.
pub(super) const LAUGHS: &str = "<!DOCTYPE a [<!ENTITY c \"lol\">\
    <!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;\"><!ENTITY e \"&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;\">\
    <!ENTITY f \"&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;\"><!ENTITY g \"&f;&f;&f;&f;&f;&f;&f;&f;&f;&f;\">\
    <!ENTITY h \"&g;&g;&g;&g;&g;&g;&g;&g;&g;&g;\"><!ENTITY i \"&h;&h;&h;&h;&h;&h;&h;&h;&h;&h;\">\
    <!ENTITY j \"&i;&i;&i;&i;&i;&i;&i;&i;&i;&i;\"><!ENTITY k \"&j;&j;&j;&j;&j;&j;&j;&j;&j;&j;\">\
    <!ENTITY b \"&k;&k;&k;&k;&k;&k;&k;&k;&k;&k;\">]>";

/// An entity `b` that is a file of the machine's.
pub(super) const EXTERNAL: &str = "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">\
    <!ENTITY % p SYSTEM \"file:///etc/passwd\">%p;]>";

pub(super) fn bombs() -> Vec<Bomb> {
    let mut bombs = entities();
    bombs.extend(nested());
    bombs.extend(wide());
    bombs
}

fn entities() -> Vec<Bomb> {
    let in_xml = |types: &str| format!("{DECLARATION}{types}<a>rye &b;</a>");
    let in_page = |types: &str| {
        format!("{DECLARATION}{types}<html xmlns=\"http://www.w3.org/1999/xhtml\"><body><p>rye &b;</p></body></html>")
    };
    let drawn = |types: &str| {
        format!("{DECLARATION}{types}<svg xmlns=\"http://www.w3.org/2000/svg\"><text>rye &b;</text></svg>")
    };
    let picture = End::skipped("parse", "an image: needs a vision stage");
    let long = format!("<!DOCTYPE a [<!ENTITY b \"{}\">]>", "b".repeat(20_000));
    let quadratic = format!("{DECLARATION}{long}<a>{}</a>", "&b;".repeat(20_000));
    vec![
        Bomb::new("laughs.xml", in_xml(LAUGHS), End::Done),
        Bomb::new("laughs.xhtml", in_page(LAUGHS), End::Done),
        Bomb::new("laughs.svg", drawn(LAUGHS), picture.clone()),
        Bomb::new("external.xml", in_xml(EXTERNAL), End::Done),
        Bomb::new("external.xhtml", in_page(EXTERNAL), End::Done),
        Bomb::new("external.svg", drawn(EXTERNAL), picture),
        Bomb::new("quadratic.xml", quadratic, End::Done),
        Bomb::new("recursive.xml", in_xml("<!DOCTYPE a [<!ENTITY b \"&b;\">]>"), End::Done),
    ]
}

fn nested() -> Vec<Bomb> {
    let around = |open: &str, inner: &str, close: &str| format!("{}{inner}{}", open.repeat(DEEP), close.repeat(DEEP));
    let groups = format!("{{\\rtf1 {}}}", around("{", "rye", "}"));
    let cells = format!("{{\"nbformat\":4,\"cells\":[{{\"source\":{}}}]}}", around("[", "", "]"));
    let data = format!("{DECLARATION}{}rye{}", "<a>".repeat(10_000), "</a>".repeat(10_000));
    vec![
        Bomb::new("deep.html", around("<div>", "rye", "</div>"), End::Done),
        Bomb::new(
            "deep-feed.xml",
            format!("{DECLARATION}<rss>{}</rss>", around("<item>", "rye", "</item>")),
            End::Done,
        ),
        Bomb::new("deep.xml", data, End::Done),
        Bomb::new("deep.json", around("[", "", "]"), End::Done),
        Bomb::new("deep.ipynb", cells, End::Done),
        Bomb::new("deep-quotes.md", format!("{} rye\n", ">".repeat(DEEP)), End::Done),
        Bomb::new("deep-lists.md", format!("{}rye\n", "- ".repeat(DEEP)), End::Done),
        Bomb::new("deep.rtf", groups, End::failed("parse", "its groups are over 10000 deep")),
        Bomb::new("deep.py", around("(", "1", ")"), End::Done),
        Bomb::new("deep.js", around("(", "1", ")"), End::Done),
    ]
}

fn wide() -> Vec<Bomb> {
    let attributes: String = (0..DEEP).map(|number| format!(" a{number}=\"1\"")).collect();
    let attribute = format!(" a=\"{}\"", "a".repeat(4 << 20));
    let in_feed = |attributes: &str| format!("{DECLARATION}<rss><item{attributes}>rye</item></rss>");
    let in_page = |attributes: &str| format!("<html><body><p{attributes}>rye</p></body></html>");
    let letters = "a".repeat(LONG);
    let columns = |value: &str| (0..20_000).map(|_| value).collect::<Vec<_>>().join(",");
    let paragraphs = "<para>The rye of the valley stands high this year.</para>".repeat(10_000);
    vec![
        Bomb::new("attributes.xml", in_feed(&attributes), End::Done),
        Bomb::new("attributes.html", in_page(&attributes), End::Done),
        Bomb::new("attribute.xml", in_feed(&attribute), End::Done),
        Bomb::new("attribute.html", in_page(&attribute), End::Done),
        Bomb::new("letters.xml", format!("{DECLARATION}<a>{letters}</a>"), End::Done),
        Bomb::new("letters.html", format!("<html><body><p>{letters}</p></body></html>"), End::Done),
        Bomb::new("letters.txt", letters.clone(), End::Done),
        // Half a megabyte of prose on one line.
        Bomb::new("one-line.xml", format!("{DECLARATION}<article>{paragraphs}</article>"), End::Done),
        Bomb::new("row.csv", format!("a,b\n{letters},1\n"), End::Done),
        Bomb::new("columns.csv", format!("{}\n{}\n", columns("a"), columns("1")), End::Done),
        Bomb::new("comments.html", "<!--".repeat(DEEP) + "rye", End::skipped("parse", "empty")),
    ]
}
