//! Widths change while the pipeline runs, and lose nothing.

use docmill::control::Command;

use super::support::{async_chain, chain, finish, run, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn widths_of_1_to_64_change_under_load_without_loss() {
    let handle = start(&chain("widths", 4000, &[("stages.fetch", "delay = \"1ms\"")])).await;
    let (commands, view) = (handle.commands(), handle.view());
    let turning = tokio::spawn(async move {
        let mut seen = std::collections::BTreeSet::new();
        for step in 0_usize.. {
            let width = [64, 1, 8, 2, 32, 5][step % 6];
            for stage in ["fetch", "parse", "split", "embed"] {
                let command = Command::SetWidth { stage: stage.into(), width, by: "you".into(), why: String::new() };
                if commands.send(command).await.is_err() {
                    return seen;
                }
            }
            let before = view.snapshot().documents.done;
            // Until some documents have passed under this width.
            while view.snapshot().documents.done < before + 50 {
                if commands.is_closed() {
                    return seen;
                }
                tokio::task::yield_now().await;
            }
            seen.extend(view.snapshot().stages.iter().filter(|stage| stage.id == "fetch").map(|stage| stage.width));
        }
        seen
    });
    let ran = finish(handle).await;
    assert_eq!(ran.snapshot.documents.done, 4000);
    assert_eq!(ran.snapshot.rows, 16_000);
    let seen = turning.await.expect("turning widths ends with the run");
    assert!(seen.contains(&64) && seen.contains(&1), "the widths were not turned: {seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_width_is_how_many_records_a_stage_works_on_at_once() {
    for (width, seconds) in [(1, 40), (4, 10), (20, 2)] {
        let lines = format!("width = {width}\ndelay = \"1s\"");
        let start = tokio::time::Instant::now();
        run(&async_chain("width-is", 40, &[("stages.fetch", &lines)])).await;
        let took = start.elapsed().as_secs();
        assert!((seconds..=seconds + 1).contains(&took), "width {width}: 40 calls of a second took {took} s");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_width_beyond_its_bounds_is_the_bound() {
    let handle = start(&chain("bounds", 50_000, &[("stages.fetch", "width = { min = 2, max = 6 }")])).await;
    let (commands, view) = (handle.commands(), handle.view());
    let width = |view: &docmill::runtime::View| {
        view.snapshot().stages.iter().find(|stage| stage.id == "fetch").expect("it is there").width
    };
    for (wanted, got) in [(500, 6), (0, 2)] {
        commands
            .send(Command::SetWidth { stage: "fetch".into(), width: wanted, by: "you".into(), why: String::new() })
            .await
            .expect("it runs");
        while width(&view) != got {
            tokio::task::yield_now().await;
        }
    }
    commands.send(Command::Stop).await.expect("it runs");
    finish(handle).await;
}
