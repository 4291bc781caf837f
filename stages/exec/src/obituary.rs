//! Why a child is gone, and what that means for its document.
//!
//! | end | class | because |
//! |---|---|---|
//! | signal 9, 15, 2 or 1, or a shell's status for one of them | transient | somebody else ended it: a person, a supervisor, the system for want of memory |
//! | status 0 | transient | a program may leave when it likes, to start afresh; this document came too late |
//! | another status | rejected | the program gave up on this document |
//! | another signal | rejected | the program crashed on this document |

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use docmill_api::StageError;

/// The signals by which one process ends another: hang-up, interrupt, kill, terminate.
const FROM_OUTSIDE: [i32; 4] = [1, 2, 9, 15];

/// How a child ended, as a part of a sentence; `None` for one that lives, or that the system cannot tell of.
pub(crate) fn manner(status: Option<ExitStatus>) -> String {
    match status {
        Some(status) => match (killed_by(status), status.signal(), status.code()) {
            (Some(signal), ..) => format!("was killed (signal {signal}), from outside or for want of memory"),
            (None, Some(signal), _) => format!("crashed (signal {signal})"),
            (None, None, Some(code)) => format!("ended with status {code}"),
            (None, None, None) => "ended".into(),
        },
        None => "closed its standard output".into(),
    }
}

/// The error of a document whose child ended in the middle of it.
pub(crate) fn of(name: &str, status: Option<ExitStatus>, last: Option<&str>) -> StageError {
    let mut message = format!("`{name}` {} in the middle of this document", manner(status));
    if let Some(last) = last {
        message = format!("{message}: {last}");
    }
    if status.is_some_and(|status| killed_by(status).is_some() || status.success()) {
        StageError::transient(message)
    } else {
        StageError::rejected(message)
    }
}

fn killed_by(status: ExitStatus) -> Option<i32> {
    // A shell that waited for a killed program ends with 128 and the signal.
    let signal = status.signal().or_else(|| status.code().map(|code| code - 128))?;
    FROM_OUTSIDE.contains(&signal).then_some(signal)
}

#[cfg(test)]
mod tests {
    use docmill_api::ErrorClass::{Rejected, Transient};

    use super::*;

    #[test]
    fn the_class_says_whose_fault_it_was() {
        // What `wait` reports: a signal in the low bits, or a status in the next eight.
        let by_signal = |signal: i32| Some(ExitStatus::from_raw(signal));
        let by_status = |code: i32| Some(ExitStatus::from_raw(code << 8));
        for status in [by_signal(9), by_signal(15), by_signal(1), by_status(137), by_status(143), by_status(0)] {
            assert_eq!(of("p", status, None).class, Transient, "{status:?}");
        }
        for status in [by_signal(11), by_signal(6), by_status(1), by_status(128), by_status(255), None] {
            assert_eq!(of("p", status, None).class, Rejected, "{status:?}");
        }
        let error = of("python3", by_status(3), Some("KeyError: zorblax"));
        assert_eq!(error.message, "`python3` ended with status 3 in the middle of this document: KeyError: zorblax");
    }
}
