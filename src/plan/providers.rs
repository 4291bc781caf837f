//! The tables in `[providers]` and `[ask]`: model services, declared once and named by whoever uses them.
//!
//! A stage that names one is planned as if its fields stood in the stage's own table, where what the stage says itself
//! wins. So there is one form of a service's settings behind this file, and one fingerprint of them.

use std::collections::BTreeMap;

use docmill_api::{FieldSpec, FieldType, Registry, ServiceFactory};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::codes;
use super::draft::is_name;
use super::fields::{self, Checker, Scope};
use super::raw::dotted;

/// The table of the service that `ask` talks with.
const ASK: &str = "ask";

/// A service that a command may talk with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProviderPlan {
    /// What the user calls it: its table's name, or `ask`.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Its fields, defaults filled in.
    pub settings: Value,
}

/// The `[ask]` table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AskPlan {
    /// Who answers.
    pub provider: ProviderPlan,
    /// How many documents an answer looks at, unless the command says.
    pub documents: usize,
}

/// How many documents `ask` looks at unless set: what one question needs of a collection, and some dozen calls of a
/// small model.
pub const ASK_DOCUMENTS: usize = 50;

/// A table in `[providers]`.
struct Declared {
    kind: String,
    /// As written, without the kind.
    given: Map<String, Value>,
    /// `None` after a complaint about it.
    settings: Option<Value>,
}

/// All tables in `[providers]`.
#[derive(Default)]
pub(super) struct Providers(BTreeMap<String, Declared>);

/// Reads `[providers]`.
pub(super) fn read(cx: &mut Checker<'_>, registry: &Registry) -> Providers {
    let path = ["providers".to_owned()];
    let mut all = Providers::default();
    match cx.raw.get(&path) {
        None => {}
        Some(Value::Object(tables)) => {
            for (name, table) in tables {
                if let Some(declared) = read_one(cx, name, table, registry) {
                    all.0.insert(name.clone(), declared);
                }
            }
        }
        Some(other) => {
            let message = format!("`providers` must be a table, found {}", fields::found(other));
            cx.error(codes::WRONG_TYPE, cx.raw.key(&path), message, Some("write `[providers.NAME]`".into()));
        }
    }
    cx.providers = all.0.keys().cloned().collect();
    all
}

fn read_one(cx: &mut Checker<'_>, name: &str, table: &Value, registry: &Registry) -> Option<Declared> {
    let path = ["providers".to_owned(), name.to_owned()];
    let what = format!("provider `{name}`");
    let scope = Scope { what: &what, path: &path };
    if !is_name(name) {
        let message = format!("`{name}` cannot be the name of a provider");
        cx.error(codes::BAD_NAME, cx.raw.key(&path), message, Some("use letters, digits, `-` and `_`".into()));
    }
    let Value::Object(given) = table else {
        let message = format!("{what} must be a table, found {}", fields::found(table));
        cx.error(codes::WRONG_TYPE, cx.raw.key(&path), message, Some(format!("write `[providers.{name}]`")));
        return None;
    };
    let kinds: Vec<&str> = registry.services().collect();
    let Some(kind) = given.get("kind") else {
        let help = format!("add `kind = \"…\"`, one of {}", fields::list(&kinds, ", "));
        cx.error(codes::NO_KIND, cx.raw.key(&path), format!("{what} has no `kind`"), Some(help));
        return None;
    };
    let Some(service) = kind.as_str().and_then(|kind| registry.service(kind)) else {
        let message = format!("unknown kind {} of {what}", fields::found(kind));
        let help = fields::nearest_or_list(kind.as_str().unwrap_or_default(), &kinds);
        cx.error(codes::UNKNOWN_KIND, cx.raw.value(&scope.child("kind")), message, help);
        return None;
    };
    let mut given = given.clone();
    given.remove("kind");
    let settings = settings(cx, &scope, service.as_ref(), &given, &["kind"]);
    Some(Declared { kind: service.kind().to_owned(), given, settings })
}

/// Checks the fields of a service that stand in a table of its own.
fn settings(
    cx: &mut Checker<'_>,
    scope: &Scope<'_>,
    service: &dyn ServiceFactory,
    given: &Map<String, Value>,
    others: &[&str],
) -> Option<Value> {
    let before = cx.found.len();
    let settings = Value::Object(fields::table(cx, scope, &service.fields(), others, given));
    if cx.found.len() > before {
        return None;
    }
    for issue in service.validate(&settings) {
        let path: Vec<String> = scope.path.iter().chain(&issue.path).cloned().collect();
        let message = format!("`{}` in {}: {}", dotted(&issue.path), scope.what, issue.message);
        cx.error(codes::REFUSED, cx.raw.value(&path), message, issue.hint);
    }
    (cx.found.len() == before).then_some(settings)
}

impl Providers {
    /// A table with what the provider that it names adds to it, and that provider's name. `fields` says which keys the
    /// table may have, once its provider is known.
    pub(super) fn merged(
        &self,
        table: &Map<String, Value>,
        fields: impl FnOnce(&Map<String, Value>) -> Vec<FieldSpec>,
    ) -> (Map<String, Value>, Option<String>) {
        let mut merged = table.clone();
        let name = table.get("provider").and_then(Value::as_str);
        let Some((name, declared)) = name.and_then(|name| self.0.get_key_value(name)) else { return (merged, None) };
        merged.insert("provider".into(), declared.kind.clone().into());
        for field in fields(&merged) {
            if let (Some(value), false) = (declared.given.get(field.name), merged.contains_key(field.name)) {
                merged.insert(field.name.to_owned(), value.clone());
            }
        }
        (merged, Some(name.clone()))
    }

    /// All that could be read.
    pub(super) fn plans(&self) -> Vec<ProviderPlan> {
        let plan = |(name, declared): (&String, &Declared)| {
            let settings = declared.settings.clone()?;
            Some(ProviderPlan { name: name.clone(), kind: declared.kind.clone(), settings })
        };
        self.0.iter().filter_map(plan).collect()
    }
}

/// The fields of `[ask]` beside those of its service.
#[must_use]
pub fn ask_fields(registry: &Registry) -> Vec<FieldSpec> {
    let first = registry.services().next().unwrap_or_default();
    vec![
        FieldSpec::new(
            "provider",
            FieldType::Provider(&[]),
            json!(first),
            "Who answers: a table in `[providers]`, or a kind of service whose fields stand here.",
        ),
        FieldSpec::new(
            "documents",
            FieldType::Integer { min: 1, max: 1000 },
            json!(ASK_DOCUMENTS),
            "How many documents an answer looks at, unless the command says.",
        ),
    ]
}

/// Reads `[ask]`; `None` where there is no such table.
pub(super) fn read_ask(cx: &mut Checker<'_>, providers: &Providers, registry: &Registry) -> Option<AskPlan> {
    let path = [ASK.to_owned()];
    let scope = Scope { what: "`[ask]`", path: &path };
    let given = match cx.raw.get(&path)? {
        Value::Object(table) => table.clone(),
        other => {
            let message = format!("`ask` must be a table, found {}", fields::found(other));
            cx.error(codes::WRONG_TYPE, cx.raw.key(&path), message, Some("write a table `[ask]`".into()));
            return None;
        }
    };
    let of_kind = |table: &Map<String, Value>| {
        let kind = table.get("provider").and_then(Value::as_str).and_then(|kind| registry.service(kind));
        kind.map(|service| service.fields()).unwrap_or_default()
    };
    let (mut merged, name) = providers.merged(&given, of_kind);
    let kinds: Vec<&str> = registry.services().collect();
    let kind = merged.remove("provider").unwrap_or_else(|| json!(kinds.first().unwrap_or(&"")));
    let Some(service) = kind.as_str().and_then(|kind| registry.service(kind)) else {
        let names: Vec<&str> = cx.providers.iter().map(String::as_str).chain(kinds).collect();
        let help = fields::nearest_or_list(kind.as_str().unwrap_or_default(), &names);
        let message = format!("`provider` in `[ask]` names no provider: {}", fields::found(&kind));
        cx.error(codes::REFUSED, cx.raw.value(&scope.child("provider")), message, help);
        return None;
    };
    let documents = merged.remove("documents");
    let own = Map::from_iter(documents.map(|documents| ("documents".to_owned(), documents)));
    let own = fields::table(cx, &scope, &ask_fields(registry), &["provider"], &own);
    let settings = settings(cx, &scope, service.as_ref(), &merged, &["provider", "documents"])?;
    let provider =
        ProviderPlan { name: name.unwrap_or_else(|| ASK.to_owned()), kind: service.kind().to_owned(), settings };
    Some(AskPlan { provider, documents: fields::integer(own.get("documents")).unwrap_or(ASK_DOCUMENTS) })
}
