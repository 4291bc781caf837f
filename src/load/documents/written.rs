//! The formats that are text: plain, Markdown, HTML, CSV, JSON, source code and mail. Each writes until it is as long as
//! it is to be, and ends well.

use super::prose::Prose;

/// How many bytes of prose stand under a heading.
const SECTION: usize = 2400;

/// Paragraphs with an empty line between them.
pub(super) fn text(prose: &mut Prose, size: usize) -> String {
    let mut out = prose.heading() + "\n\n";
    while out.len() < size {
        out.push_str(&prose.paragraph());
        out.push_str("\n\n");
    }
    out
}

/// Headings, paragraphs, lists and now and then a fence.
pub(super) fn markdown(prose: &mut Prose, size: usize) -> String {
    let mut out = format!("# {}\n\n", prose.heading());
    let mut section = 0;
    while out.len() < size {
        if out.len() > section {
            out.push_str(&format!("## {}\n\n", prose.heading()));
            section = out.len() + SECTION;
        }
        match prose.below(8) {
            0 => {
                for _ in 0..3 + prose.below(4) {
                    out.push_str(&format!("- **{}**: {}\n", prose.word(), prose.sentence()));
                }
                out.push('\n');
            }
            1 => out.push_str(&format!("```\n{} --{} {}\n```\n\n", prose.word(), prose.word(), prose.below(1000))),
            _ => out.push_str(&format!("{}\n\n", prose.paragraph())),
        }
    }
    out
}

/// A page with a menu, sections, lists and tables.
pub(super) fn html(prose: &mut Prose, size: usize) -> String {
    let title = prose.heading();
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title></head>\n<body>\n\
         <nav><a href=\"/\">{}</a> <a href=\"/about\">{}</a></nav>\n<main>\n<h1>{title}</h1>\n",
        prose.word(),
        prose.word()
    );
    let mut section = 0;
    while out.len() < size {
        if out.len() > section {
            out.push_str(&format!("<h2>{}</h2>\n", prose.heading()));
            section = out.len() + SECTION;
        }
        match prose.below(10) {
            0 => {
                let items: String = (0..4).map(|_| format!("<li>{}</li>\n", prose.sentence())).collect();
                out.push_str(&format!("<ul>\n{items}</ul>\n"));
            }
            1 => {
                let row =
                    |prose: &mut Prose| format!("<tr><td>{}</td><td>{}</td></tr>\n", prose.name(), prose.below(10_000));
                let rows: String = (0..4).map(|_| row(prose)).collect();
                out.push_str(&format!("<table>\n<tr><th>name</th><th>amount</th></tr>\n{rows}</table>\n"));
            }
            _ => {
                let (emphasis, rest) = (prose.word(), prose.paragraph());
                out.push_str(&format!("<p><em>{emphasis}</em> {rest}</p>\n"));
            }
        }
    }
    out + "</main>\n</body>\n</html>\n"
}

/// A table with a head.
pub(super) fn csv(prose: &mut Prose, size: usize) -> String {
    let mut out = "number,day,name,subject,amount,remark\n".to_owned();
    let mut number = 0;
    while out.len() < size {
        number += 1;
        let (day, name, subject) = (prose.day(), prose.name(), prose.word());
        let (amount, cents) = (prose.below(100_000), prose.below(100));
        // A sentence has commas, and no quotation mark.
        out.push_str(&format!("{number},{day},{name},{subject},{amount}.{cents:02},\"{}\"\n", prose.sentence()));
    }
    out
}

/// An object with a list of entries.
pub(super) fn json(prose: &mut Prose, size: usize) -> String {
    let mut out =
        format!("{{\n  \"title\": \"{}\",\n  \"created\": \"{}\",\n  \"entries\": [", prose.heading(), prose.day());
    let mut number = 0;
    while number == 0 || out.len() < size {
        number += 1;
        out.push_str(if number == 1 { "\n" } else { ",\n" });
        let (name, word, amount) = (prose.name(), prose.word(), prose.below(1_000_000));
        out.push_str(&format!(
            "    {{\"id\": {number}, \"name\": \"{name}\", \"tags\": [\"{word}\"], \"amount\": {amount}, \"note\": \"{}\"}}",
            prose.sentence()
        ));
    }
    out + "\n  ]\n}\n"
}

/// A module in Python: functions with comments.
pub(super) fn python(prose: &mut Prose, size: usize) -> String {
    let mut out = format!("\"\"\"{}\"\"\"\n\nimport math\n", prose.sentence());
    let mut number = 0;
    while number == 0 || out.len() < size {
        number += 1;
        let (verb, noun) = (prose.word(), prose.word());
        let (sentence, factor) = (prose.sentence(), 1 + prose.below(90));
        out.push_str(&format!(
            "\n\ndef {verb}_{noun}_{number}(amount, limit={factor}):\n    \"\"\"{sentence}\"\"\"\n    total = 0\n    \
             for step in range(amount):\n        # {}\n        if step % {factor} == 0:\n            total += \
             math.isqrt(step)\n    return min(total, limit)\n",
            prose.sentence()
        ));
    }
    out
}

/// A module in Rust: types and functions with comments.
pub(super) fn rust(prose: &mut Prose, size: usize) -> String {
    let mut out = format!("//! {}\n", prose.sentence());
    let mut number = 0;
    while number == 0 || out.len() < size {
        number += 1;
        let (verb, noun, factor) = (prose.word(), prose.word(), 1 + prose.below(90));
        out.push_str(&format!(
            "\n/// {}\npub struct {}{number} {{\n    amount: u64,\n}}\n\nimpl {}{number} {{\n    /// {}\n    pub fn \
             {verb}_{noun}(&self, limit: u64) -> u64 {{\n        let mut total = 0;\n        for step in \
             0..self.amount {{\n            // {}\n            if step % {factor} == 0 {{\n                total += \
             step;\n            }}\n        }}\n        total.min(limit)\n    }}\n}}\n",
            prose.sentence(),
            super::prose::capital(noun),
            super::prose::capital(noun),
            prose.sentence(),
            prose.sentence()
        ));
    }
    out
}

/// A message with head and text.
pub(super) fn mail(prose: &mut Prose, size: usize) -> String {
    let (from, to) = (prose.name(), prose.name());
    let address = |name: &str| format!("{name} <{}@example.org>", name.to_lowercase());
    let (year, month, day) = (2000 + prose.below(26), prose.below(12), 1 + prose.below(28));
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (hour, minute) = (prose.below(24), prose.below(60));
    let mut out = format!(
        "From: {}\r\nTo: {}\r\nSubject: {}\r\nDate: {day} {} {year} {hour:02}:{minute:02}:00 +0000\r\n\
         Message-ID: <{:016x}@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 7bit\r\n\r\nDear {to},\r\n\r\n",
        address(&from),
        address(&to),
        prose.heading(),
        months[month],
        prose.below(usize::MAX),
    );
    while out.len() < size {
        for line in lines(&prose.paragraph(), 72) {
            out.push_str(line);
            out.push_str("\r\n");
        }
        out.push_str("\r\n");
    }
    out + &format!("Yours,\r\n{from}\r\n")
}

/// A text in lines of so many characters at most, cut between words. The text is of ASCII and of short words.
pub(super) fn lines(text: &str, width: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while rest.len() > width {
        let cut = rest[..=width].rfind(' ').unwrap_or(width);
        lines.push(rest[..cut].trim_end());
        rest = rest[cut..].trim_start();
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_between_words_and_nothing_is_lost() {
        let mut prose = Prose::new(3);
        let text = prose.paragraph();
        let cut = lines(&text, 72);
        assert!(cut.len() > 1 && cut.iter().all(|line| line.len() <= 72), "{cut:?}");
        assert_eq!(cut.join(" "), text);
    }

    #[test]
    fn each_is_of_its_format() {
        let prose = || Prose::new(4);
        let table = csv(&mut prose(), 3000);
        let columns = |line: &str| line.split('"').next().unwrap_or_default().matches(',').count();
        assert!(table.lines().skip(1).all(|line| columns(line) == 5 && line.ends_with('"')), "{table}");
        let read: serde_json::Value = serde_json::from_str(&json(&mut prose(), 3000)).expect("it is JSON");
        assert!(read["entries"].as_array().is_some_and(|entries| entries.len() > 10));
        let message = mail(&mut prose(), 3000);
        let (head, body) = message.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.lines().all(|line| line.contains(": ")) && body.len() > 2000);
        assert!(message.lines().count() == message.matches("\r\n").count(), "every line ends as mail has it");
        let page = html(&mut prose(), 3000);
        for tag in ["p", "h1", "main", "body", "html"] {
            assert_eq!(page.matches(&format!("<{tag}")).count(), page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
        for code in [rust(&mut prose(), 3000), json(&mut prose(), 3000)] {
            assert_eq!(code.matches('{').count(), code.matches('}').count());
        }
        assert!(markdown(&mut prose(), 9000).matches("\n## ").count() >= 3);
        assert!(python(&mut prose(), 3000).contains("\ndef ") && text(&mut prose(), 3000).contains("\n\n"));
    }
}
