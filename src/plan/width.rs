//! Reads a stage's width: a number, `"auto"`, or `{ min, max }`.

use docmill_api::{FieldSpec, FieldType, StageSpec, Tier};
use serde_json::Value;

use super::fields::{self, Checker, Scope};
use super::{Diagnostic, Machine, Role, Width, codes, settings};

/// The widest that any stage may become. Beyond it, a stage's own bookkeeping costs more than another worker brings.
pub const MAX: usize = 256;

const EXPECTED: &str = "a whole number from 1 to 256, \"auto\", or { min = 1, max = 8 }";

/// A number is the start, and a person may change it between 1 and 256. `{ min, max }` and `"auto"` hand the width to the
/// tuner: the one within bounds and from `min` on, since growing acts at once and costs nothing, while starting too wide takes
/// memory and permits before anything is known; the other from what the kind proposes, for the CPU tier from the number of
/// CPUs.
pub(super) fn read(
    cx: &mut Checker<'_>,
    scope: &Scope<'_>,
    given: Option<&Value>,
    spec: &StageSpec,
    machine: Machine,
) -> Width {
    if settings::role(spec) != Role::Stage {
        return Width { start: 1, min: 1, max: 1, auto: false };
    }
    let cpus = machine.cpus.clamp(1, MAX);
    let usual = spec.width.map_or(cpus, |width| (width as usize).clamp(1, MAX));
    let from = |start| Width { start, min: 1, max: MAX, auto: false };
    let path = scope.child("width");
    let width = match given {
        None => from(usual),
        Some(Value::String(word)) if word == "auto" => {
            let start = if spec.tier == Tier::Cpu { cpus } else { usual };
            Width { auto: true, ..from(start) }
        }
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => {
            match number.as_u64().and_then(|number| usize::try_from(number).ok()).filter(|n| (1..=MAX).contains(n)) {
                Some(start) => from(start),
                None => {
                    let message = format!("`width` in {} must be from 1 to {MAX}, found `{number}`", scope.what);
                    let help = "nothing runs at width 0, and beyond 256 a width brings nothing".to_owned();
                    cx.error(codes::OUT_OF_RANGE, cx.raw.value(&path), message, Some(help));
                    from(usual)
                }
            }
        }
        Some(Value::Object(_)) => bounds(cx, scope, given, &path).unwrap_or_else(|| from(usual)),
        Some(other) => {
            let message = format!("`width` in {} must be {EXPECTED}, found {}", scope.what, fields::found(other));
            let help = match other {
                Value::String(text) if text.parse::<usize>().is_ok() => {
                    Some(format!("write it without quotes: `{text}`"))
                }
                Value::String(text) => fields::nearest(text, &["auto"]).map(|_| "did you mean \"auto\"?".to_owned()),
                _ => None,
            };
            cx.error(codes::WRONG_TYPE, cx.raw.value(&path), message, help);
            from(usual)
        }
    };
    if given.is_some() && spec.tier == Tier::Cpu && width.start > cpus {
        let message = format!("`width` in {} starts at {}, and there are {cpus} CPUs", scope.what, width.start);
        let help = format!("more at once than CPUs only wait for each other: use \"auto\" or `{cpus}`");
        cx.push(Diagnostic::warning(codes::WIDER_THAN_CPUS, cx.raw.value(&path), message).help(help));
    }
    width
}

fn bounds(cx: &mut Checker<'_>, scope: &Scope<'_>, given: Option<&Value>, path: &[String]) -> Option<Width> {
    let bound =
        |name, default: usize| FieldSpec::new(name, FieldType::Integer { min: 1, max: MAX as i64 }, default.into(), "");
    let table = FieldType::Table(vec![bound("min", 1), bound("max", MAX)]);
    let checked = fields::value(cx, scope.what, &table, given?, path)?;
    let min: usize = fields::integer(checked.get("min"))?;
    let max: usize = fields::integer(checked.get("max"))?;
    if min > max {
        let message = format!("`width.min` in {} is above `width.max`", scope.what);
        let help = Some(format!("write {{ min = {max}, max = {min} }}"));
        cx.error(codes::OUT_OF_RANGE, cx.raw.value(path), message, help);
        return None;
    }
    Some(Width { start: min, min, max, auto: min < max })
}
