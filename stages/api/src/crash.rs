//! Places at which a test has the process killed or a thread panic, to see what that leaves. Nothing in a release build, and
//! nothing that a stage needs to call: the engine passes points around every stage; a store has some of its own, between
//! two of its commits.

/// Kills this process, as `kill -9` does, at the `N`th passage of a point, where `DOCMILL_CRASH_AT` is `PLACE.POINT:N`;
/// the place is a stage, a kind of store or `ledger`.
#[cfg(debug_assertions)]
pub fn crash_point(place: &str, point: &str) {
    static WANTED: Wanted = Wanted::by("DOCMILL_CRASH_AT");
    if WANTED.is_reached(place, point) {
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
    static WANTED: Wanted = Wanted::by("DOCMILL_PANIC_AT");
    assert!(!WANTED.is_reached(place, point), "a test wants this thread to panic at {place}.{point}");
}

/// Nothing.
#[cfg(not(debug_assertions))]
pub fn panic_point(_place: &str, _point: &str) {}

/// Which passage of which point a variable names, and how often that point was passed.
#[cfg(debug_assertions)]
struct Wanted {
    variable: &'static str,
    at: std::sync::OnceLock<Option<(String, u64)>>,
    passed: std::sync::atomic::AtomicU64,
}

#[cfg(debug_assertions)]
impl Wanted {
    const fn by(variable: &'static str) -> Self {
        Self { variable, at: std::sync::OnceLock::new(), passed: std::sync::atomic::AtomicU64::new(0) }
    }

    fn is_reached(&self, place: &str, point: &str) -> bool {
        let at = self.at.get_or_init(|| {
            let at = std::env::var(self.variable).ok()?;
            let (point, passage) = at.rsplit_once(':')?;
            Some((point.to_owned(), passage.parse().ok()?))
        });
        at.as_ref().is_some_and(|(at, passage)| {
            at.strip_prefix(place).and_then(|rest| rest.strip_prefix('.')) == Some(point)
                && self.passed.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1 == *passage
        })
    }
}
