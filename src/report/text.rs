//! A report in words, for a terminal.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Report;

/// How many failures are listed one by one; the JSON report has all of them.
const LISTED: usize = 10;

/// A number with thousands set apart: `12,345`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A number of bytes with its unit: `1.4MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    docmill_api::units::Size(bytes).to_string()
}

/// A document's place as a person knows it: a path for a file, so that it can be pasted; the URI for all else.
#[must_use]
pub fn place(uri: &str) -> String {
    let Some(url) = url::Url::parse(uri).ok().filter(|url| url.scheme() == "file") else { return uri.to_owned() };
    // A member of an archive has no path of its own: the archive's, and behind it which member.
    let member = url.fragment().map(|member| format!("#{member}")).unwrap_or_default();
    url.to_file_path().map_or_else(|()| uri.to_owned(), |path| format!("{}{member}", path.display()))
}

/// A text of a document's as it may reach a terminal: on one line, and without what moves the cursor, changes colours or
/// turns the direction of what follows.
#[must_use]
pub fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        c if c.is_control() && c.is_whitespace() => ' ',
        c if is_obeyed(c) => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}

/// Whether a terminal obeys this character instead of showing it: controls, and what turns the direction of a line.
#[must_use]
pub fn is_obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The report as a few lines for people.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = summary(&mut text, report);
    let _ = stages(&mut text, report);
    let _ = services(&mut text, report);
    let _ = failures(&mut text, report);
    text
}

fn summary(text: &mut String, report: &Report) -> std::fmt::Result {
    let documents = &report.documents;
    let mut states = vec![format!("{} done", count(documents.done))];
    for (number, state) in [
        (documents.unchanged, "unchanged"),
        (documents.skipped, "skipped"),
        (documents.failed, "failed"),
        (documents.cancelled, "cancelled"),
        (documents.unfinished, "unfinished"),
    ] {
        if number > 0 {
            states.push(format!("{} {state}", count(number)));
        }
    }
    let noun = if documents.seen == 1 { "document" } else { "documents" };
    writeln!(text, "{} {noun} in {:.1} s: {}", count(documents.seen), report.seconds, states.join(", "))?;
    writeln!(
        text,
        "{} read, {} chunks, {} tokens, {} rows; {:.0} documents/s, {:.1} CPU-s, peak memory {}",
        size(report.bytes),
        count(report.chunks),
        count(report.tokens),
        count(report.rows),
        report.documents_per_second,
        report.cpu_seconds,
        size(report.peak_rss_bytes)
    )
}

fn stages(text: &mut String, report: &Report) -> std::fmt::Result {
    let bottleneck = &report.bottleneck;
    if bottleneck.stage.is_empty() {
        return Ok(());
    }
    writeln!(text, "bottleneck: {} ({}): {}", bottleneck.stage, bottleneck.resource, bottleneck.because)
}

fn services(text: &mut String, report: &Report) -> std::fmt::Result {
    for (name, service) in report.services.iter().filter(|(_, service)| service.calls > 0) {
        write!(text, "{name}: {} calls, {} tokens", count(service.calls), count(service.tokens))?;
        if service.cost > 0.0 {
            write!(text, ", cost {:.2}", service.cost)?;
        }
        let errors: Vec<String> = service.errors.iter().map(|(class, times)| format!("{times} {class}")).collect();
        if !errors.is_empty() {
            write!(text, "; failed and tried again or told: {}", errors.join(", "))?;
        }
        if service.breaker_opened > 0 {
            write!(text, "; did not answer for a while and was left alone {}×", service.breaker_opened)?;
        }
        writeln!(text)?;
    }
    Ok(())
}

fn failures(text: &mut String, report: &Report) -> std::fmt::Result {
    if !report.skips.is_empty() {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for skip in &report.skips {
            *reasons.entry(&skip.reason).or_default() += 1;
        }
        let mut reasons: Vec<(&str, usize)> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
        writeln!(text, "skipped:")?;
        for (reason, times) in reasons.iter().take(LISTED) {
            writeln!(text, "  {times} × {}", printable(reason))?;
        }
    }
    if report.failures.is_empty() {
        return Ok(());
    }
    writeln!(text, "failed:")?;
    for failure in report.failures.iter().take(LISTED) {
        let (place, error) = (printable(&place(&failure.document)), printable(&failure.error));
        writeln!(text, "  {place} ({}): {error}", failure.stage)?;
    }
    if report.failures.len() > LISTED {
        writeln!(text, "  … and {} more: `--report FILE` lists all", count((report.failures.len() - LISTED) as u64))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{count, place, printable};

    #[test]
    fn a_file_is_shown_as_its_path_and_all_else_as_its_uri() {
        assert_eq!(place("file:///a%20b/c%2520d.txt"), "/a b/c%20d.txt");
        assert_eq!(place("https://h.example/a%20b"), "https://h.example/a%20b");
        assert_eq!(place("upload:x"), "upload:x");
    }

    #[test]
    fn nothing_of_a_document_moves_the_cursor() {
        assert_eq!(printable("a\u{1b}[31mb\nc\rd\u{9b}e\u{202e}f ü"), "a\u{fffd}[31mb c d\u{fffd}e\u{fffd}f ü");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1000), "1,000");
        assert_eq!(count(12_345_678), "12,345,678");
    }
}
