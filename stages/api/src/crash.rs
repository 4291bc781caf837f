//! Places at which a test has the process killed, to see what a crash there leaves. Nothing in a release build, and
//! nothing that a stage needs to call: the engine passes points around every stage; a store has some of its own, between
//! two of its commits.

/// Kills this process, as `kill -9` does, at the `N`th passage of a point, where `DOCMILL_CRASH_AT` is `PLACE.POINT:N`;
/// the place is a stage, a kind of store or `ledger`.
#[cfg(debug_assertions)]
pub fn crash_point(place: &str, point: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static AT: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let at = std::env::var("DOCMILL_CRASH_AT").ok()?;
        let (point, passage) = at.rsplit_once(':')?;
        Some((point.to_owned(), passage.parse().ok()?))
    });
    static PASSED: AtomicU64 = AtomicU64::new(0);
    if let Some((at, passage)) = &*AT
        && at.strip_prefix(place).and_then(|rest| rest.strip_prefix('.')) == Some(point)
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *passage
    {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
pub fn crash_point(_place: &str, _point: &str) {}

/// Panics at the `N`th passage of a point, where `DOCMILL_PANIC_AT` is `PLACE.POINT:N`: for a test that what a thread holds
/// is given back.
///
/// # Panics
/// Just then, in a build with debug assertions.
#[cfg(debug_assertions)]
pub fn panic_point(place: &str, point: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static AT: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let at = std::env::var("DOCMILL_PANIC_AT").ok()?;
        let (point, passage) = at.rsplit_once(':')?;
        Some((point.to_owned(), passage.parse().ok()?))
    });
    static PASSED: AtomicU64 = AtomicU64::new(0);
    if let Some((at, passage)) = &*AT
        && at.strip_prefix(place).and_then(|rest| rest.strip_prefix('.')) == Some(point)
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *passage
    {
        panic!("a test wants this thread to panic at {place}.{point}");
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
pub fn panic_point(_place: &str, _point: &str) {}
