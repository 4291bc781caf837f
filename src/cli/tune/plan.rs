//! `docmill tune --plan`: a recorded run, projected to another machine.

use std::io::Write;

use docmill_api::Registry;

use super::super::pipeline_args::{CONFIGURATION, Format, USAGE};
use super::super::recorded::{self, NotFound};
use super::super::{ENVIRONMENT, pipeline_args::refuse_usage};
use super::{Args, show};
use crate::tune::project::{Request, project};

pub(super) fn run(
    args: &Args,
    request: &Request,
    registry: &Registry,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<u8> {
    let recording = match recorded::read(&args.run, &args.pipeline, registry) {
        Ok(recording) => recording,
        Err(error) => {
            writeln!(err, "error: {error}")?;
            return Ok(match error {
                NotFound::Pipeline(_) => CONFIGURATION,
                NotFound::Unreadable { .. } => ENVIRONMENT,
                _ => USAGE,
            });
        }
    };
    let projection = match project(&recording, request) {
        Ok(projection) => projection,
        Err(error) => return refuse_usage(&show::lines(&error.to_string()), err),
    };
    for warning in &projection.warnings {
        writeln!(err, "warning: {}", crate::report::printable(warning))?;
    }
    match args.format {
        Format::Text => write!(out, "{}", show::projection(&projection))?,
        Format::Json => {
            serde_json::to_writer(&mut *out, &projection)?;
            writeln!(out)?;
        }
    }
    Ok(0)
}
