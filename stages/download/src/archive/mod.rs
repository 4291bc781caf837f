//! Containers: archives, packed files, and messages with attachments.
//!
//! A container is opened once: its directory is read, or it is unpacked to a temporary file; its members are then read
//! at random. Nothing is ever written under a member's name. Everything here blocks.
//!
//! What is hostile about archives is bounded, by [`Limits`]. One bad member costs that member; only what makes the
//! directory itself doubtful costs the archive.

mod cache;
mod limits;
mod mail;
mod packed;
mod tarball;
mod window;
mod zipped;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use docmill_api::StageError;

pub(crate) use cache::Cache;
pub(crate) use limits::Limits;
pub(crate) use window::Window;

use crate::body::{Body, Collector};

/// How much is read between two looks at cancellation.
const STEP: usize = 256 << 10;

/// What kind of container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A zip file that is no document of its own.
    Zip,
    /// A tar file.
    Tar,
    /// Something packed by gzip: a tar file, or a single one.
    Gzip,
    /// The same, packed by Zstandard.
    Zstd,
    /// A message.
    Mail,
}

impl Kind {
    /// The kind of a document that was sniffed.
    pub(crate) fn of(media_type: &str) -> Option<Self> {
        Some(match media_type {
            "application/zip" => Self::Zip,
            "application/x-tar" => Self::Tar,
            "application/gzip" => Self::Gzip,
            "application/zstd" => Self::Zstd,
            "message/rfc822" => Self::Mail,
            _ => return None,
        })
    }
}

/// A document in a container.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) size: u64,
    /// How much of its container it is.
    packed: u64,
    /// What the container says of its type.
    pub(crate) media_type: Option<String>,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    /// An entry of a zip file.
    Entry(usize),
    /// Bytes of the file that holds the content.
    Extent(u64),
    /// Nowhere that can be read, and why.
    Nowhere(&'static str),
}

/// An open container.
#[derive(Debug)]
pub(crate) struct Archive {
    members: Vec<Member>,
    names: HashMap<String, usize>,
    content: Content,
    /// What may come out of it.
    allowance: u64,
}

#[derive(Debug)]
enum Content {
    /// With its length.
    Zip(zip::ZipArchive<Window>, u64),
    Plain(Window),
}

impl Archive {
    /// Opens a container. `name` is its own; a single packed file is called after it.
    ///
    /// `Ok(None)` for a zip file that turns out to be a document.
    pub(crate) fn open(
        kind: Kind,
        file: &Window,
        name: &str,
        limits: &Limits,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Self>, StageError> {
        let (members, content) = match kind {
            Kind::Zip => match zipped::open(file, name, limits)? {
                Some((archive, members)) => (members, Content::Zip(archive, file.length())),
                None => return Ok(None),
            },
            Kind::Tar => (tarball::members(file, limits)?, Content::Plain(file.clone())),
            Kind::Gzip | Kind::Zstd => {
                let plain = packed::unpack(kind, file, limits, is_cancelled)?;
                let members = if packed::is_tar(&plain)? {
                    tarball::members(&plain, limits)?
                } else {
                    vec![packed::only(name, plain.length())]
                };
                (members, Content::Plain(plain))
            }
            Kind::Mail => {
                let (members, content) = mail::open(file, limits, is_cancelled)?;
                (members, Content::Plain(content))
            }
        };
        Ok(Some(Self::new(members, content, limits.allowance(file.length()))))
    }

    /// Of two members with one name, the later replaces the earlier, as it would on disk.
    fn new(members: Vec<Member>, content: Content, allowance: u64) -> Self {
        let names: HashMap<String, usize> =
            members.iter().enumerate().map(|(index, member)| (member.name.clone(), index)).collect();
        Self { members, names, content, allowance }
    }

    /// Its documents, in its order.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        let is_last = |index: usize, member: &Member| self.names.get(&member.name) == Some(&index);
        self.members.iter().enumerate().filter(move |(index, member)| is_last(*index, member)).map(|(_, member)| member)
    }

    /// What a member may unpack to, should it be an archive.
    pub(crate) fn share(&self, name: &str) -> u64 {
        let length = match &self.content {
            Content::Zip(_, length) => *length,
            Content::Plain(file) => file.length(),
        };
        let packed = self.names.get(name).and_then(|index| self.members.get(*index)).map_or(0, |member| member.packed);
        let share = u128::from(self.allowance) * u128::from(packed) / u128::from(length.max(1));
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// Reads a member.
    pub(crate) fn read(&self, name: &str, limits: Limits, is_cancelled: &dyn Fn() -> bool) -> Result<Body, StageError> {
        let member = self.names.get(name).and_then(|index| self.members.get(*index));
        let member = member.ok_or_else(|| StageError::rejected("not found in its archive"))?;
        let collector = Collector::new(limits, crate::member::file_name(name), Some(member.size));
        match (&member.place, &self.content) {
            (Place::Entry(index), Content::Zip(archive, _)) => {
                let mut archive = archive.clone();
                let mut entry = archive.by_index(*index).map_err(|error| zipped::failure(&error))?;
                collect(&mut entry, member.size, collector, is_cancelled)
            }
            (Place::Extent(start), Content::Plain(file)) => {
                collect(&mut file.part(*start, member.size), member.size, collector, is_cancelled)
            }
            (Place::Nowhere(why), _) => Err(StageError::rejected(*why)),
            _ => Err(StageError::rejected("not found in its archive")),
        }
    }
}

/// Reads to the end, which has to be where the directory said.
fn collect(
    from: &mut dyn Read,
    size: u64,
    mut collector: Collector,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Body, StageError> {
    let mut buffer = vec![0; STEP.min(usize::try_from(size).unwrap_or(STEP).saturating_add(1))];
    let mut total = 0;
    loop {
        if is_cancelled() {
            return Err(StageError::rejected("cancelled"));
        }
        let count = from.read(&mut buffer).map_err(|error| broken(&error).context("its archive"))?;
        total += count as u64;
        if total > size || (count == 0 && total < size) {
            return Err(StageError::rejected("broken: its size is not what the archive says"));
        }
        if count == 0 {
            return collector.finish();
        }
        collector.push(&buffer[..count])?;
        if collector.is_due() {
            collector.flush()?;
        }
    }
}

/// What of a container is a document: no directories and empty files, and nothing that a file system hides.
fn is_document(name: &str, size: u64) -> bool {
    let hidden = |part: &str| part == "__MACOSX" || (part.starts_with('.') && part != "." && part != "..");
    size > 0 && !name.is_empty() && !name.ends_with(['/', '\\']) && !name.split(['/', '\\']).any(hidden)
}

/// A member's name as it is kept: from the container's root, however it was written down. `..` stays: it is only a name.
fn clean(name: &str) -> String {
    let mut name = name;
    while let Some(rest) = name.strip_prefix("./").or_else(|| name.strip_prefix('/')) {
        name = rest;
    }
    name.to_owned()
}

fn broken(error: &dyn std::fmt::Display) -> StageError {
    StageError::rejected(format!("broken: {error}"))
}

/// Puts bytes where a container is opened from.
pub(crate) fn spooled(bytes: &[u8]) -> Result<Window, StageError> {
    let file: File = crate::body::temporary()?;
    std::os::unix::fs::FileExt::write_all_at(&file, bytes, 0).map_err(|error| crate::body::unwritten(&error))?;
    Ok(Window::new(Arc::new(file), bytes.len() as u64))
}
