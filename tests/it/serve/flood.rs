//! More documents than there is room for, all at once: each is accepted or told when to come again, and what was accepted
//! is finished, also by the next process after a `kill -9`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::served::{Answered, Served, answered, id_of};
use crate::pipeline::mill::{Mill, block_on};

const UPLOADS: usize = 300;

fn text(number: usize) -> Vec<u8> {
    let line = |line: usize| format!("Line {line} of flood {number} tells which miller brought how much grain.\n");
    // From one to some hundred kilobytes.
    (0..20 + (number % 7) * 300).map(line).collect::<String>().into_bytes()
}

/// Uploads all at once, each once; gives the answers, those of a service that died meanwhile left out.
async fn all_at_once(served: &Arc<Served>) -> Vec<(usize, Answered)> {
    let uploads = (0..UPLOADS).map(|number| {
        let served = Arc::clone(served);
        tokio::spawn(async move {
            let request = served.upload(&format!("{number}.txt"), &text(number), &[]);
            let sent = request.send().await;
            match sent {
                Ok(response) => Some((number, super::served::of(response).await)),
                Err(_) => None,
            }
        })
    });
    let uploads: Vec<_> = uploads.collect();
    let mut answers = Vec::new();
    for upload in uploads {
        answers.extend(upload.await.expect("no panic"));
    }
    answers
}

#[test]
fn each_is_accepted_or_told_when_to_come_again_and_the_polite_get_in() {
    block_on(async || {
        let mill = Mill::new().set("serve.queue=5").set("stages.download.queue=5").set("run.memory=\"64MiB\"");
        let served = Arc::new(Served::start(&mill));
        let answers = all_at_once(&served).await;
        assert_eq!(answers.len(), UPLOADS, "none is reset");
        let mut ids = BTreeSet::new();
        let mut refused = Vec::new();
        for (number, answer) in answers {
            match answer.status {
                202 => drop(ids.insert(id_of(&answer.body))),
                503 => refused.push((number, answer.retry_after.expect("a time"))),
                other => panic!("{other}: {}", answer.body),
            }
        }
        assert!(!ids.is_empty() && !refused.is_empty(), "{} accepted, {} refused", ids.len(), refused.len());
        let polite = refused.into_iter().map(|(number, mut after)| {
            let served = Arc::clone(&served);
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(Duration::from_secs(after)).await;
                    let answer = answered(served.upload(&format!("{number}.txt"), &text(number), &[])).await;
                    match answer.status {
                        202 => return id_of(&answer.body),
                        503 => after = answer.retry_after.expect("a time"),
                        other => panic!("{other}: {}", answer.body),
                    }
                }
            })
        });
        for polite in polite.collect::<Vec<_>>() {
            ids.insert(polite.await.expect("no panic"));
        }
        assert_eq!(ids.len(), UPLOADS);
        for id in &ids {
            assert_eq!(served.ended(id).await["state"], "done");
        }
        let memory = served.get("/health/memory").await.body;
        assert!(memory["peak_bytes"].as_u64() <= Some(64 << 20), "{memory}");
    });
}

#[test]
fn what_was_accepted_survives_a_kill() {
    block_on(async || {
        let mill = Mill::new().set("serve.queue=40");
        let served = Arc::new(Served::start(&mill));
        let pid = served.pid();
        let killer = tokio::spawn({
            let served = Arc::clone(&served);
            async move {
                // In the middle: when some have come to their ends.
                loop {
                    let snapshot = served.get("/v1/snapshot").await.body;
                    if snapshot["documents"]["done"].as_u64() >= Some(3) {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("not 0");
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it was there");
            }
        });
        let answers = all_at_once(&served).await;
        killer.await.expect("killed");
        let accepted: Vec<String> =
            answers.iter().filter(|(_, answer)| answer.status == 202).map(|(_, answer)| id_of(&answer.body)).collect();
        assert!(!accepted.is_empty());
        drop(served);
        let served = Served::start(&mill);
        for id in &accepted {
            let document = served.ended(id).await;
            assert_eq!(document["state"], "done", "{document}");
        }
        let listed = served.get("/v1/documents?limit=1000").await.body;
        let states: BTreeSet<&str> =
            listed["documents"].as_array().expect("a list").iter().filter_map(|one| one["state"].as_str()).collect();
        assert_eq!(states, BTreeSet::from(["done"]), "what was accepted and not answered is finished as well");
        let (code, said) = served.stop();
        assert_eq!(code, Some(0), "{said}");
    });
}

#[test]
fn told_to_end_it_finishes_what_is_in_hand_and_takes_nothing_in() {
    block_on(async || {
        let mill = Mill::new();
        let served = Arc::new(Served::start(&mill));
        let answers = all_at_once(&served).await;
        let accepted: Vec<Value> =
            answers.into_iter().filter(|(_, answer)| answer.status == 202).map(|(_, answer)| answer.body).collect();
        let served = Arc::into_inner(served).expect("nobody else asks");
        let (code, said) = served.stop();
        assert_eq!(code, Some(0), "{said}");
        let served = Served::start(&mill);
        for document in accepted {
            assert_eq!(served.ended(&id_of(&document)).await["state"], "done");
        }
    });
}
