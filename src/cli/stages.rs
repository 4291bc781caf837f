//! `docmill stages`: which kinds of stage there are and what each can be told, printed from what the stages say of
//! themselves.

use std::io::Write;
use std::sync::Arc;

use docmill_api::units::Span;
use docmill_api::{FieldSpec, FieldType, PayloadKind, Registry, ServiceFactory, StageSpec};
use serde_json::{Value, json};

use super::pipeline_args::{columns, refuse_usage};
use crate::plan::{self, nearest_or_list};

/// Lists the kinds of stage, or explains one.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(after_help = "\
Examples:
  docmill stages                        a line a kind
  docmill stages parse                  every field of one, its defaults, what it guarantees, an example
  docmill stages --format json | jq -r '.[] | select(.takes == []) | .kind'      all sources
  docmill stages openai                 every field of a table in `[providers]`
  docmill stages --format markdown      the reference page")]
pub struct Args {
    /// The kind to explain, of a stage or of a model service
    #[arg(value_name = "KIND")]
    pub kind: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// How kinds are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
    /// For documentation
    Markdown,
}

/// Runs the command.
///
/// # Errors
/// `out` or `err` cannot be written.
pub fn run(args: &Args, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let all: Vec<(&str, StageSpec)> =
        registry.kinds().filter_map(|kind| Some((kind, registry.get(kind)?.spec()))).collect();
    let Some(wanted) = &args.kind else {
        match args.format {
            Format::Text => write!(out, "{}", overview(&all))?,
            Format::Json => {
                let list: Value = all.iter().map(|(kind, spec)| as_json(kind, spec)).collect();
                writeln!(out, "{list:#}")?;
            }
            Format::Markdown => write!(out, "{}", reference(registry))?,
        }
        return Ok(0);
    };
    if let Some(service) = registry.service(wanted).filter(|_| args.format != Format::Json) {
        let page = if args.format == Format::Text { service_in_words(service) } else { service_section(service) };
        write!(out, "{page}")?;
        return Ok(0);
    }
    let Some((kind, spec)) = all.iter().find(|(kind, _)| kind == wanted) else {
        let kinds: Vec<&str> = registry.kinds().chain(registry.services()).collect();
        let help = nearest_or_list(wanted, &kinds).unwrap_or_default();
        return refuse_usage(&format!("unknown kind `{wanted}`; {help}"), err);
    };
    match args.format {
        Format::Text => write!(out, "{}", explanation(kind, spec))?,
        Format::Json => writeln!(out, "{:#}", as_json(kind, spec))?,
        Format::Markdown => write!(out, "{}", section(kind, spec))?,
    }
    Ok(0)
}

fn overview(all: &[(&str, StageSpec)]) -> String {
    let mut rows = vec![["KIND", "TIER", "TAKES", "GIVES", "WHAT IT DOES"].map(str::to_owned).to_vec()];
    for (kind, spec) in all {
        let tier = spec.tier.as_str().to_owned();
        rows.push(vec![(*kind).to_owned(), tier, kinds(spec.takes), kinds(spec.gives), spec.summary.to_owned()]);
    }
    format!("{}\n`docmill stages KIND` explains one.\n", columns(&rows))
}

fn kinds(kinds: &[PayloadKind]) -> String {
    match kinds {
        [] => "-".into(),
        kinds => kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join("|"),
    }
}

fn explanation(kind: &str, spec: &StageSpec) -> String {
    let mut out = wrapped(&format!("{kind}: {}", spec.summary), 0) + "\n";
    out.push_str(&format!(
        "Takes {}, gives {}, {} tier.\n\n",
        kinds(spec.takes),
        kinds(spec.gives),
        spec.tier.as_str()
    ));
    out.push_str(&format!("Guarantees\n{}", wrapped(spec.guarantees, 2)));
    if !spec.fields.is_empty() {
        out.push_str("\nIts own fields (* another value gives other rows: documents are done again)\n");
        let mut rows = Vec::new();
        describe(&spec.fields, "", &mut rows);
        rows.iter().for_each(|row| out.push_str(&row.as_text()));
    }
    out.push_str("\nFields of every such stage\n");
    for field in plan::engine_fields(spec) {
        let row =
            Row { name: field.name.to_owned(), output: false, ty: field.ty, default: field.default, doc: field.doc };
        out.push_str(&row.as_text());
    }
    out.push_str(&format!("\nExample\n{}\n", indented(spec.example.trim())));
    out
}

/// A field as it is shown.
struct Row {
    name: String,
    output: bool,
    ty: String,
    default: String,
    doc: &'static str,
}

/// How wide an explanation is: a terminal of usual width with some room to spare.
const WIDTH: usize = 100;

impl Row {
    fn as_text(&self) -> String {
        let mark = if self.output { "*" } else { "" };
        let default = match self.default.as_str() {
            "must be set" | "unset" => self.default.clone(),
            value => format!("default {value}"),
        };
        format!("  {}{mark}: {}; {default}\n{}", self.name, self.ty, wrapped(self.doc, 6))
    }
}

/// A text in lines of some width, each indented.
fn wrapped(text: &str, indent: usize) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && indent + line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(&format!("{:indent$}{line}\n", ""));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        out.push_str(&format!("{:indent$}{line}\n", ""));
    }
    out
}

/// One row a field; the fields of a table below it, dotted.
fn describe(fields: &[FieldSpec], prefix: &str, rows: &mut Vec<Row>) {
    for field in fields {
        let name = format!("{prefix}{}", field.name);
        let nested = match &field.ty {
            FieldType::Table(nested) => Some((nested, format!("{name}."))),
            FieldType::Map(of) => match &**of {
                FieldType::Table(nested) => Some((nested, format!("{name}.NAME."))),
                _ => None,
            },
            _ => None,
        };
        let (ty, default) = (field.ty.describe(), default_of(field));
        rows.push(Row { name, output: field.changes_output, ty, default, doc: field.doc });
        if let Some((nested, prefix)) = nested {
            describe(nested, &prefix, rows);
        }
    }
}

fn default_of(field: &FieldSpec) -> String {
    match &field.default {
        None => "must be set".into(),
        Some(Value::Null) => "unset".into(),
        Some(value) => toml::Value::try_from(value).map_or_else(|_| value.to_string(), |value| value.to_string()),
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// The reference page of all kinds, in Markdown: `docs/reference/stages.md` is this page for the built-in kinds.
#[must_use]
pub fn reference(registry: &Registry) -> String {
    let mut page = String::from(
        "# Kinds of stage\n\n\
         Every kind with its fields, as `docmill stages --format markdown` prints it from the code; a test compares the two.\n\
         A field under *changes rows* is part of the fingerprint: another value gives other rows, so documents are done\n\
         again. All others can be turned at any time.\n\n\
         | kind | tier | takes | gives | what it does |\n|---|---|---|---|---|\n",
    );
    let all: Vec<(&str, StageSpec)> =
        registry.kinds().filter_map(|kind| Some((kind, registry.get(kind)?.spec()))).collect();
    for (kind, spec) in &all {
        let link = format!("[`{kind}`](#{kind})");
        let tier = spec.tier.as_str().to_owned();
        page.push_str(&table_row(&[link, tier, kinds(spec.takes), kinds(spec.gives), spec.summary.to_owned()]));
    }
    for (kind, spec) in &all {
        page.push('\n');
        page.push_str(&section(kind, spec));
    }
    let services: Vec<_> = registry.services().filter_map(|kind| registry.service(kind)).collect();
    if !services.is_empty() {
        page.push_str(
            "\n# Kinds of model service\n\nWhat a table in `[providers]` may be; stages name it with `provider`.\n",
        );
    }
    for service in services {
        page.push('\n');
        page.push_str(&service_section(service));
    }
    page
}

/// A kind of model service, for people.
fn service_in_words(service: &Arc<dyn ServiceFactory>) -> String {
    let mut out = wrapped(&format!("{}: {}", service.kind(), service.summary()), 0);
    out.push_str("\nFields of `[providers.NAME]`, of `[ask]`, and of a stage that names the kind (* another value gives other rows)\n");
    let mut rows = Vec::new();
    describe(&service.fields(), "", &mut rows);
    rows.iter().for_each(|row| out.push_str(&row.as_text()));
    out
}

fn service_section(service: &Arc<dyn ServiceFactory>) -> String {
    format!("## {}\n\n{}\n{}", service.kind(), service.summary(), field_table(&service.fields()))
}

fn section(kind: &str, spec: &StageSpec) -> String {
    let mut out = format!("## {kind}\n\n{}\n\n", spec.summary);
    let code =
        |kinds_: &[PayloadKind]| if kinds_.is_empty() { "nothing".into() } else { format!("`{}`", kinds(kinds_)) };
    out.push_str(&format!("Takes {}, gives {}; {} tier.\n\n", code(spec.takes), code(spec.gives), spec.tier.as_str()));
    out.push_str(&format!("**Guarantees.** {}\n", spec.guarantees));
    out.push_str(&field_table(&spec.fields));
    out.push_str("\nWhat every such stage has:\n\n| field | type | default | meaning |\n|---|---|---|---|\n");
    for field in plan::engine_fields(spec) {
        out.push_str(&table_row(&[format!("`{}`", field.name), field.ty, field.default, field.doc.to_owned()]));
    }
    out.push_str(&format!("\n```toml\n{}\n```\n", spec.example.trim()));
    out
}

/// Fields as a table; nothing where there are none.
fn field_table(fields: &[FieldSpec]) -> String {
    let mut rows = Vec::new();
    describe(fields, "", &mut rows);
    if rows.is_empty() {
        return String::new();
    }
    let mut out = "\n| field | type | default | changes rows | meaning |\n|---|---|---|---|---|\n".to_owned();
    for Row { name, output, ty, default, doc } in rows {
        let changes = if output { "yes" } else { "" };
        let default = match default.as_str() {
            "must be set" | "unset" => default,
            value => format!("`{value}`"),
        };
        out.push_str(&table_row(&[format!("`{name}`"), ty, default, changes.to_owned(), doc.to_owned()]));
    }
    out
}

fn table_row(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn as_json(kind: &str, spec: &StageSpec) -> Value {
    let batch = spec
        .batch
        .map(|batch| json!({ "items": batch.items, "tokens": batch.tokens, "wait": Span(batch.wait).to_string() }));
    json!({
        "kind": kind,
        "summary": spec.summary,
        "takes": spec.takes,
        "gives": spec.gives,
        "tier": spec.tier,
        "width": spec.width,
        "timeout": Span(spec.timeout).to_string(),
        "batch": batch,
        "guarantees": spec.guarantees,
        "example": spec.example,
        "fields": spec.fields,
        "engine_fields": plan::engine_fields(spec),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::pipeline_args::USAGE;
    use crate::cli::pipeline_args::testing::{registry, run_with};

    fn stages(kind: Option<&str>, format: Format) -> (u8, String, String) {
        let args = Args { kind: kind.map(str::to_owned), format };
        run_with(|out, err| run(&args, &registry(), out, err))
    }

    #[test]
    fn the_overview_has_a_line_a_kind() {
        let (code, out, _) = stages(None, Format::Text);
        assert_eq!(code, 0);
        for kind in registry().kinds() {
            assert_eq!(out.lines().filter(|line| line.starts_with(&format!("{kind} "))).count(), 1, "{kind}");
        }
    }

    #[test]
    fn an_explanation_has_every_field_with_its_default_and_effect() {
        let (_, out, _) = stages(Some("chunk"), Format::Text);
        for part in [
            "\n  tokens*: a whole number from 1 to 8192; default 512\n      how many\n",
            "\n  encoding*: one of \"cl100k_base\", \"o200k_base\"; default \"cl100k_base\"\n      of tokens\n",
            "\n  types.NAME.tokens*: a whole number from 1 to 8192; unset\n      how many\n",
            "\n  isolation: one of \"thread\", \"process\"; default \"thread\"\n",
            "\n  queue: a whole number from 1 to 100000; default 50\n",
        ] {
            assert!(out.contains(part), "no {part} in {out}");
        }
        assert!(out.lines().all(|line| line.chars().count() <= WIDTH), "{out}");
        assert!(out.contains("nothing is lost") && out.contains("[stages.example]"), "{out}");
        let (_, source, _) = stages(Some("files"), Format::Text);
        assert!(!source.contains("inputs") && !source.contains("width"), "a source has neither: {source}");
    }

    #[test]
    fn json_is_the_spec() {
        let (_, out, _) = stages(Some("embed"), Format::Json);
        let spec: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(spec["batch"], json!({ "items": 256, "tokens": 100_000, "wait": "20ms" }));
        assert_eq!((&spec["takes"], &spec["gives"]), (&json!(["chunks"]), &json!(["vectors"])));
        assert_eq!(spec["fields"][0]["changes_output"], true);
    }

    #[test]
    fn an_unknown_kind_is_a_usage_error_that_names_the_nearest_or_all() {
        let (code, out, err) = stages(Some("chunks"), Format::Text);
        assert_eq!((code, out.as_str()), (USAGE, ""));
        assert_eq!(err, "error: unknown kind `chunks`; did you mean `chunk`?\n");
        let (_, _, err) = stages(Some("xyz"), Format::Text);
        assert!(err.contains("known: `chunk`, `download`"), "{err}");
    }

    #[test]
    fn the_reference_has_a_section_a_kind_and_a_row_a_field() {
        let (code, page, _) = stages(None, Format::Markdown);
        assert_eq!(code, 0);
        for kind in registry().kinds() {
            assert_eq!(page.matches(&format!("\n## {kind}\n")).count(), 1, "{kind}");
        }
        let (_, chunk, _) = stages(Some("chunk"), Format::Markdown);
        assert!(page.contains(&chunk), "a section is the same in the page and by itself");
        assert!(chunk.contains("| `tokens` | a whole number from 1 to 8192 | `512` | yes | how many |\n"), "{chunk}");
        assert!(chunk.contains("| `types.NAME.tokens` |") && chunk.contains("| `isolation` |"), "{chunk}");
        assert!(chunk.lines().filter(|line| line.starts_with('|')).all(|line| line.ends_with('|')), "{chunk}");
    }
}
