//! Which documents are traced: all, none or a share of them, told by the trace's id, so that whatever looks at the same
//! trace decides the same.

/// Which traces are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    /// Of 2⁶³ equal shares, those that are kept.
    kept: u64,
}

/// All shares.
const ALL: u64 = 1 << 63;

impl Sampler {
    /// Keeps every trace.
    pub const ALWAYS: Self = Self { kept: ALL };
    /// Keeps none.
    pub const NEVER: Self = Self { kept: 0 };

    /// Keeps a share of them, from 0 to 1; what is beyond is taken for the nearer of the two, and no number for 1.
    #[must_use]
    pub fn share(share: f64) -> Self {
        if share.is_nan() || share >= 1.0 {
            return Self::ALWAYS;
        }
        // Exact for every share that a person would write: 2⁶³ is a power of two.
        Self { kept: (share.max(0.0) * ALL as f64) as u64 }
    }

    /// Whether a trace is kept: by the last 63 bits of its id, as OpenTelemetry's own `traceidratio` has it.
    #[must_use]
    pub fn keeps(self, trace: &[u8; 16]) -> bool {
        let [.., a, b, c, d, e, f, g, h] = *trace;
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1 < self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_kept_the_same_ones_each_time_and_more_of_a_larger_share() {
        let traces: Vec<[u8; 16]> = (0_u32..2000)
            .map(|number| {
                let mut trace = [0; 16];
                trace.copy_from_slice(&blake3::hash(&number.to_le_bytes()).as_bytes()[..16]);
                trace
            })
            .collect();
        let kept = |sampler: Sampler| -> Vec<bool> { traces.iter().map(|trace| sampler.keeps(trace)).collect() };
        let count = |sampler| kept(sampler).into_iter().filter(|kept| *kept).count();
        assert_eq!((count(Sampler::ALWAYS), count(Sampler::NEVER)), (2000, 0));
        assert_eq!((Sampler::share(1.0), Sampler::share(-1.0)), (Sampler::ALWAYS, Sampler::NEVER));
        assert_eq!((Sampler::share(7.0), Sampler::share(f64::NAN)), (Sampler::ALWAYS, Sampler::ALWAYS));
        // The traces are always the same, and so are the counts: a quarter of them give or take what chance does.
        let quarter = count(Sampler::share(0.25));
        assert!((440..=560).contains(&quarter), "{quarter} of 2000");
        let both = kept(Sampler::share(0.25)).into_iter().zip(kept(Sampler::share(0.5)));
        assert!(both.into_iter().all(|(quarter, half)| half || !quarter), "a larger share holds the smaller");
        let mut edge = [0xff; 16];
        assert!(Sampler::ALWAYS.keeps(&edge) && !Sampler::share(0.999).keeps(&edge));
        edge[8..].fill(0);
        assert!(Sampler::share(0.001).keeps(&edge) && !Sampler::NEVER.keeps(&edge));
    }
}
