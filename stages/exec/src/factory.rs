//! The kind `exec`: its configuration, its description, and what can be said against a configuration without I/O.

use std::sync::Arc;
use std::time::Duration;

use docmill_api::units::{Size, Span};
use docmill_api::{
    BuildContext, Embedding, FieldSpec, FieldType, Issue, Node, PayloadKind, Ports, StageError, StageFactory,
    StageSpec, Tier, async_trait,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::program::{self, Program};
use crate::stage::Exec;

/// The stage's table in `pipeline.toml`, without what every stage has.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The program and its arguments. Required by the spec; absent only where the defaults alone are looked at.
    #[serde(default)]
    pub command: Vec<String>,
    /// What the program takes.
    pub takes: Vec<PayloadKind>,
    /// What it gives.
    pub gives: Vec<PayloadKind>,
    /// Handed to it as it is.
    pub config: Map<String, Value>,
    /// The variables that are passed on besides the usual ones.
    pub env: Vec<String>,
    /// Its working directory.
    pub directory: String,
    /// How long it may take until it is ready.
    pub start_timeout: Span,
    /// The most bytes that one input may give.
    pub max_output: Size,
    /// Raised by the user when the program changes.
    pub version: String,
    /// The model whose vectors it gives.
    pub embedding: Option<Model>,
}

/// The model of a program that embeds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its name.
    pub model: String,
    /// The length of its vectors.
    pub dimensions: usize,
}

/// Makes stages of kind `exec`.
#[derive(Debug)]
pub struct ExecFactory;

/// All kinds of payload: what a program may be told to take and give.
const KINDS: &[PayloadKind] =
    &[PayloadKind::Reference, PayloadKind::Blob, PayloadKind::Text, PayloadKind::Chunks, PayloadKind::Vectors];

/// A model of more dimensions is a mistake, and their product with a count of chunks could overflow.
const MAX_DIMENSIONS: i64 = 65_536;

fn fields() -> Vec<FieldSpec> {
    let texts = || FieldType::List(Box::new(FieldType::Text));
    let kinds = || FieldType::List(Box::new(FieldType::Choice(&["reference", "blob", "text", "chunks", "vectors"])));
    let model = vec![
        FieldSpec::new("model", FieldType::Text, Value::Null, "the name that the store remembers").required().output(),
        FieldSpec::new(
            "dimensions",
            FieldType::Integer { min: 1, max: MAX_DIMENSIONS },
            Value::Null,
            "the length of each vector",
        )
        .required()
        .output(),
    ];
    vec![
        FieldSpec::new(
            "command",
            texts(),
            Value::Null,
            "the program and its arguments; a program with a slash is looked for from the pipeline file's directory, \
             another in PATH",
        )
        .required()
        .output(),
        FieldSpec::new("takes", kinds(), json!(["text"]), "what the program takes").output(),
        FieldSpec::new("gives", kinds(), json!(["text"]), "what the program gives").output(),
        FieldSpec::new(
            "config",
            FieldType::Map(Box::new(FieldType::Any)),
            json!({}),
            "a table of your own, handed to the program at its start",
        )
        .output(),
        FieldSpec::new(
            "version",
            FieldType::Text,
            "".into(),
            "change it when the program changes: documents are then done again",
        )
        .output(),
        FieldSpec::new(
            "embedding",
            FieldType::Table(model),
            Value::Null,
            "the model, for a program that makes vectors: { model = \"…\", dimensions = 384 }",
        )
        .output(),
        FieldSpec::new(
            "env",
            texts(),
            json!([]),
            "the names of variables that the program gets besides PATH, HOME, USER, LANG, TMPDIR and the like; no other \
             is passed on",
        ),
        FieldSpec::new(
            "directory",
            FieldType::Text,
            "".into(),
            "the program's working directory, from the pipeline file's directory; that one where empty",
        ),
        FieldSpec::new(
            "start_timeout",
            FieldType::Duration,
            "30s".into(),
            "how long the program may take until it says that it is ready",
        ),
        FieldSpec::new(
            "max_output",
            FieldType::Size,
            "64MiB".into(),
            "the most bytes that one input may give; as much is held in memory for each record worked on",
        ),
    ]
}

#[async_trait]
impl StageFactory for ExecFactory {
    type Config = Config;
    const KIND: &'static str = "exec";
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        StageSpec {
            summary: "Hands records to a program of yours, in any language, and takes back what it makes of them.",
            takes: KINDS,
            gives: KINDS,
            tier: Tier::Io,
            fields: fields(),
            batch: None,
            // A program is a process: as many of them as there are CPUs.
            width: None,
            timeout: Duration::from_secs(60),
            attempts: docmill_api::ATTEMPTS,
            accepts: &[],
            guarantees: "At most as many children as the width, each on one record at a time. One that is out of time \
                         is killed with its process group. One that is killed from outside costs an attempt, one that \
                         crashes its document, one that cannot be started the run.",
            example: "[stages.redact]\nkind = \"exec\"\ninputs = [\"parse\"]\ncommand = [\"python3\", \"stage.py\"]\n\
                      version = \"1\"\n",
        }
    }

    fn validate(config: &Config) -> Vec<Issue> {
        let mut issues = Vec::new();
        let mut refuse = |field: &str, message: &str, hint: &str| issues.push(Issue::new(field, message).hint(hint));
        match config.command.first() {
            None => refuse("command", "is empty", "name the program: [\"python3\", \"stage.py\"]"),
            Some(program) if program.is_empty() => refuse("command", "names no program", "begin it with the program"),
            Some(_) if config.command.iter().any(|word| word.contains('\0')) => {
                refuse("command", "holds a NUL", "no argument of a program can");
            }
            Some(_) => {}
        }
        for (field, kinds) in [("takes", &config.takes), ("gives", &config.gives)] {
            if kinds.is_empty() {
                refuse(field, "is empty", "a program stands between a source and a store: [\"text\"]");
            }
        }
        let vectors = |kinds: &[PayloadKind]| kinds.contains(&PayloadKind::Vectors);
        match &config.embedding {
            None if vectors(&config.gives) && !vectors(&config.takes) => refuse(
                "gives",
                "has vectors, and `embedding` does not say of which model",
                "add `embedding = { model = \"…\", dimensions = 384 }`",
            ),
            Some(_) if !vectors(&config.gives) => {
                refuse("embedding", "is set, and `gives` has no vectors", "add \"vectors\" to `gives`, or take it out");
            }
            _ => {}
        }
        if config.start_timeout.0.is_zero() {
            refuse("start_timeout", "must be above nought", "no program starts in no time: \"30s\"");
        }
        if config.max_output.0 == 0 {
            refuse("max_output", "must be above nought", "\"64MiB\" is usual");
        }
        if let Some(name) = config.env.iter().find(|name| !program::is_variable(name)) {
            let message = format!("`{name}` is no name of a variable");
            refuse("env", &message, "write names only; the values come from docmill's own environment");
        }
        issues
    }

    fn embedding(config: &Config) -> Option<Embedding> {
        let Model { model, dimensions } = config.embedding.clone()?;
        Some(Embedding { model, dimensions })
    }

    fn ports(config: &Config) -> Option<Ports> {
        Some(Ports { takes: config.takes.clone(), gives: config.gives.clone() })
    }

    /// Looks for the program, so that a missing one is told before any document is read; starts none.
    async fn build(config: Config, cx: &BuildContext) -> Result<Node, StageError> {
        if let Some(issue) = Self::validate(&config).into_iter().next() {
            return Err(StageError::fatal(format!("`{}` {}", issue.path.join("."), issue.message)));
        }
        let program = Program::find(&config, cx)?;
        let dimensions = config.embedding.as_ref().map(|embedding| embedding.dimensions);
        Ok(Node::Io(Arc::new(Exec::new(program, &config, dimensions))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl FnOnce(&mut Value)) -> Config {
        let mut values = docmill_api::defaults(&fields());
        values["command"] = json!(["python3", "stage.py"]);
        change(&mut values);
        serde_json::from_value(values).unwrap()
    }

    fn refused(change: impl FnOnce(&mut Value)) -> Vec<String> {
        ExecFactory::validate(&config(change)).into_iter().map(|issue| issue.path.join(".")).collect()
    }

    #[test]
    fn a_configuration_that_cannot_work_is_refused_by_field() {
        assert_eq!(refused(|_| ()), [""; 0]);
        assert_eq!(refused(|values| values["command"] = json!([])), ["command"]);
        assert_eq!(refused(|values| values["command"] = json!(["", "a"])), ["command"]);
        assert_eq!(refused(|values| values["command"] = json!(["sh", "a\0b"])), ["command"]);
        assert_eq!(refused(|values| values["gives"] = json!([])), ["gives"]);
        assert_eq!(refused(|values| values["gives"] = json!(["vectors"])), ["gives"]);
        assert_eq!(refused(|values| values["env"] = json!(["KEY=secret"])), ["env"]);
        assert_eq!(refused(|values| values["start_timeout"] = json!("0s")), ["start_timeout"]);
        assert_eq!(refused(|values| values["max_output"] = json!(0)), ["max_output"]);
        let model = json!({ "model": "m", "dimensions": 3 });
        assert_eq!(refused(|values| values["embedding"] = model.clone()), ["embedding"]);
        let embeds = config(|values| {
            (values["gives"], values["embedding"]) = (json!(["vectors"]), model.clone());
        });
        assert_eq!(ExecFactory::validate(&embeds), []);
        assert_eq!(ExecFactory::embedding(&embeds).map(|embedding| embedding.dimensions), Some(3));
    }

    #[test]
    fn ports_are_what_was_configured_and_text_to_text_unless_they_were() {
        let both = |config: &Config| ExecFactory::ports(config).map(|ports| (ports.takes, ports.gives));
        assert_eq!(both(&config(|_| ())), Some((vec![PayloadKind::Text], vec![PayloadKind::Text])));
        // What a plan asks where it looks for a kind to propose: a program is never the one that is missing.
        let mut registry = docmill_api::Registry::new();
        crate::register(&mut registry);
        let usual = registry.get("exec").unwrap().ports(&docmill_api::defaults(&fields()));
        assert_eq!((usual.takes, usual.gives), (vec![PayloadKind::Text], vec![PayloadKind::Text]));
        let other = config(|values| values["takes"] = json!(["blob", "text"]));
        assert_eq!(both(&other), Some((vec![PayloadKind::Blob, PayloadKind::Text], vec![PayloadKind::Text])));
    }

    #[test]
    fn what_makes_other_rows_is_marked_so() {
        let marked: Vec<&str> =
            fields().into_iter().filter(|field| field.changes_output).map(|field| field.name).collect();
        assert_eq!(marked, ["command", "takes", "gives", "config", "version", "embedding"]);
    }
}
