//! Frames to the letter, and what a peer may say that is none.

use super::*;

fn samples() -> Vec<Payload> {
    let chunk = |ordinal, text: &str| Chunk {
        ordinal,
        text: text.into(),
        tokens: 3,
        page: Some(2),
        line_start: Some(1),
        line_end: None,
        heading: vec!["a \"quoted\" heading".to_owned()].into(),
    };
    let chunks = Chunks { part: Part::Chunk, title: None, items: vec![chunk(0, "één"), chunk(1, "two\n")] };
    vec![
        Payload::Reference(Reference::default()),
        Payload::Blob(Blob { bytes: Bytes::from_static(b"\x00\xff") }),
        Payload::Text(Text {
            content: "# Títle\ntext".into(),
            kind: TextKind::Code("rust".into()),
            title: Some("Títle".into()),
            pages: vec![Page { offset: 9, number: 2 }].into(),
            blocks: vec![Block { start: 0, end: 8, depth: 0, name: "fn títle".into() }].into(),
            lines: true,
        }),
        Payload::Chunks(chunks.clone()),
        Payload::Vectors(Vectors { chunks, dimensions: 2, values: vec![0.5, -1.0, 3.25, 0.0].into() }),
    ]
}

#[test]
fn every_payload_survives_the_way_through_a_frame() {
    for payload in samples() {
        let (header, body) = split(&payload);
        let joined = join(header, Bytes::copy_from_slice(body.as_ref())).expect("its own frame is read");
        assert_eq!(format!("{joined:?}"), format!("{payload:?}"));
    }
}

#[test]
fn a_cut_or_senseless_frame_is_an_error_and_an_end_between_frames_is_none() {
    let mut bytes = Vec::new();
    write(&mut bytes, &Message::End { skip: Some("empty".into()) }, b"body").expect("written");
    for cut in 1..bytes.len() {
        assert!(read(&mut &bytes[..cut]).is_err(), "cut at {cut}");
    }
    assert!(matches!(read(&mut &bytes[..0]), Ok(None)));
    assert!(matches!(read(&mut &bytes[..]), Ok(Some((Message::End { skip: Some(_) }, _)))));
    assert!(read(&mut &[0xff_u8; 64][..]).is_err(), "a header of 4 GB is refused before it is read");
}

#[test]
fn a_body_that_does_not_fit_its_header_is_refused() {
    let (header, body) = split(&samples()[4]);
    let short = Bytes::copy_from_slice(&body.as_ref()[..body.as_ref().len() - 1]);
    assert!(join(header, short).is_err());
}

/// A peer that watches how much room is made for what it has not sent.
struct Watched<'a> {
    left: &'a [u8],
    given: usize,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(buffer.len() <= self.given.max(RESERVE), "room for {} after {}", buffer.len(), self.given);
        let count = Read::read(&mut self.left, buffer)?;
        self.given += count;
        Ok(count)
    }
}

#[test]
fn room_is_made_for_what_comes_and_not_for_what_is_announced() {
    let mut frame = Vec::new();
    write(&mut frame, &Message::End { skip: None }, b"").expect("written");
    let header = MAX_HEADER.to_le_bytes();
    let body = [&frame[..frame.len() - 8], &MAX_BODY.to_le_bytes(), b"little"].concat();
    for announced in [&header[..], &body] {
        let error = read(&mut Watched { left: announced, given: 0 }).expect_err("it is cut short");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
    let content = vec![7; 5 * RESERVE + 3];
    let mut frame = Vec::new();
    write(&mut frame, &Message::End { skip: None }, &content).expect("written");
    let (_, body) = read(&mut Watched { left: &frame, given: 0 }).expect("whole").expect("one");
    assert_eq!(body, content);
}

#[tokio::test]
async fn both_ways_of_reading_give_the_same() {
    let mut frame = Vec::new();
    write(&mut frame, &Message::End { skip: None }, &vec![7; 2 * RESERVE]).expect("written");
    let (_, body) = read_async(&mut frame.as_slice()).await.expect("whole").expect("one");
    assert_eq!(body, vec![7; 2 * RESERVE]);
    for cut in [1, 4, 20, frame.len() - 1] {
        assert!(read_async(&mut &frame[..cut]).await.is_err(), "cut at {cut}");
    }
    assert!(matches!(read_async(&mut &frame[..0]).await, Ok(None)));
}

#[test]
fn numbers_that_no_body_could_hold_are_refused() {
    let (header, body) = split(&samples()[4]);
    let Header::Vectors { chunks, .. } = header else { panic!("vectors") };
    let body = Bytes::copy_from_slice(body.as_ref());
    for dimensions in [usize::MAX, usize::MAX / 2 + 1, 1 << 62] {
        assert!(join(Header::Vectors { chunks: chunks.clone(), dimensions }, body.clone()).is_err(), "{dimensions}");
    }
    let mut long = chunks;
    long.items.iter_mut().for_each(|item| item.bytes = usize::MAX);
    assert!(join(Header::Vectors { chunks: long.clone(), dimensions: 2 }, body.clone()).is_err());
    assert!(join(Header::Chunks { chunks: long }, body).is_err());
}
