//! Reads a pipeline's configuration: built-in defaults, the file, the environment, `--set`, merged in this order.
//!
//! What comes out is a [`RawPipeline`]: values without meaning yet, each with the layer that set it and its place in
//! the file. Text ends here; what the values mean is the plan's. Complaints are drawn here too, because only a reader
//! of text knows how to show one.

mod layers;
mod render;
mod spans;
#[cfg(test)]
mod tests;
mod write_back;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use docmill_api::Registry;

pub use crate::plan::{Diagnostic, Diagnostics, Location, Origin, Place, RawPipeline, Severity};
pub use render::{render, render_all, to_json};
pub use write_back::{Rewritten, WriteBackError, set_widths};

use crate::plan::codes;

/// The pipeline file where none is named.
pub const DEFAULT_FILE: &str = "pipeline.toml";

/// Far more than a configuration needs; a file beyond it is another file, named by mistake.
const MAX_FILE: u64 = 4 << 20;

/// Reads and merges all layers. The registry says which fields are texts, so that a value such as `2024` in a variable
/// stays one.
///
/// # Errors
/// The file cannot be read, or is not TOML. A variable or `--set` that says nothing usable is kept in
/// [`RawPipeline::complaints`] instead, so that the plan shows it together with all else.
pub fn load(
    file: Option<&Path>,
    sets: &[String],
    env: impl Iterator<Item = (String, String)>,
    registry: &Registry,
) -> Result<RawPipeline, Diagnostics> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    let text = read(path, file.is_some())?;
    parse(&path.display().to_string(), base_of(path), text, sets, env, registry)
}

/// Merges all layers with a file's text at hand.
///
/// # Errors
/// The text is not TOML.
pub fn parse(
    file: &str,
    base: PathBuf,
    text: String,
    sets: &[String],
    env: impl Iterator<Item = (String, String)>,
    registry: &Registry,
) -> Result<RawPipeline, Diagnostics> {
    let document = spans::parse(file, &text)?;
    let merged = layers::merge(&document, file, &text, sets, env, registry);
    Ok(RawPipeline {
        values: merged.values,
        origins: merged.origins,
        spans: document.spans,
        text,
        file: file.to_owned(),
        base,
        complaints: merged.complaints,
    })
}

fn base_of(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.parent().map(Path::to_owned).unwrap_or_default()
}

fn read(path: &Path, named: bool) -> Result<String, Diagnostics> {
    let name = path.display().to_string();
    let complain = |code, message: String, help: &str| {
        Diagnostics::from(Diagnostic::error(code, Place::Whole(name.clone()), message).help(help))
    };
    let look = "docmill looks for `pipeline.toml` in the current directory; name another with `--pipeline FILE`, or have `docmill init` write one";
    let help = if named { "check the path; relative paths start at the current directory" } else { look };
    let unreadable =
        |error: &std::io::Error| complain(codes::NO_FILE, format!("`{name}` cannot be read: {error}"), help);
    // A pipe would wait for a writer, a device might never end.
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => complain(codes::NO_FILE, format!("there is no `{name}`"), help),
        _ => unreadable(&error),
    })?;
    if !metadata.is_file() {
        return Err(complain(codes::NO_FILE, format!("`{name}` is not a file"), "name the pipeline's TOML file"));
    }
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(path).map_err(|error| unreadable(&error))?;
    opened.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > MAX_FILE {
        let message = format!("`{name}` is larger than 4MiB, which no pipeline needs");
        return Err(complain(codes::NO_FILE, message, "name the pipeline's TOML file"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].split(|byte| *byte == b'\n').count();
        let message = format!("`{name}` is not UTF-8 in line {line}");
        complain(codes::SYNTAX, message, "TOML is UTF-8: save the file in this encoding")
    })
}
