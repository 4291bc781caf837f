//! What a frame costs.

use std::time::Duration;

use docmill::tui::{GlyphSet, Options, ThemeName};
use rustix::time::{ClockId, clock_gettime};

use super::fixture::{model, paint};

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("below a second"))
}

/// A frame at 120x40 with everything on it takes under a millisecond of CPU. Without optimisation ten are allowed: still a
/// tenth of the time between two frames.
#[test]
fn a_frame_is_cheap() {
    let model = model(120, 40, Options::default());
    let mut times: Vec<_> = (0..50)
        .map(|_| {
            let before = thread_cpu();
            let _ = paint(&model, ThemeName::Dark, GlyphSet::Block, 120, 40);
            thread_cpu() - before
        })
        .collect();
    times.sort_unstable();
    let most = Duration::from_millis(if cfg!(debug_assertions) { 10 } else { 1 });
    assert!(times[25] < most, "half of all frames took more than {:?}", times[25]);
}
