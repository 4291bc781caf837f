//! The test binary as a stage worker: the engine starts it again with the switch set, and it serves frames instead of
//! testing.

/// The variable that tells this binary to be a stage worker.
pub(crate) const SWITCH: &str = "DOCMILL_TEST_STAGE_WORKER";

#[test]
fn entry() {
    if std::env::var_os(SWITCH).is_some() {
        docmill::runtime::serve_stage_worker(&super::support::registry()).expect("the engine speaks frames");
    }
}
