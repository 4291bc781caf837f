//! The `[ui]` table: how a run is shown. It changes nothing of what a run does, and no fingerprint covers it.

use std::collections::BTreeMap;
use std::time::Duration;

use docmill_api::{FieldSpec, FieldType};
use serde::Serialize;
use serde_json::{Value, json};

use super::codes;
use super::fields::{self, Checker, Scope};

/// The table's name.
pub(super) const UI: &str = "ui";

/// How a run is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UiPlan {
    /// `auto`, `dark`, `light`, `ansi16` or `mono`.
    pub theme: String,
    /// `auto`, `braille`, `block` or `ascii`.
    pub glyphs: String,
    /// The dashboard's keys that are not the usual ones, by what they do. Which names there are is the dashboard's to say.
    pub keys: BTreeMap<String, String>,
    /// When an alert is raised.
    pub alerts: AlertPlan,
}

/// When an alert is raised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AlertPlan {
    /// A queue has been full for so long.
    pub queue_full: Duration,
    /// Nothing has come out of a stage with work in hand for so long.
    pub stalled: Duration,
    /// So large a share of a stage's records fails.
    pub error_rate: f64,
    /// So large a share of a model service's calls is refused.
    pub throttled: f64,
    /// So large a share of the memory that may be used is in use.
    pub memory: f64,
    /// A worker has had one document in hand for so long.
    pub slow_document: Duration,
}

impl Default for UiPlan {
    fn default() -> Self {
        Self {
            theme: "auto".into(),
            glyphs: "auto".into(),
            keys: BTreeMap::new(),
            alerts: AlertPlan {
                queue_full: Duration::from_secs(30),
                stalled: Duration::from_secs(30),
                error_rate: 0.1,
                throttled: 0.2,
                memory: 0.85,
                slow_document: Duration::from_secs(60),
            },
        }
    }
}

/// The fields of `[ui]`.
#[must_use]
pub fn ui_fields() -> Vec<FieldSpec> {
    vec![
        FieldSpec::new(
            "theme",
            FieldType::Choice(&["auto", "dark", "light", "ansi16", "mono"]),
            json!("auto"),
            "The dashboard's colours; `auto` looks at the terminal and at `NO_COLOR`.",
        ),
        FieldSpec::new(
            "glyphs",
            FieldType::Choice(&["auto", "braille", "block", "ascii"]),
            json!("auto"),
            "What the dashboard draws with; `auto` looks at the locale.",
        ),
        FieldSpec::new(
            "keys",
            FieldType::Map(Box::new(FieldType::Text)),
            json!({}),
            "Other keys for what the dashboard does, by name: `wider = \"ctrl-up\"`; `?` in the dashboard lists the names.",
        ),
        FieldSpec::new("alerts", FieldType::Table(alert_fields()), json!({}), "When an alert is raised."),
    ]
}

fn alert_fields() -> Vec<FieldSpec> {
    let share = || FieldType::Number { min: 0.0, max: 1.0 };
    vec![
        FieldSpec::new("queue_full", FieldType::Duration, json!("30s"), "A queue has been full for so long."),
        FieldSpec::new(
            "stalled",
            FieldType::Duration,
            json!("30s"),
            "Nothing has come out of a stage with work in hand for so long.",
        ),
        FieldSpec::new("error_rate", share(), json!(0.1), "So large a share of a stage's records fail, from 0 to 1."),
        FieldSpec::new(
            "throttled",
            share(),
            json!(0.2),
            "So large a share of a model service's calls is refused, from 0 to 1.",
        ),
        FieldSpec::new("memory", share(), json!(0.85), "So large a share of the memory that may be used is in use."),
        FieldSpec::new(
            "slow_document",
            FieldType::Duration,
            json!("60s"),
            "A worker has had one document in hand for so long.",
        ),
    ]
}

/// Reads `[ui]`; the defaults where there is no such table.
pub(super) fn read(cx: &mut Checker<'_>) -> UiPlan {
    let usual = UiPlan::default();
    let path = [UI.to_owned()];
    let given = match cx.raw.get(&path) {
        None => return usual,
        Some(Value::Object(table)) => table.clone(),
        Some(other) => {
            let message = format!("`ui` must be a table, found {}", fields::found(other));
            cx.error(codes::WRONG_TYPE, cx.raw.key(&path), message, Some("write a table `[ui]`".into()));
            return usual;
        }
    };
    let scope = Scope { what: "`[ui]`", path: &path };
    let checked = fields::table(cx, &scope, &ui_fields(), &[], &given);
    let word = |name: &str| checked.get(name).and_then(Value::as_str).unwrap_or("auto").to_owned();
    let alerts = checked.get("alerts");
    let alert = |name: &str| alerts.and_then(|alerts| alerts.get(name));
    let time = |name: &str, usual| fields::duration(alert(name)).unwrap_or(usual);
    let share = |name: &str, usual| alert(name).and_then(Value::as_f64).unwrap_or(usual);
    let keys = checked.get("keys").and_then(Value::as_object).into_iter().flatten();
    UiPlan {
        theme: word("theme"),
        glyphs: word("glyphs"),
        keys: keys.filter_map(|(name, key)| Some((name.clone(), key.as_str()?.to_owned()))).collect(),
        alerts: AlertPlan {
            queue_full: time("queue_full", usual.alerts.queue_full),
            stalled: time("stalled", usual.alerts.stalled),
            error_rate: share("error_rate", usual.alerts.error_rate),
            throttled: share("throttled", usual.alerts.throttled),
            memory: share("memory", usual.alerts.memory),
            slow_document: time("slow_document", usual.alerts.slow_document),
        },
    }
}
