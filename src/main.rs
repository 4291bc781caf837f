//! The `docmill` program: the command line with the stages that ship with it.

use std::process::ExitCode;

/// jemalloc, because what a long run frees goes back to the system: over 50,000 uploads to a service memory grows by a tenth,
/// where it nearly doubles with the allocator of glibc.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    give_back();
    docmill::cli::main_with(docmill::builtin::register)
}

/// Has freed memory go back to the system also while nothing is allocated. Not in a child, which reads what others wrote
/// and is to have no thread that its sandbox does not hold.
fn give_back() {
    #[cfg(not(target_env = "msvc"))]
    if !docmill::cli::is_stage_worker() {
        // Where the system has no such threads, memory goes back a little later.
        let _ = tikv_jemalloc_ctl::background_thread::write(true);
    }
}
