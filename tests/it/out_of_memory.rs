//! The kernel ends the program because its machine has no memory left, as it does in a container: the next run brings the
//! store to what a clean run gives.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::crash::{assert_mended, forget_all, rows, run, write_documents};
use super::pipeline::mill::{Mill, PROGRAM, block_on};
use super::waiting::within;

const PATIENCE: Duration = Duration::from_secs(120);

/// A group of processes with a memory limit, where this machine lets a test make one.
struct Group(PathBuf);

impl Group {
    fn make() -> Option<Self> {
        // The first version of control groups has a tree for memory, the second has one for all.
        let roots = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"];
        let group = roots.iter().find_map(|root| {
            let group = Path::new(root).join(format!("docmill-test-{}", std::process::id()));
            fs::create_dir(&group).ok()?;
            Some(Self(group))
        })?;
        group.limit(1 << 30).then_some(group)
    }

    fn limit(&self, bytes: u64) -> bool {
        ["memory.limit_in_bytes", "memory.max"]
            .iter()
            .any(|file| fs::write(self.0.join(file), bytes.to_string()).is_ok())
    }

    /// The same command, begun within the group.
    fn hold(&self, command: &Command) -> Command {
        let mut held = Command::new("sh");
        held.args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""]).arg(&self.0).arg(PROGRAM);
        held.args(command.get_args());
        if let Some(directory) = command.get_current_dir() {
            held.current_dir(directory);
        }
        held
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn nothing_is_lost_or_there_twice_when_the_kernel_has_no_memory_left() {
    let Some(group) = Group::make() else {
        #[expect(clippy::print_stderr, reason = "a test says what it skips")]
        {
            eprintln!("not run: this machine lets no test limit the memory of a group of processes");
        }
        return;
    };
    block_on(async move || {
        let mill = Mill::new();
        write_documents(&mill, "spelt");
        run(&mill, &[]);
        let expected = rows(&mill).await;
        let mut killed = 0;
        // From what is too little to begin with to what is enough or nearly so.
        for mebibytes in (14..=56).step_by(3) {
            forget_all(&mill);
            assert!(group.limit(mebibytes << 20));
            let mut command = mill.command("run");
            command.args(["--ui", "none"]);
            let ended = within(PATIENCE, &mut group.hold(&command)).expect("an end").status;
            killed += usize::from(ended.signal() == Some(9));
            if ended.code() == Some(1) {
                // A child was ended in its stead: that document failed, and is tried when somebody says so.
                let mut retry = mill.command("failed");
                let arguments: Vec<_> = retry.get_args().skip(1).map(ToOwned::to_owned).collect();
                retry = Command::new(PROGRAM);
                retry.current_dir(mill.path()).args(["failed", "retry"]).args(arguments);
                assert_eq!(within(PATIENCE, &mut retry).expect("an end").status.code(), Some(0));
            }
            assert_mended(&mill, &expected, &format!("{mebibytes} MiB")).await;
        }
        assert!(killed > 0, "no limit was met: the test shows nothing");
    });
}
