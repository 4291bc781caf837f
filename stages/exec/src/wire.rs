//! Reads frames from a program that is not trusted to write any.
//!
//! [`docmill_api::frames`] reads what docmill wrote itself. Here the other side may print a greeting to its standard
//! output, or announce four gigabytes: what is no frame is told from one by its first bytes, and every length is looked
//! at before anything is kept for it.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The most that a header may hold: the places and headings of some hundred thousand chunks.
pub(crate) const MAX_HEADER: usize = 16 << 20;

/// What is asked of the system at once.
const READ: usize = 64 << 10;

/// A frame, not yet decoded.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) header: Bytes,
    pub(crate) body: Bytes,
}

impl Frame {
    /// What it holds in memory.
    pub(crate) fn bytes(&self) -> u64 {
        (self.header.len() + self.body.len()) as u64
    }
}

/// Why there is no frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// The other side has closed, between two frames or within one.
    Closed,
    /// What it wrote is no frame.
    Garbage,
    /// A frame larger than wanted.
    TooLarge,
}

/// Reads frames, one after another.
#[derive(Debug)]
pub(crate) struct Frames<R> {
    from: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, buffer: BytesMut::new() }
    }

    /// Whether something has come that is no whole frame yet.
    pub(crate) fn has_begun(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next frame, of at most `limit` bytes. A read that is given up loses nothing.
    pub(crate) async fn next(&mut self, limit: u64) -> Result<Frame, Unread> {
        self.fill(5).await?;
        let header = usize::try_from((&self.buffer[..4]).get_u32_le()).map_err(|_| Unread::TooLarge)?;
        // A header is a JSON object. A line that was printed is not, and as a length it says many millions.
        if self.buffer[4] != b'{' || header < 2 {
            return Err(Unread::Garbage);
        }
        if header > MAX_HEADER {
            return Err(Unread::TooLarge);
        }
        self.fill(4 + header + 8).await?;
        let body = (&self.buffer[4 + header..]).get_u64_le();
        if body.saturating_add(header as u64) > limit {
            return Err(Unread::TooLarge);
        }
        let body = usize::try_from(body).map_err(|_| Unread::TooLarge)?;
        self.fill(4 + header + 8 + body).await?;
        self.buffer.advance(4);
        let header = self.buffer.split_to(header).freeze();
        self.buffer.advance(8);
        let body = self.buffer.split_to(body).freeze();
        if self.buffer.is_empty() {
            // What is left of a large allocation would be held for as long as the child is idle.
            self.buffer = BytesMut::new();
        }
        Ok(Frame { header, body })
    }

    async fn fill(&mut self, wanted: usize) -> Result<(), Unread> {
        while self.buffer.len() < wanted {
            self.buffer.reserve((wanted - self.buffer.len()).max(READ));
            match self.from.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(Unread::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Unread::Closed),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use docmill_api::frames::{self, Message};

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn read(bytes: &[u8], limit: u64) -> Result<Frame, Unread> {
        block_on(Frames::new(bytes).next(limit))
    }

    fn written(body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        frames::write(&mut bytes, &Message::End { skip: None }, body).unwrap();
        bytes
    }

    #[test]
    fn frames_come_one_after_another_and_a_cut_one_is_none() {
        let bytes = [written(b"one"), written(b""), written(b"three")].concat();
        block_on(async {
            let mut frames = Frames::new(&bytes[..]);
            for body in ["one", "", "three"] {
                let frame = frames.next(1000).await.unwrap();
                assert_eq!(frame.body, body);
                assert_eq!(frame.header, r#"{"type":"end","skip":null}"#);
            }
            assert_eq!(frames.next(1000).await.unwrap_err(), Unread::Closed);
        });
        for cut in 0..written(b"one").len() {
            assert_eq!(read(&written(b"one")[..cut], 1000).unwrap_err(), Unread::Closed, "cut at {cut}");
        }
    }

    #[test]
    fn what_a_program_prints_by_mistake_is_no_frame() {
        for printed in ["hello\n", "foo\nbar\n", "\n\n\n\n\n", "\t\t\t\t\t", "[1, 2]\n", "\0\0\0\0\0"] {
            assert_eq!(read(printed.as_bytes(), 1000).unwrap_err(), Unread::Garbage, "{printed:?}");
        }
        let after = [b"ok!\n".as_slice(), &written(b"")].concat();
        assert_eq!(read(&after, 1000).unwrap_err(), Unread::Garbage);
    }

    #[test]
    fn lengths_are_refused_before_anything_is_read_for_them() {
        assert_eq!(read(b"\xff\xff\xff\xff{", 1000).unwrap_err(), Unread::TooLarge);
        let mut bytes = written(b"");
        let at = bytes.len() - 8;
        bytes[at..].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(read(&bytes, u64::MAX - 1).unwrap_err(), Unread::TooLarge);
        let frame = written(b"body");
        let size = (frame.len() - 12) as u64;
        assert!(read(&frame, size).is_ok());
        assert_eq!(read(&frame, size - 1).unwrap_err(), Unread::TooLarge);
    }
}
