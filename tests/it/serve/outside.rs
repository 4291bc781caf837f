//! The service in the hands of programs that others wrote: schemathesis, which makes requests of all kinds out of the
//! description, and Prometheus, which scrapes it; and in those of one that wishes it ill. Each where it is installed.

#![expect(clippy::print_stdout, reason = "says what was not run, and what the others saw")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::served::Served;
use crate::pipeline::mill::Mill;

/// What the service must answer as it says it does. A 503 is said to be one of its answers, a 500 is not.
const CHECKS: &str =
    "status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance";

/// Streams have no end, and after the other two nothing would be taken in any more.
const LEFT_OUT: &str = "(events|/run/drain|/run/pause)$";

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serve").join(name)
}

/// A program of this name, beside the tests' other tools or on the path.
fn tool(name: &str) -> Option<PathBuf> {
    let beside = std::env::var_os("DOCMILL_TOOLS").map(|tools| PathBuf::from(tools).join(name));
    let on_path =
        || std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let found = beside.into_iter().chain(on_path().map(|directory| directory.join(name))).find(|path| path.exists());
    if found.is_none() {
        println!("not run: `{name}` is not installed");
    }
    found
}

fn well(ended: &Output, served: &Served) {
    let said = String::from_utf8_lossy(&ended.stdout);
    let complained = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}\n{complained}\nthe service: {}", served.said());
    println!("{said}");
}

#[test]
fn schemathesis_finds_no_answer_that_is_not_described() {
    let Some(schemathesis) = tool("schemathesis") else { return };
    let mill = Mill::new();
    let served = Served::start(&mill);
    let mut command = Command::new(schemathesis);
    command.current_dir(mill.path()).arg("run").arg(format!("{}/openapi.json", served.url));
    command.args(["--checks", CHECKS, "--exclude-path-regex", LEFT_OUT]);
    command.args(["--max-examples", "40", "--request-timeout", "60", "--seed", "7", "--no-color"]);
    well(&command.output().expect("it runs"), &served);
    let (code, said) = served.stop();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn prometheus_scrapes_it_and_loads_the_rules() {
    for program in ["prometheus", "promtool", "jq", "curl", "python3"] {
        if tool(program).is_none() {
            return;
        }
    }
    let mill = Mill::new();
    let served = Served::start(&mill);
    well(&Command::new(script("prometheus.sh")).arg(&served.url).output().expect("it runs"), &served);
}

#[test]
fn it_survives_who_wishes_it_ill() {
    let Some(python) = tool("python3") else { return };
    let mill = Mill::new();
    let served = Served::start(&mill);
    let mut command = Command::new(python);
    command.arg(script("abuse.py")).arg(&served.url).arg(served.pid().to_string());
    well(&command.output().expect("it runs"), &served);
}
