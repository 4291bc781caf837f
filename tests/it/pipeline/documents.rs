//! One document of each format, made here, each holding a word that stands in no other.

/// A document, its word, and the sentence that the word stands in.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) word: &'static str,
    pub(crate) sentence: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// One of each format that is read.
pub(crate) fn of_each_format() -> Vec<Sample> {
    let text = |name, word, sentence: &'static str, template: &str| Sample {
        name,
        word,
        sentence,
        bytes: template.replace("{}", sentence).into_bytes(),
    };
    vec![
        pdf("leaflet.pdf", "plumgast", "The plumgast is polished before every concert"),
        Sample {
            name: "manual.docx",
            word: "brindlefax",
            sentence: "The quorvex sleeps until the thaw",
            bytes: include_bytes!("../../../stages/parse/tests/fixtures/report.docx").to_vec(),
        },
        text("page.html", "wexlorn", "A wexlorn pulls the night train over the mountain pass", PAGE),
        text("notes.md", "drubbalin", "Paint the drubbalin blue before the guests arrive", "# Decoration\n\n{}.\n"),
        text("lamp.rs", "fizzlewark", "Lights a fizzlewark lantern in the harbour", "/// {}.\npub fn light() {}\n"),
        text("bees.py", "snorvalin", "Counts bees around the snorvalin hive", "\"\"\"{}.\"\"\"\n\nBEES = 12\n"),
        text("ship.json", "glimtock", "Sailors mend the glimtock at low tide", "{\"log\": [\"{}\", 7]}"),
        text("shop.csv", "harpendine", "Ten kilograms of harpendine cheese", "item,price\n{},9\nbread,4\n"),
        text("plain.txt", "mollustrane", "Doctors prescribe mollustrane against hiccups", "{}.\n"),
        Sample {
            name: "latin.txt",
            word: "brûnzelin",
            sentence: "Le brûnzelin dort près de la rivière gelée, à côté d'un vieux château, où l'été a été très court",
            bytes: latin(
                "Le brûnzelin dort près de la rivière gelée, à côté d'un vieux château, où l'été a été très court.\r\n",
            ),
        },
        Sample {
            name: "wide.txt",
            word: "tarvoleen",
            sentence: "Football players wear tarvoleen boots on grass",
            bytes: wide("Football players wear tarvoleen boots on grass.\r\n"),
        },
    ]
}

const PAGE: &str = "<!DOCTYPE html><html><head><title>Trains</title><script>var a = 'railway';</script></head>\
    <body><nav><a href='/'>Home</a> <a href='/fares'>Fares</a></nav><main><article><h1>Trains</h1>\
    <p>{}. It leaves at nine in the evening, and nobody is awake when it reaches the summit.</p>\
    <p>Tickets are sold on the platform, and blankets are lent for a small deposit.</p></article></main>\
    <footer>All times are local</footer></body></html>";

/// ISO 8859-1, which windows-1252 contains: every character is one byte of its own number.
fn latin(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).expect("a letter of Latin 1")).collect()
}

/// UTF-16, little end first, with its mark.
fn wide(text: &str) -> Vec<u8> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

/// The least PDF that has a text layer: one page, one line, a font that every reader brings along.
fn pdf(name: &'static str, word: &'static str, sentence: &'static str) -> Sample {
    let content = format!("BT /F1 12 Tf 72 700 Td ({sentence}.) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R /Resources << /Font << /F1 4 0 R >> >> >>"
            .to_owned(),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
    ];
    let mut file = "%PDF-1.4\n".to_owned();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (number, object) in (1..).zip(&objects) {
        table.push_str(&format!("{:010} 00000 n \n", file.len()));
        file.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let start = file.len();
    let trailer = format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n", objects.len() + 1);
    Sample { name, word, sentence, bytes: (file + &table + &trailer).into_bytes() }
}
