//! What a child may do besides computing: nothing. It has its input and its output; files, the network, other programs
//! and other processes are closed to it, so that a document which takes over the code that reads it finds itself in an
//! empty room.
//!
//! | | by | since |
//! |---|---|---|
//! | no file but libraries, and none to write | Landlock | Linux 5.13 |
//! | no TCP | Landlock | Linux 6.7 |
//! | no program, no process, no socket, no other process's memory or signals | seccomp | Linux 3.17, x86-64 and ARM64 |
//! | no file grows, few descriptors, no core dump | resource limits | any Unix |
//!
//! What the kernel lacks is left out, and `docmill doctor` says what is there. The stage was built before: what it loads,
//! it has loaded.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors of a child: its socket, two pipes, and what a reader opens for itself; a few threads' worth.
const DESCRIPTORS: u64 = 64;

/// Closes what can be closed, for this thread and all that it starts from now on. Gives the names of what holds.
pub(super) fn confine() -> Vec<&'static str> {
    let mut held = Vec::new();
    if limit(Resource::Fsize, 0) && limit(Resource::Nofile, DESCRIPTORS) && limit(Resource::Core, 0) {
        held.push("limits");
    }
    held.extend(kernel::confine());
    held
}

/// Lowers a limit for good. A system that refuses keeps its own.
pub(super) fn limit(resource: Resource, wanted: u64) -> bool {
    let hard = getrlimit(resource).maximum;
    let limit = hard.map_or(wanted, |hard| hard.min(wanted));
    setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) }).is_ok()
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    use landlock::{
        ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
        path_beneath_rules,
    };
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
        TargetArch, apply_filter,
    };

    /// Where libraries are: a reader may load one when it first needs it.
    const LIBRARIES: [&str; 4] = ["/lib", "/lib64", "/usr", "/etc/ld.so.cache"];

    pub(super) fn confine() -> Vec<&'static str> {
        let mut held = Vec::new();
        if matches!(close_files(), Ok(RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced)) {
            held.push("landlock");
        }
        if close_calls().is_some() {
            held.push("seccomp");
        }
        held
    }

    fn close_files() -> Result<RulesetStatus, RulesetError> {
        let abi = ABI::V5;
        let rules = path_beneath_rules(readable(), AccessFs::from_read(abi));
        let ruleset =
            Ruleset::default().handle_access(AccessFs::from_all(abi))?.handle_access(AccessNet::from_all(abi))?;
        Ok(ruleset.create()?.add_rules(rules)?.restrict_self()?.ruleset)
    }

    fn readable() -> Vec<PathBuf> {
        let named = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let beside = |path: PathBuf| path.parent().map(Path::to_owned);
        let pdfium =
            named("DOCMILL_PDFIUM").map(|path| if path.is_dir() { path } else { beside(path).unwrap_or_default() });
        let searched = std::env::var_os("LD_LIBRARY_PATH");
        let searched = searched.iter().flat_map(std::env::split_paths);
        // The program itself, by which a crash names its functions.
        let own = std::env::current_exe().ok();
        let all = LIBRARIES.iter().map(PathBuf::from).chain(searched).chain(pdfium).chain(own);
        all.filter(|path| !path.as_os_str().is_empty()).collect()
    }

    /// System calls that no reader of a document has a use for.
    const CLOSED: &[i64] = &[
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_socket,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_send_signal,
        libc::SYS_kill,
        libc::SYS_tkill,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_setns,
        libc::SYS_unshare,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_open_by_handle_at,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_setuid,
        libc::SYS_setgid,
    ];

    fn close_calls() -> Option<()> {
        let arch: TargetArch = std::env::consts::ARCH.try_into().ok()?;
        let mut closed: BTreeMap<i64, Vec<SeccompRule>> = CLOSED.iter().map(|call| (*call, Vec::new())).collect();
        // A thread is started, a process is not.
        let thread = u64::try_from(libc::CLONE_THREAD).ok()?;
        closed.insert(libc::SYS_clone, vec![only_where(0, SeccompCmpOp::MaskedEq(thread), 0)?]);
        // `abort` signals the process itself.
        let own = u64::from(std::process::id());
        closed.insert(libc::SYS_tgkill, vec![only_where(0, SeccompCmpOp::Ne, own)?]);
        #[cfg(target_arch = "x86_64")]
        closed.extend([(libc::SYS_fork, Vec::new()), (libc::SYS_vfork, Vec::new())]);
        apply(closed, libc::EPERM, arch)?;
        // What it does is in memory, where no filter looks: the C library goes back to `clone` where it is not there.
        apply(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS, arch)
    }

    fn only_where(argument: u8, how: SeccompCmpOp, value: u64) -> Option<SeccompRule> {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, how, value).ok()?;
        SeccompRule::new(vec![condition]).ok()
    }

    fn apply(closed: BTreeMap<i64, Vec<SeccompRule>>, error: i32, arch: TargetArch) -> Option<()> {
        let refused = SeccompAction::Errno(u32::try_from(error).ok()?);
        let filter = SeccompFilter::new(closed, SeccompAction::Allow, refused, arch).ok()?;
        let program: BpfProgram = filter.try_into().ok()?;
        apply_filter(&program).ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    pub(super) fn confine() -> Vec<&'static str> {
        Vec::new()
    }
}
