//! What it takes that several machines share a run: the coordinator works on each document, and each costs requests to the
//! object store between. Measured where docmill's own, told by its provider where the store's.

use super::outcome::Target;
use crate::tune::Bottleneck;

/// CPU seconds of the coordinator for a document: taking it in, handing it out, reading its rows, and writing them. Measured on
/// small documents (`--bench cluster -- cost`, docs/performance.md).
const COORDINATOR: f64 = 0.0009;

/// Requests that write or delete, a document: its bytes, its rows, and their end.
const WRITES: f64 = 3.0;

/// Such requests a second below one prefix that Amazon S3 promises ("at least 3,500 PUT/COPY/POST/DELETE requests per second
/// per partitioned Amazon S3 prefix", its user guide, "Optimizing Amazon S3 performance"). It takes more once it has split a
/// prefix.
const WRITES_A_SECOND: f64 = 3_500.0;

/// The least of what sharing allows: documents a second, and what bounds them.
pub(super) fn most(target: &Target) -> (f64, Bottleneck) {
    let coordinator = target.cores / COORDINATOR;
    let store = WRITES_A_SECOND / WRITES;
    if coordinator < store {
        let because = format!(
            "it hands out and stores by one process, at {:.1} ms of CPU a document, on {:.0} CPUs",
            COORDINATOR * 1e3,
            target.cores
        );
        (coordinator, limit("coordinator", because))
    } else {
        let because = format!(
            "{WRITES:.0} requests a document that write or delete, of {WRITES_A_SECOND} a second that S3 takes below one prefix"
        );
        (store, limit("object store", because))
    }
}

fn limit(resource: &str, because: String) -> Bottleneck {
    Bottleneck { stage: "cluster".into(), resource: resource.into(), because }
}

/// What of it is taken for granted.
pub(super) fn assumption() -> String {
    format!(
        "work is spread evenly over machines; sharing costs the coordinator {:.1} ms of CPU a document, and {WRITES:.0} writing \
         requests to an object store that takes {WRITES_A_SECOND} a second",
        COORDINATOR * 1e3
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_coordinator_is_the_limit_before_the_store_is() {
        let of = |cores| most(&Target { cores, ..Target::default() });
        let (rate, limit) = of(0.5);
        assert_eq!((rate, limit.resource.as_str()), (0.5 / COORDINATOR, "coordinator"));
        let (rate, limit) = of(64.0);
        assert_eq!((rate, limit.resource.as_str()), (WRITES_A_SECOND / WRITES, "object store"));
        assert!(limit.because.contains("3500 a second"), "{}", limit.because);
    }
}
