//! Documents that are made up: of real formats, as large as they are wanted, each different, the same ones from the same
//! seed. A load test reads them where no other documents are named.
//!
//! Their text is no language that anybody speaks, but it has the shape of one (`prose.rs`): so what a parser, a chunker and
//! a model cost is what they cost over real texts of that size. One at a time is in memory.

mod docx;
mod folder;
mod formats;
mod pdf;
mod prose;
mod written;

use docmill_api::Digest;
use fastrand::Rng;
use serde::{Deserialize, Serialize};

pub use folder::{Folder, Made, fill};
pub use formats::{Format, Weights};

use prose::Prose;

/// Which documents are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// How many.
    pub documents: u64,
    /// Half of them are smaller, in bytes.
    pub median: u64,
    /// None is much larger, in bytes.
    pub largest: u64,
    /// How far sizes are spread: sigma of a log-normal distribution, 0 for none.
    pub spread: f64,
    /// Which share is of which format.
    pub formats: Weights,
    /// What everything is drawn from.
    pub seed: u64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self { documents: 1000, median: 8 << 10, largest: 1 << 20, spread: 1.0, formats: Weights::default(), seed: 0 }
    }
}

/// The least that a document is wanted to have: a heading and a sentence.
const LEAST: f64 = 256.0;

/// How far a document goes beyond the size at which it ends, on average: half a paragraph.
const BEYOND: usize = 300;

/// How often a size that is too large is drawn anew before it is cut: a median near the largest would go on for ever.
const REDRAWN: usize = 16;

impl Recipe {
    /// Makes the document of this number: its format, its file's extension and its content.
    #[must_use]
    pub fn make(&self, number: u64) -> (Format, &'static str, Vec<u8>) {
        let draw = Digest::of(&[b"document", &self.seed.to_le_bytes(), &number.to_le_bytes()]);
        let seed = draw.as_bytes()[..8].try_into().map(u64::from_le_bytes).expect("a digest has more than eight bytes");
        let mut random = Rng::with_seed(seed);
        let format = self.formats.draw(random.f64());
        let size = self.size(&mut random);
        let size = size - (size / 2).min(BEYOND);
        let (extension, content) = format.write(&mut Prose::new(random.u64(..)), size);
        (format, extension, content)
    }

    /// How large a document is to be: log-normal about the median.
    fn size(&self, random: &mut Rng) -> usize {
        #[expect(clippy::cast_precision_loss, reason = "sizes of documents are far below 2^53")]
        let (median, largest) = (self.median as f64, self.largest as f64);
        let mut size = largest;
        for _ in 0..REDRAWN {
            // Box and Muller's way from two even numbers to a normal one. The logarithm is of (0, 1].
            let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
            let normal = radius * (std::f64::consts::TAU * random.f64()).cos();
            size = median * (self.spread * normal).exp();
            if size <= largest {
                break;
            }
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between the least and the largest"
        )]
        let size = size.min(largest).max(LEAST) as usize;
        size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_bytes_and_another_seed_others() {
        let recipe = Recipe::default();
        let other = Recipe { seed: 1, ..Recipe::default() };
        for number in 0..40 {
            assert_eq!(recipe.make(number), recipe.make(number));
            assert_ne!(recipe.make(number).2, recipe.make(number + 1).2, "each document is different");
            assert_ne!(recipe.make(number).2, other.make(number).2);
        }
    }

    #[test]
    fn sizes_are_log_normal_about_the_median_and_cut_at_the_largest() {
        let recipe = Recipe { median: 4 << 10, largest: 64 << 10, ..Recipe::default() };
        let mut sizes: Vec<usize> = (0..2000).map(|number| recipe.make(number).2.len()).collect();
        sizes.sort_unstable();
        let at = |share: usize| sizes[sizes.len() * share / 100];
        assert!((3700..4600).contains(&at(50)), "median {}", at(50));
        // One sigma above the median of a log-normal distribution is e times the median, at 84 of 100.
        let ratio = at(84) * 100 / at(50);
        assert!((230..310).contains(&ratio), "84 of 100 at {} against {}", at(84), at(50));
        assert!(sizes.last().is_some_and(|largest| *largest < 72 << 10), "{:?}", sizes.last());
        let none = Recipe { spread: 0.0, ..recipe };
        assert!((0..50).map(|number| none.make(number).2.len()).all(|size| (3 << 10..8 << 10).contains(&size)));
    }

    #[test]
    fn formats_come_by_their_weights() {
        let formats: Weights = "text=3, pdf=1".parse().expect("two formats");
        let recipe = Recipe { median: 512, formats, ..Recipe::default() };
        let pdf = (0..1000).filter(|number| recipe.make(*number).0 == Format::Pdf).count();
        assert!((210..290).contains(&pdf), "{pdf} of 1000");
    }
}
