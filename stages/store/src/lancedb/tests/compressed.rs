//! Texts are compressed in the table's files; what is read is what was written.

use super::*;

/// A text of this many bytes or some fewer, of characters that repeat, rarely repeat or are all those of a script.
fn text(random: &mut fastrand::Rng, kind: usize, bytes: usize) -> String {
    const WORDS: [&str; 8] = ["the ", "mill ", "grinds ", "\n", "corn", ", ", "\0", "Ω"];
    let mut text = String::new();
    loop {
        let next = match kind % 4 {
            0 => WORDS[random.usize(..WORDS.len())].to_owned(),
            1 => random.char(..).to_string(),
            2 => random.char('\0'..='\u{7f}').to_string(),
            _ => random.char('一'..='龥').to_string(),
        };
        if text.len() + next.len() > bytes {
            return text;
        }
        text += &next;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_text_comes_back_to_the_byte() {
    let mut random = fastrand::Rng::with_seed(7);
    // Around the lengths at which the compression goes another way, and enough of each that it is used at all.
    let lengths = [0, 1, 7, 8, 9, 63, 64, 255, 256, 257, 259, 511, 1_023, 1_024, 1_025, 1_279, 5_000];
    for kinds in [vec![0], vec![1], vec![2], vec![3], vec![0, 1, 2, 3]] {
        let base = tempfile::tempdir().expect("tempdir");
        let sink = open(base.path()).await;
        let made = document("file:///a.txt", "one");
        let mut record = chunks(&made, "one", 0..170);
        let Payload::Vectors(vectors) = &mut record.payload else { panic!("no vectors") };
        let mut written = Vec::new();
        for (index, chunk) in vectors.chunks.items.iter_mut().enumerate() {
            let text = text(&mut random, kinds[index % kinds.len()], lengths[index % lengths.len()]);
            chunk.text = text.clone().into();
            written.push(text);
        }
        assert!(written.iter().map(String::len).sum::<usize>() > 64 << 10);
        write(&sink, vec![record]).await;
        settle(&sink, &[&made], true).await.expect("settled");
        close(&sink).await;
        written.sort_unstable();
        assert!(texts(base.path()).await == written, "texts of {kinds:?}");
    }
}
