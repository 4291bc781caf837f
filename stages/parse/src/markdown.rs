//! Markdown: kept as it is, so that line numbers hold; the title is its front matter's or its first heading.

use docmill_api::{StepContext, TextKind};

use crate::plain::{decoded, verbatim};
use crate::reader::{Input, Parsed, ReadError, Reader};
use crate::text::{first_heading, title};

/// Reads Markdown.
#[derive(Debug)]
pub(crate) struct MarkdownReader;

impl Reader for MarkdownReader {
    fn read(&self, input: &Input<'_>, _cx: &StepContext) -> Result<Parsed, ReadError> {
        let mut parsed = verbatim("markdown", TextKind::Markdown, &decoded(input)?);
        let (front, body) = split_front_matter(&parsed.content);
        parsed.title = front.and_then(title_field).or_else(|| first_heading(body));
        Ok(parsed)
    }
}

/// The lines between two `---` (YAML) or `+++` (TOML) at the very top, and the rest.
fn split_front_matter(text: &str) -> (Option<&str>, &str) {
    let Some(fence) = ["---", "+++"].into_iter().find(|fence| text.starts_with(fence)) else { return (None, text) };
    let Some(rest) = text[fence.len()..].strip_prefix('\n') else { return (None, text) };
    let mut offset = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == fence {
            return (Some(&rest[..offset]), &rest[offset + line.len()..]);
        }
        offset += line.len();
    }
    (None, text)
}

fn title_field(front: &str) -> Option<String> {
    let value = front.lines().find_map(|line| line.strip_prefix("title")?.trim_start().strip_prefix([':', '=']))?;
    title(value.trim().trim_matches(['"', '\'']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_is_front_matter_then_heading() {
        let (front, body) = split_front_matter("---\nlayout: x\ntitle: \"Quorvex guide\"\n---\n# Body\n");
        assert_eq!(front.and_then(title_field).as_deref(), Some("Quorvex guide"));
        assert_eq!(body, "# Body\n");
        assert_eq!(split_front_matter("---\nno end\n").0, None);
        assert_eq!(split_front_matter("+++\ntitle = 'T'\n+++\n").0.and_then(title_field).as_deref(), Some("T"));
    }
}
