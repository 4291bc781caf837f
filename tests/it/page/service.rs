//! The real program as a service, until it is dropped.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::pipeline::mill::Mill;

/// `docmill serve` on a port of its own.
pub(super) struct Service {
    child: Child,
    pub(super) url: String,
}

impl Service {
    pub(super) fn start(mill: &Mill, variables: &[(&str, &str)]) -> Self {
        let mut command = mill.command("serve");
        command.args(["--listen", "127.0.0.1:0"]).envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let url = lines.by_ref().find_map(|line| {
            let url = line.split_once("listening on ").map(|(_, url)| url.trim().to_owned());
            said.push(line);
            url
        });
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url: url.unwrap_or_else(|| panic!("it never listens: {said:#?}")) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
