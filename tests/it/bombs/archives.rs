//! Archives and messages: too much in them, in each other, upon each other, under names that are commands to a terminal.

use super::pack::{Entry, MIB, entry, gzip, holding, interleaved, packed, plain, tar_header, tar_member, zip};
use super::{Bomb, End};

/// Names that no file should have.
const NAMES: [&str; 11] = [
    "../../x.txt",
    "/etc/passwd.txt",
    "nul\0name.txt",
    "\u{1b}[31mred\u{1b}]0;title\u{7}.txt",
    "\u{9b}31mred.txt",
    "\u{202e}txt.exe.txt",
    "line\nbreak.txt",
    "..\\..\\y.txt",
    "C:\\windows\\z.txt",
    "\u{2066}apart\u{2069}.txt",
    "\u{feff}mark.txt",
];

pub(super) fn bombs() -> Vec<Bomb> {
    let mut bombs = unpacking();
    bombs.extend(within_each_other());
    bombs.extend(streams());
    bombs.extend(names());
    bombs.extend(messages());
    bombs
}

fn opened(count: usize) -> End {
    End::skipped(
        "download",
        match count {
            1 => "an archive: its one document is taken by itself",
            3 => "an archive: its 3 documents are taken by themselves",
            _ => "documents are taken by themselves",
        },
    )
}

fn unpacking() -> Vec<Bomb> {
    let zeros = |mebibytes: usize| packed(b"", &[0; MIB], mebibytes, b"");
    let letter = plain(b"x");
    let many: Vec<Entry> = (0..100_000).map(|number| holding(number.to_string(), letter.clone())).collect();
    // Two thousand entries that are one.
    let kernel = packed(b"", &[0; 16 << 10], 1, b"");
    let same = (0..2_000).map(|number| holding(format!("{number}.txt"), kernel.clone()).at(0));
    let same: Vec<Entry> = std::iter::once(holding("kernel.txt", kernel.clone())).chain(same).collect();
    let upon_each_other = || End::failed("download", "its members lie upon each other");
    vec![
        Bomb::new(
            "four-gigabytes.zip",
            zip(&[holding("zeros.txt", zeros(4095))]),
            End::failed("download", "it unpacks to more than `archive_bytes` (100MiB)"),
        ),
        Bomb::new(
            "seventy-megabytes.zip",
            zip(&[holding("zeros.txt", zeros(70))]),
            End::failed("download", "it unpacks to more than 200 times its size"),
        ),
        Bomb::new("same.zip", zip(&same), upon_each_other()),
        Bomb::new("interleaved.zip", interleaved(50, &zeros(1)), upon_each_other()),
        Bomb::new("lies.zip", zip(&[holding("ten.txt", zeros(1024)).lying()]), opened(1))
            .member("ten.txt", End::failed("download", "larger than its declared uncompressed size")),
        Bomb::new("many.zip", zip(&many), End::failed("download", "it holds more than `max_members` (10000) entries")),
    ]
}

fn within_each_other() -> Vec<Bomb> {
    let mut nested = zip(&[entry("rye.txt", "rye")]);
    for level in 0..50 {
        nested = zip(&[entry(format!("{level}.zip"), nested)]);
    }
    // Nine of sixty megabytes, in three, in one: of each no more than its bounds allow.
    let three = |inner: &[u8]| zip(&[0, 1, 2].map(|number| entry(format!("{number}.zip"), inner)));
    let zeros = packed(b"", &[0; MIB], 10, b"");
    let ten: Vec<Entry> = (0..6).map(|number| holding(format!("{number}.txt"), zeros.clone())).collect();
    let mut shared = Bomb::new("shared.zip", three(&three(&zip(&ten))), opened(3));
    for outer in 0..3 {
        shared = shared.member(format!("{outer}.zip"), opened(3));
        for inner in 0..3 {
            let share = End::failed("download", "its share of what the archive that it is in may unpack to");
            shared = shared.member(format!("{outer}.zip!/{inner}.zip"), share);
        }
    }
    let nested = Bomb::new("nested.zip", nested, opened(1))
        .member("49.zip", opened(1))
        .member("49.zip!/48.zip", opened(1))
        .member("49.zip!/48.zip!/47.zip", End::failed("download", "an archive within 3 others, which is not opened"));
    vec![shared, nested]
}

fn streams() -> Vec<Bomb> {
    let zeros = packed(b"", &[0; MIB], 4096, b"");
    // Eight exbibytes but one, in binary; and a number below zero.
    let most = *b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff";
    let (good, end) = (tar_member(b"good.txt", b"rye"), vec![0; 1024]);
    let huge = [good.clone(), tar_header(b"huge.txt", b'0', &most), end.clone()].concat();
    let below = [good, tar_header(b"below.txt", b'0', &[0xff; 12]), end.clone()].concat();
    let long = [tar_header(b"././@LongLink", b'L', &most), end].concat();
    let cut = || End::failed("download", "broken: it ends within a member");
    vec![
        Bomb::new(
            "zeros.txt.gz",
            gzip(&zeros),
            End::failed("download", "it unpacks to more than `archive_bytes` (100MiB)"),
        ),
        Bomb::new("huge.tar", huge.clone(), cut()),
        Bomb::new("huge.tar.gz", gzip(&plain(&huge)), cut()),
        Bomb::new("below.tar", below, End::failed("download", "broken: size overflow")),
        Bomb::new("long.tar", long, End::failed("download", "broken: members found")),
    ]
}

/// An archive's member as it is written in an address.
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let byte = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    name.bytes().map(byte).collect()
}

fn names() -> Vec<Bomb> {
    let long = format!("{}.txt", "n".repeat(5_000));
    let names: Vec<&str> = NAMES.into_iter().chain([long.as_str()]).collect();
    let mut entries: Vec<Entry> = names.iter().map(|name| entry(name, "rye")).collect();
    entries.push(entry("bad\u{1b}[31m\u{202e}.pdf", "%PDF-1.4\nnothing"));
    let members: Vec<u8> = names.iter().flat_map(|name| tar_member(name.as_bytes(), b"rye")).collect();
    let mut zipped = Bomb::new("names.zip", zip(&entries), opened(entries.len()))
        .member(encoded("bad\u{1b}[31m\u{202e}.pdf"), End::failed("parse", "broken: "));
    let mut tarred = Bomb::new("names.tar", [members, vec![0; 1024]].concat(), opened(names.len()));
    for name in names {
        zipped = zipped.member(encoded(name.trim_start_matches('/')), End::Done);
        // To a tar file a name ends at its first NUL.
        let known = name.split('\0').next().unwrap_or_default();
        tarred = tarred.member(encoded(known.trim_start_matches('/')), End::Done);
    }
    let mut bombs = vec![zipped, tarred];
    for name in ["\u{1b}[31mred.pdf", "\u{9b}31m\u{202e}.pdf", "line\nbreak.pdf"] {
        bombs.push(Bomb::new(name, "%PDF-1.4\nnothing", End::failed("parse", "broken: ")));
    }
    bombs
}

fn messages() -> Vec<Bomb> {
    let head = "From: \u{1b}[31m@example.org\r\nSubject: \u{1b}[31m \u{202e}\u{9b}31m\r\nMIME-Version: 1.0\r\n";
    let multipart = |number: usize| format!("Content-Type: multipart/mixed; boundary=\"b{number}\"\r\n\r\n");
    let mut deep = format!("{head}{}", multipart(0));
    (1..1_000).for_each(|number| deep += &format!("--b{}\r\n{}", number - 1, multipart(number)));
    deep += "--b999\r\nContent-Type: text/plain\r\n\r\nrye\r\n";
    // Each message within is a document of its own, three deep.
    let too_deep = || End::failed("parse", "messages within messages, over 1000");
    let mut nested =
        Bomb::new("nested.eml", format!("{head}{}", "Content-Type:message/rfc822\n\n".repeat(1_500)), too_deep());
    let one = "attachment%201.eml";
    for path in [one.to_owned(), format!("{one}!/{one}"), format!("{one}!/{one}!/{one}")] {
        nested = nested.member(path, too_deep());
    }
    let attached = "\u{1b}[31m\u{9b}\u{202e}../x.txt";
    let named = format!(
        "{head}{}--b0\r\n\r\nrye\r\n--b0\r\nContent-Disposition: attachment; filename=\"{attached}\"\r\n\r\nrye\r\n--b0--\r\n",
        multipart(0)
    );
    vec![
        nested,
        Bomb::new("deep.eml", deep, End::failed("download", "over 100 multiparts within one another")),
        Bomb::new("named.eml", named, End::Done).member("x.txt", End::Done),
    ]
}
