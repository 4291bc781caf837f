//! Deflate streams, zip, gzip and tar by hand: what no writer of archives would write, and what would take minutes to
//! write honestly. Nothing is ever held inflated but one piece.

use std::iter::repeat_n;

use flate2::{Compress, Compression, Crc, FlushCompress};

pub(super) const MIB: usize = 1 << 20;

/// A deflate stream.
#[derive(Clone)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    size: u64,
    crc: u32,
}

/// A head, a piece so many times, and a tail. Packed pieces end at a byte and refer to nothing before them, so that they
/// are repeated as they are.
pub(super) fn packed(head: &[u8], piece: &[u8], times: usize, tail: &[u8]) -> Packed {
    let mut all = Crc::new();
    let mut of = Crc::new();
    let mut bytes = deflated(head, &mut of);
    all.combine(&of);
    let mut of = Crc::new();
    let block = deflated(piece, &mut of);
    bytes.extend(repeat_n(block, times).flatten());
    (0..times).for_each(|_| all.combine(&of));
    let mut of = Crc::new();
    bytes.extend(deflated(tail, &mut of));
    all.combine(&of);
    // An empty last block.
    bytes.extend([3, 0]);
    Packed { bytes, size: (head.len() + piece.len() * times + tail.len()) as u64, crc: all.sum() }
}

fn deflated(bytes: &[u8], crc: &mut Crc) -> Vec<u8> {
    if bytes.is_empty() {
        return Vec::new();
    }
    crc.update(bytes);
    let mut packed = Vec::with_capacity(bytes.len() + bytes.len() / 8 + 1024);
    let mut compress = Compress::new(Compression::best(), false);
    compress.compress_vec(bytes, &mut packed, FlushCompress::Full).expect("packed");
    assert_eq!(compress.total_in(), bytes.len() as u64, "room for all of it");
    packed
}

/// Bytes as they are, as a deflate stream.
pub(super) fn plain(bytes: &[u8]) -> Packed {
    packed(bytes, b"", 0, b"")
}

/// As zlib has it, which is what PDF wants. The checksum is wrong: nobody comes to it.
pub(super) fn zlib(packed: &Packed) -> Vec<u8> {
    [b"\x78\xda".as_slice(), &packed.bytes, &[0; 4]].concat()
}

pub(super) fn gzip(packed: &Packed) -> Vec<u8> {
    // The length is kept in 32 bits, whatever it is.
    let length = (packed.size & u64::from(u32::MAX)) as u32;
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    [head.as_slice(), &packed.bytes, &packed.crc.to_le_bytes(), &length.to_le_bytes()].concat()
}

/// An entry of a zip file.
pub(super) struct Entry {
    name: Vec<u8>,
    packed: Packed,
    is_stored: bool,
    /// Where it is said to be, instead of behind the one before it.
    at: Option<u32>,
}

pub(super) fn entry(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Entry {
    holding(name, plain(content.as_ref()))
}

pub(super) fn holding(name: impl AsRef<[u8]>, packed: Packed) -> Entry {
    Entry { name: name.as_ref().to_vec(), packed, is_stored: false, at: None }
}

/// Not packed, as the first part of some formats has to be.
pub(super) fn stored(name: &str, content: &[u8]) -> Entry {
    let packed = Packed { bytes: content.to_vec(), ..plain(content) };
    Entry { is_stored: true, ..holding(name, packed) }
}

impl Entry {
    /// The same, said to hold ten bytes.
    pub(super) fn lying(mut self) -> Self {
        self.packed.size = 10;
        self
    }

    pub(super) fn at(self, at: u32) -> Self {
        Self { at: Some(at), ..self }
    }

    fn header(&self) -> Vec<u8> {
        let mut header = b"PK\x03\x04".to_vec();
        self.fields(&mut header);
        header.extend(self.name.as_slice());
        header
    }

    /// What stands alike before an entry and in the directory. The name is UTF-8; no time is told.
    fn fields(&self, to: &mut Vec<u8>) {
        let method = if self.is_stored { 0 } else { 8 };
        let (packed, size) = (self.packed.bytes.len() as u32, u32::try_from(self.packed.size).expect("below 4 GiB"));
        for short in [20, 0x800, method, 0, 0x21_u16] {
            to.extend(short.to_le_bytes());
        }
        for long in [self.packed.crc, packed, size] {
            to.extend(long.to_le_bytes());
        }
        for short in [self.name.len() as u16, 0] {
            to.extend(short.to_le_bytes());
        }
    }
}

/// A zip file of these entries.
pub(super) fn zip(entries: &[Entry]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let place = entry.at.unwrap_or(out.len() as u32);
        if entry.at.is_none() {
            out.extend(entry.header());
            out.extend(entry.packed.bytes.as_slice());
        }
        directory.extend(b"PK\x01\x02\x14\x00");
        entry.fields(&mut directory);
        directory.extend([0; 10]);
        directory.extend(place.to_le_bytes());
        directory.extend(entry.name.as_slice());
    }
    with_directory(out, &directory, entries.len() as u64)
}

/// Ends a zip file; of more entries than sixteen bits count in the way that was made for that.
fn with_directory(mut out: Vec<u8>, directory: &[u8], count: u64) -> Vec<u8> {
    let (place, length) = (out.len() as u64, directory.len() as u64);
    out.extend(directory);
    let short = u16::try_from(count).unwrap_or(u16::MAX);
    if short == u16::MAX {
        let end = out.len() as u64;
        out.extend(b"PK\x06\x06");
        out.extend(44_u64.to_le_bytes());
        out.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for long in [count, count, length, place] {
            out.extend(long.to_le_bytes());
        }
        out.extend(b"PK\x06\x07\0\0\0\0");
        out.extend(end.to_le_bytes());
        out.extend(1_u32.to_le_bytes());
    }
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([short.to_le_bytes(), short.to_le_bytes()].concat());
    out.extend([(length as u32).to_le_bytes(), (place as u32).to_le_bytes()].concat());
    out.extend([0, 0]);
    out
}

/// A zip file whose entries lie within one another: each holds, unpacked, the header of the next, and then what that
/// holds; the last is the kernel of all.
pub(super) fn interleaved(count: usize, kernel: &Packed) -> Vec<u8> {
    let mut entries: Vec<Entry> = vec![holding(format!("{:04}.txt", count - 1), kernel.clone())];
    let mut body = [entries[0].header(), kernel.bytes.clone()].concat();
    for number in (0..count - 1).rev() {
        let quoted = entries[entries.len() - 1].header();
        let (length, size) = (quoted.len() as u16, entries[entries.len() - 1].packed.size + quoted.len() as u64);
        // A block that is not packed: its length, and that again with every bit turned.
        let block = [[0].as_slice(), &length.to_le_bytes(), &(!length).to_le_bytes()].concat();
        let packed = Packed { bytes: [block, body].concat(), size, crc: 0 };
        let outer = holding(format!("{number:04}.txt"), packed);
        body = [outer.header(), outer.packed.bytes.clone()].concat();
        entries.push(outer);
    }
    entries.reverse();
    let mut directory = Vec::new();
    for (entry, place) in entries.iter().zip((0_u32..).step_by(entries[0].header().len() + 5)) {
        directory.extend(b"PK\x01\x02\x14\x00");
        entry.fields(&mut directory);
        directory.extend([0; 10]);
        directory.extend(place.to_le_bytes());
        directory.extend(entry.name.as_slice());
    }
    with_directory(body, &directory, count as u64)
}

/// A header of a tar file. Sizes are octal, or in binary with the first bit set.
pub(super) fn tar_header(name: &[u8], kind: u8, size: &[u8; 12]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..name.len()].copy_from_slice(name);
    header[100..124].copy_from_slice(b"0000644\x000000000\x000000000\0");
    header[124..136].copy_from_slice(size);
    header[136..156].copy_from_slice(b"00000000000\0        ");
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header.to_vec()
}

/// A member of a tar file; a long name stands before it in an entry of its own.
pub(super) fn tar_member(name: &[u8], content: &[u8]) -> Vec<u8> {
    let size = |length: usize| <[u8; 12]>::try_from(format!("{length:011o}\0").as_bytes()).expect("twelve bytes");
    let padded = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    };
    let mut out = Vec::new();
    if name.len() > 99 {
        out.extend(tar_header(b"././@LongLink", b'L', &size(name.len() + 1)));
        out.extend(padded(&[name, b"\0"].concat()));
    }
    out.extend(tar_header(&name[..name.len().min(99)], b'0', &size(content.len())));
    out.extend(padded(content));
    out
}
