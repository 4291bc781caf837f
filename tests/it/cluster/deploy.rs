//! What lies in `deploy/` fits the program: the pipeline is sound, commands are commands, and the scaler asks for what is
//! there.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{Nats, PATIENCE, Process, free_port, until};
use crate::pipeline::mill::{Mill, PROGRAM, block_on};
use crate::waiting::within;

fn file(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands behind a key, wherever in the file.
fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let found = text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(':'));
    found.unwrap_or_else(|| panic!("no `{key}`")).trim().trim_matches('"')
}

#[test]
fn the_pipeline_is_sound_and_every_command_is_one() {
    let pipeline = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/pipeline.toml");
    let checked = within(PATIENCE, Command::new(PROGRAM).arg("check").arg(pipeline)).expect("an end");
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stderr));
    let mut commands = Vec::new();
    for (name, before, after) in [
        ("compose.yaml", "command: [\"", "\"]"),
        ("kubernetes/serve.yaml", "args: [\"", "\"]"),
        ("kubernetes/work.yaml", "args: [\"", "\"]"),
        ("systemd/docmill-serve.service", "ExecStart=/usr/local/bin/docmill ", " /etc/docmill/pipeline.toml"),
        ("systemd/docmill-work.service", "ExecStart=/usr/local/bin/docmill ", " /etc/docmill/pipeline.toml"),
    ] {
        let text = file(name);
        let found = text.lines().filter_map(|line| line.trim().strip_prefix(before)?.strip_suffix(after));
        commands.extend(found.filter(|command| !command.contains(',')).map(str::to_owned));
    }
    assert_eq!(commands, ["serve", "work", "serve", "work", "serve", "work"]);
    for command in ["serve", "work"] {
        let helped = Command::new(PROGRAM).args([command, "--help"]).stdout(Stdio::null()).status().expect("it runs");
        assert!(helped.success(), "{command}");
    }
}

#[test]
fn the_scaler_sees_the_queue_grow() {
    block_on(async || {
        let mill = Mill::new();
        let port = free_port("127.0.0.1");
        let Some(nats) = Nats::start_with(mill.path(), &["--http_port", &port.to_string()]) else { return };
        for number in 0..5 {
            mill.write(&format!("note-{number}.txt"), format!("The sluice {number} is greased in spring.\n"));
        }
        let mill = nats.share(mill);
        // Without a worker, so that all of them wait.
        let mut coordinator = Process::start(&mill, "run");
        let scale = file("kubernetes/scale.yaml");
        let (stream, consumer) = (value(&scale, "stream"), value(&scale, "consumer"));
        let told = || -> Option<serde_json::Value> {
            let asked = std::net::TcpStream::connect(("127.0.0.1", port)).and_then(|mut peer| {
                use std::io::{Read, Write};
                peer.write_all(b"GET /jsz?acc=$G&consumers=true&config=true HTTP/1.0\r\n\r\n")?;
                let mut answer = String::new();
                peer.read_to_string(&mut answer).map(|_| answer)
            });
            let answer = asked.ok()?;
            let told: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
            let named =
                |list: &serde_json::Value, name: &str| list.as_array()?.iter().find(|one| one["name"] == name).cloned();
            let account = told["account_details"].as_array()?.first()?.clone();
            let stream = named(&account["stream_detail"], stream)?;
            named(&stream["consumer_detail"], consumer)
        };
        let lag = || told()?["num_pending"].as_u64();
        until(|| lag() == Some(5));
        assert_eq!(lag(), Some(5), "by the names in scale.yaml");
        // What is changed in the file holds from the next start on.
        coordinator.kill();
        let mill = mill.set("queue.in_flight=3");
        let _coordinator = Process::start(&mill, "run");
        let most = || told()?["config"]["max_ack_pending"].as_u64();
        until(|| most() == Some(3) && lag() == Some(3));
        assert_eq!((most(), lag()), (Some(3), Some(3)));
    });
}
