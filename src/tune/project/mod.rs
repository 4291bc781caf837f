//! What a bigger machine, or many, would do: a recorded run in, a [`Projection`] out. What each stage costs is taken from
//! the recording, and a simulation over it tells the rest; it is tried on the recorded machine first, so that one sees
//! what it is worth. Nothing is printed here.

mod machine;
mod outcome;
mod profile;
mod reckon;
mod request;
mod sharing;
mod steady;
mod stretch;

pub use outcome::{Check, Footprint, Interval, ProjectedStage, Projection, Scaled, Target, WithoutLimit};
pub use reckon::project;
pub use request::Request;

/// Why there is no projection.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectError {
    /// Nothing can be measured in so little.
    #[error(
        "the run is too short to project from: {documents} documents went through in {seconds:.1}s, and it takes {least} in \
         {least_seconds:.0}s\nhint: run over more documents, or record a test: `docmill load --documents 1000 --record \
         run.jsonl`, then `--run run.jsonl`"
    )]
    TooShort {
        /// That went through the pipeline.
        documents: u64,
        /// In this time.
        seconds: f64,
        /// What it takes.
        least: u64,
        /// And in which time.
        least_seconds: f64,
    },
    /// A key names what the run does not have.
    #[error("`{key}`: the run has no {what} `{name}`{known}")]
    Unknown {
        /// The key as it was given.
        key: String,
        /// `stage` or `model service`.
        what: &'static str,
        /// What was named.
        name: String,
        /// `; did you mean …?`, or all there are.
        known: String,
    },
    /// A width that cannot be.
    #[error("`{key}`: `{stage}` works on {most} at once at most, as its pipeline has it")]
    Width {
        /// The key as it was given.
        key: String,
        /// The stage.
        stage: String,
        /// Its largest width.
        most: usize,
    },
    /// The recording makes no pipeline.
    #[error("the recording cannot be simulated: {0}")]
    Model(#[from] super::simulate::ModelError),
}

#[cfg(test)]
mod tests;
