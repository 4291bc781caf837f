//! `docmill stages`: which kinds of stage there are and what each can be told, printed from what the stages say of
//! themselves.

use std::io::Write;

use docmill_api::units::Span;
use docmill_api::{FieldSpec, FieldType, PayloadKind, Registry, StageSpec};
use serde_json::{Value, json};

use super::pipeline_args::{Format, columns, refuse_usage};
use crate::plan;

/// Lists the kinds of stage, or explains one.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// The kind to explain
    #[arg(value_name = "KIND")]
    pub kind: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
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
        }
        return Ok(0);
    };
    let Some((kind, spec)) = all.iter().find(|(kind, _)| kind == wanted) else {
        let kinds: Vec<&str> = registry.kinds().collect();
        return refuse_usage(&format!("unknown kind `{wanted}`; the kinds are {}", kinds.join(", ")), err);
    };
    match args.format {
        Format::Text => write!(out, "{}", explanation(kind, spec))?,
        Format::Json => writeln!(out, "{:#}", as_json(kind, spec))?,
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
    let mut out = format!("{kind}: {}\n\n", spec.summary);
    out.push_str(&format!("takes {}, gives {}, {} tier\n", kinds(spec.takes), kinds(spec.gives), spec.tier.as_str()));
    out.push_str(&format!("{}\n", spec.guarantees));
    if !spec.fields.is_empty() {
        out.push_str("\nIts own fields (* another value gives other rows: documents are done again)\n");
        let mut rows = Vec::new();
        describe(&spec.fields, "", &mut rows);
        out.push_str(&indented(&columns(&rows)));
    }
    out.push_str("\nFields of every such stage\n");
    let engine: Vec<Vec<String>> = plan::engine_fields(spec)
        .into_iter()
        .map(|field| vec![field.name.to_owned(), field.ty, field.default, field.doc.to_owned()])
        .collect();
    out.push_str(&indented(&columns(&engine)));
    out.push_str(&format!("\nExample\n{}\n", indented(spec.example.trim())));
    out
}

/// One row a field; the fields of a table below it, dotted.
fn describe(fields: &[FieldSpec], prefix: &str, rows: &mut Vec<Vec<String>>) {
    for field in fields {
        let name = format!("{prefix}{}", field.name);
        let mark = if field.changes_output { "*" } else { "" };
        rows.push(vec![format!("{name}{mark}"), field.ty.describe(), default_of(field), field.doc.to_owned()]);
        match &field.ty {
            FieldType::Table(nested) => describe(nested, &format!("{name}."), rows),
            FieldType::Map(of) => {
                if let FieldType::Table(nested) = &**of {
                    describe(nested, &format!("{name}.NAME."), rows);
                }
            }
            _ => {}
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
        let line = |start: &str| {
            let found = out.lines().find(|line| line.trim_start().starts_with(start));
            found.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("tokens*"), "tokens* a whole number from 1 to 8192 512 how many");
        assert_eq!(line("encoding*"), "encoding* one of \"cl100k_base\", \"o200k_base\" \"cl100k_base\" of tokens");
        assert_eq!(line("types.NAME.tokens*"), "types.NAME.tokens* a whole number from 1 to 8192 unset how many");
        assert!(line("isolation").starts_with("isolation one of \"thread\", \"process\" \"thread\""), "{out}");
        assert!(line("queue").contains("from 1 to 100000 50"), "{out}");
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
    fn an_unknown_kind_is_a_usage_error_that_lists_the_known() {
        let (code, out, err) = stages(Some("chunks"), Format::Text);
        assert_eq!((code, out.as_str()), (USAGE, ""));
        assert!(err.contains("`chunks`") && err.contains("chunk, download"), "{err}");
    }
}
