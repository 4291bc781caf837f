//! Whoever is killed, hangs or is cut off: nothing is lost, and nothing is there twice.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::{Nats, Process, blobs_left, until};
use crate::crash::{assert_mended, forget_all, rows, run, write_documents};
use crate::pipeline::mill::{Mill, block_on};

#[test]
fn nothing_is_lost_or_there_twice_whoever_is_killed() {
    block_on(async || {
        let mill = Mill::new();
        let Some(mut nats) = Nats::start(mill.path()) else { return };
        write_documents(&mill, "rye");
        for number in 0..300 {
            mill.write(&format!("page-{number}.txt"), format!("Page {number} tells of wheel {}.\n", number * 7));
        }
        run(&mill, &[]);
        let expected = rows(&mill).await;
        let mill = nats.share(mill);
        for round in 0..6_u64 {
            forget_all(&mill);
            let mut workers: Vec<Process> = (0..2).map(|_| Process::start(&mill, "work")).collect();
            let mut coordinator = Process::start(&mill, "run");
            // Moments of the run's, not such that anything waits for: wherever they fall, the same has to hold.
            thread::park_timeout(Duration::from_millis(400 + 300 * round));
            match round {
                0 | 3 => {
                    workers[0].kill();
                    workers[0] = Process::start(&mill, "work");
                }
                1 | 4 => nats.restart(round == 4),
                _ => {
                    coordinator.kill();
                    coordinator = Process::start(&mill, "run");
                }
            }
            assert_eq!(coordinator.wait(), Some(0), "round {round}");
            assert_mended(&mill, &expected, &format!("round {round}")).await;
        }
    });
}

#[test]
fn a_worker_that_hangs_loses_its_documents_to_another() {
    block_on(async || {
        let mill = Mill::new();
        let Some(nats) = Nats::start(mill.path()) else { return };
        write_documents(&mill, "oats");
        run(&mill, &[]);
        let expected = rows(&mill).await;
        forget_all(&mill);
        let mill = nats.share(mill);
        let hangs = Process::start(&mill, "work");
        let mut coordinator = Process::start(&mill, "run");
        // As soon as the one worker has something in hand it stops, as one that swaps or is cut off does.
        until(|| blobs_left(&mill) > 0);
        signal(&hangs, "-STOP");
        let _other = Process::start(&mill, "work");
        assert_eq!(coordinator.wait(), Some(0));
        assert_eq!(rows(&mill).await, expected);
        signal(&hangs, "-CONT");
        assert_mended(&mill, &expected, "after the other went on").await;
    });
}

fn signal(process: &Process, name: &str) {
    let sent = Command::new("kill").args([name, &process.0.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

/// A network of its own, joined to this machine by one cable that can be pulled.
struct Network {
    name: String,
    cable: String,
}

impl Network {
    const HERE: &str = "10.213.77.1";

    /// Where the machine allows one: it takes root.
    fn make() -> Option<Self> {
        let name = format!("docmill-{}", std::process::id());
        let network = Self { cable: format!("dm{}", std::process::id()), name };
        let (name, cable) = (&network.name, &network.cable);
        let within = |rest: &str| format!("netns exec {name} ip {rest}");
        let made = ip(&format!("netns add {name}"))
            && ip(&format!("link add {cable} type veth peer name inner netns {name}"))
            && ip(&format!("addr add {}/30 dev {cable}", Self::HERE))
            && ip(&format!("link set {cable} up"))
            && ip(&within("addr add 10.213.77.2/30 dev inner"))
            && ip(&within("link set inner up"))
            && ip(&within("link set lo up"));
        #[expect(clippy::print_stderr, reason = "a test says what it skips")]
        if !made {
            eprintln!("not run: this machine allows no network namespace");
        }
        made.then_some(network)
    }

    /// The same command, inside.
    fn inside(&self, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.name]).arg(command.get_program()).args(command.get_args());
        inside.current_dir(command.get_current_dir().unwrap_or(Path::new(".")));
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    /// Packets are lost from now on, both ways and without a word; or go again.
    fn plug(&self, whether: bool) {
        assert!(ip(&format!("link set {} {}", self.cable, if whether { "up" } else { "down" })));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        ip(&format!("netns del {}", self.name));
    }
}

fn ip(arguments: &str) -> bool {
    let mut command = Command::new("ip");
    command.args(arguments.split(' ')).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[test]
fn a_worker_that_is_cut_off_loses_its_documents_to_another() {
    block_on(async || {
        let Some(network) = Network::make() else { return };
        let mill = Mill::new();
        let Some(nats) = Nats::start_at(Network::HERE, mill.path(), &[]) else { return };
        write_documents(&mill, "spelt");
        run(&mill, &[]);
        let expected = rows(&mill).await;
        forget_all(&mill);
        let mill = nats.share(mill);
        let _cut_off = Process::spawn(network.inside(&mill.command("work")));
        let mut coordinator = Process::start(&mill, "run");
        until(|| blobs_left(&mill) > 0);
        network.plug(false);
        let _other = Process::start(&mill, "work");
        assert_eq!(coordinator.wait(), Some(0));
        assert_eq!(rows(&mill).await, expected);
        network.plug(true);
        assert_mended(&mill, &expected, "after it was joined again").await;
    });
}
