//! Any bytes as what a child process says: they are read or refused, in no more memory than they take themselves, and
//! what was read comes out of another frame as it went in.
//!
//! Bytes that begin with a brace are a header up to the end of its line and a body, to which the lengths are put here:
//! no change of a header would get past a length that stayed as it was. All others are frames as they stand.

#![no_main]

use std::io::{self, Read};

use bytes::Bytes;
use docmill_api::frames::{self, Message};
use docmill_api::{Document, Payload, Record};
use docmill_fuzz::now;
use libfuzzer_sys::fuzz_target;

/// How much a reader may ask for ahead of what has come.
const AHEAD: usize = 1 << 20;

/// A peer that sends its bytes in small pieces, and watches how much room is made for them.
struct Peer<'a> {
    left: &'a [u8],
    given: usize,
}

impl Read for Peer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(buffer.len() <= self.given + AHEAD, "room for {} after {}", buffer.len(), self.given);
        let piece = self.left.len().min(buffer.len()).min(61);
        let (now, left) = self.left.split_at(piece);
        buffer[..piece].copy_from_slice(now);
        self.left = left;
        self.given += piece;
        Ok(piece)
    }
}

fuzz_target!(|data: &[u8]| {
    let framed = framed(data);
    let data = framed.as_deref().unwrap_or(data);
    let mut peer = Peer { left: data, given: 0 };
    let mut rest = data;
    loop {
        let frame = frames::read(&mut peer);
        let same = now(frames::read_async(&mut rest));
        let Ok(Some((message, body))) = frame else {
            assert!(!matches!(same, Ok(Some(_))), "one way of reading refuses what the other takes");
            break;
        };
        let Ok(Some((other, other_body))) = same else { panic!("one way of reading refuses what the other takes") };
        assert_eq!((format!("{message:?}"), &body), (format!("{other:?}"), &other_body));
        again(&message, &body);
        match message {
            Message::Input { document, payload, .. } | Message::Output { document, payload } => {
                if let Ok(payload) = frames::join(payload, body) {
                    looked_at(&payload);
                    record(*document, payload);
                }
            }
            _ => {}
        }
    }
});

fn framed(data: &[u8]) -> Option<Vec<u8>> {
    let end = data.iter().position(|byte| *byte == b'\n').filter(|_| data.starts_with(b"{"))?;
    let (header, body) = (&data[..end], &data[end + 1..]);
    let length = u32::try_from(header.len()).ok()?;
    Some([&length.to_le_bytes(), header, &(body.len() as u64).to_le_bytes(), body].concat())
}

fn through(message: &Message, body: &[u8]) -> (Message, Bytes) {
    let mut bytes = Vec::new();
    frames::write(&mut bytes, message, body).expect("what was read is not too large");
    let mut async_bytes = Vec::new();
    now(frames::write_async(&mut async_bytes, message, body)).expect("what was read is not too large");
    assert_eq!(bytes, async_bytes);
    frames::read(&mut bytes.as_slice()).expect("its own frame is read").expect("there is one")
}

fn again(message: &Message, body: &Bytes) {
    let (other, other_body) = through(message, body);
    assert_eq!((format!("{message:?}"), body), (format!("{other:?}"), &other_body));
}

fn record(document: Document, payload: Payload) {
    let record = Record { document: document.into(), payload };
    let (message, body) = frames::output(&record);
    let (message, body) = through(&message, body.as_ref());
    let Message::Output { document, payload } = message else { panic!("it was an output") };
    let payload = frames::join(payload, body).expect("its own payload is read");
    assert_eq!(format!("{:?}", record.payload), format!("{payload:?}"));
    assert_eq!(format!("{:?}", record.document), format!("{document:?}"));
}

/// What the engine asks of every payload.
fn looked_at(payload: &Payload) {
    _ = (payload.bytes(), payload.items(), payload.tokens());
    match payload {
        Payload::Text(text) => {
            text.pages.iter().for_each(|page| _ = &text.content[page.offset..]);
            text.blocks.iter().for_each(|block| _ = &text.content[block.start..block.end]);
        }
        Payload::Vectors(vectors) => {
            let count = vectors.chunks.items.len();
            (0..count).for_each(|index| assert!(vectors.vector(index).is_some()));
            assert!(vectors.dimensions == 0 || vectors.vector(count).is_none());
        }
        _ => {}
    }
}
