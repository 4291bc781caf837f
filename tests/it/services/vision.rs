//! Images: described by a model that sees, skipped where there is none.

use docmill::load::simulate::Settings;
use docmill::query::Mode;

use super::{quick, ran, served, service, text};
use crate::pipeline::mill::{Mill, block_on, by_document};

/// The shortest thing that says that it is a PNG, like no other.
fn image(number: usize) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend(number.to_le_bytes());
    bytes
}

fn seeing(mill: Mill) -> Mill {
    mill.set("stages.vision.kind=\"vision\"")
        .set("stages.vision.inputs=[\"download\"]")
        .set("stages.chunk.inputs=[\"parse\", \"vision\"]")
        .set("stages.summarize.provider=\"extractive\"")
        .set("stages.embed.provider=\"builtin\"")
}

#[test]
fn of_two_thousand_images_a_service_that_fails_a_twentieth_describes_all_but_those_that_failed_three_times() {
    const IMAGES: usize = 2000;
    block_on(async || {
        let server =
            service(Settings { latency: std::time::Duration::from_millis(5), errors: 0.05, ..quick() }, None).await;
        let mill = seeing(served(&server.base_url())).set("stages.vision.provider=\"work\"");
        for number in 0..IMAGES {
            mill.write(&format!("{number}.png"), image(number));
        }
        let ran = ran(&mill).await;
        let vision = ran.snapshot.stages.iter().find(|stage| stage.id == "vision").expect("it is there");
        assert_eq!((vision.width, vision.input), (5, IMAGES as u64));
        // One of 8,000 fails three times: of 2,000 images a quarter of one.
        let documents = ran.snapshot.documents;
        assert_eq!(documents.done + documents.failed, IMAGES as u64, "{:?}", ran.tally.skips.first());
        assert!(documents.done >= 1999, "{} described: {:?}", documents.done, ran.tally.failures);
        assert!(ran.tally.failures.iter().all(|failure| failure.attempts == 3));
        let stats = server.stats();
        assert!(stats.statuses[&500] > 50 && stats.in_flight.chat.max == 5, "{stats:?}");
        assert_eq!(stats.distinct, documents.done);
    });
}

#[test]
fn an_image_is_found_by_what_is_said_of_it_and_skipped_where_nobody_looks() {
    block_on(async || {
        let server = service(quick(), None).await;
        let mill = seeing(served(&server.base_url())).set("stages.vision.provider=\"work\"");
        mill.write("wheel.png", image(1));
        mill.write("drawing.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"><text>flour</text></svg>");
        mill.write("notes.txt", text(1));
        let ran = ran(&mill).await;
        assert_eq!((ran.snapshot.documents.done, ran.snapshot.documents.skipped), (2, 1), "{:?}", ran.tally.failures);
        let store = mill.store().await;
        assert_eq!(by_document(&store.rows().await).len(), 2);
        assert_eq!(store.files(Mode::Text, "an image of 23 bytes").await[0], "wheel.png");
        let blind = seeing(Mill::new());
        blind.write("wheel.png", image(1));
        let ran = super::ran(&blind).await;
        assert_eq!(ran.snapshot.documents.skipped, 1);
        let reasons: Vec<&str> = ran.tally.skips.iter().map(|skip| &*skip.reason).collect();
        assert!(reasons[0].contains("image"), "{reasons:?}");
    });
}
