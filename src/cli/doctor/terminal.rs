//! The terminal: whether there is one, how wide it is, and what it can show.

use std::io::IsTerminal;

use super::Finding;

/// Below it the tables of `check` and `stages` break their lines.
const NARROW: u16 = 80;

pub(super) fn findings() -> Vec<Finding> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    vec![terminal(&variable), locale(&variable)]
}

fn terminal(variable: &dyn Fn(&str) -> Option<String>) -> Finding {
    let terminal = std::io::stdout().is_terminal();
    let name = variable("TERM");
    let width =
        rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| size.ws_col).filter(|width| *width > 0);
    let colours = terminal && variable("NO_COLOR").is_none() && name.as_deref() != Some("dumb");
    let told = match (terminal, width) {
        (false, _) => "standard output is no terminal: no colours, progress in lines".to_owned(),
        (true, width) => format!(
            "{}, {} columns, {}",
            name.as_deref().unwrap_or("TERM is unset"),
            width.map_or("unknown".to_owned(), |width| width.to_string()),
            if colours { "colours" } else { "no colours" }
        ),
    };
    let finding = match width {
        Some(width) if terminal && width < NARROW => {
            Finding::warning("terminal", told).mend(format!("make the window {NARROW} columns wide"))
        }
        _ => Finding::ok("terminal", told),
    };
    finding.value("terminal", terminal).value("term", name).value("columns", width).value("colours", colours)
}

/// The first of the three that is set decides, as the C library has it.
fn locale(variable: &dyn Fn(&str) -> Option<String>) -> Finding {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| Some((name, variable(name)?)));
    let utf8 = |value: &str| value.to_ascii_lowercase().replace('-', "").ends_with("utf8");
    let finding = match &set {
        Some((name, value)) if utf8(value) => Finding::ok("locale", format!("{name}={value}")),
        Some((name, value)) => Finding::warning("locale", format!("{name}={value} is not UTF-8, which docmill prints"))
            .mend("export LC_ALL=C.UTF-8"),
        None => Finding::warning("locale", "no locale is set; docmill prints UTF-8").mend("export LC_ALL=C.UTF-8"),
    };
    finding.value("locale", set.map(|(_, value)| value))
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_locale_is_utf_8_or_told() {
        let state = |set: &[(&str, &str)]| {
            let found = |name: &str| set.iter().find(|one| one.0 == name).map(|one| one.1.to_owned());
            locale(&found).state
        };
        assert_eq!(state(&[("LANG", "de_CH.UTF-8")]), State::Ok);
        assert_eq!(state(&[("LANG", "de_CH.UTF-8"), ("LC_ALL", "C")]), State::Warning);
        assert_eq!(state(&[("LC_CTYPE", "C.utf8"), ("LANG", "C")]), State::Ok);
        assert_eq!(state(&[]), State::Warning);
    }
}
