//! A service that answers nonsense, or refuses: the error is clear, and what it costs is what it has to.

use docmill::load::simulate::Settings;

use super::{fatal, quick, ran, served, service, text};
use crate::pipeline::mill::block_on;

#[test]
fn an_answer_that_is_none_fails_its_document_with_the_reason() {
    block_on(async || {
        for (settings, reason) in [
            (Settings { garbage: 1.0, ..quick() }, "`work` answered something that cannot be read"),
            (Settings { halves: 1.0, ..quick() }, "`work` broke off in the middle of its answer"),
            (Settings { errors: 1.0, ..quick() }, "`work` failed (500)"),
        ] {
            let server = service(settings, None).await;
            let mill = served(&server.base_url())
                .set("stages.summarize.retry={ attempts = 2, min = \"10ms\", max = \"20ms\" }");
            mill.write("a.txt", text(1));
            let ran = ran(&mill.set("stages.embed.provider=\"builtin\"")).await;
            let failure = &ran.tally.failures[0];
            assert_eq!((&*failure.stage, &*failure.class, failure.attempts), ("summarize", "transient", 2));
            assert!(failure.reason.starts_with(reason), "{}", failure.reason);
        }
    });
}

#[test]
fn a_vector_of_the_wrong_length_is_a_wrong_setting() {
    block_on(async || {
        let server = service(quick(), None).await;
        let mill = served(&server.base_url()).set("providers.work.dimensions=255");
        mill.write("a.txt", text(1));
        let ran = ran(&mill).await;
        let (stage, message) = fatal(&ran);
        let expected =
            "`work` gave a vector of 256 numbers, where `dimensions` says 255; mend `dimensions` in [providers.work]";
        assert_eq!((stage, message), ("embed", expected));
        assert_eq!((ran.snapshot.documents.failed, ran.snapshot.documents.unfinished), (0, 1));
    });
}

#[test]
fn wrong_settings_stop_the_run_and_are_named() {
    block_on(async || {
        let strict = Settings { key: Some("sesame".into()), models: vec!["other".into()], ..quick() };
        let open = Settings { models: vec!["other".into()], ..quick() };
        for (settings, path, field) in [
            (strict, "", "mend `api_key_env` in [providers.work]"),
            (open, "", "mend `model` in [providers.work]"),
            (quick(), "/elsewhere", "mend `base_url` in [providers.work]"),
        ] {
            let server = service(settings, None).await;
            let mill = served(&format!("{}{path}", server.base_url()));
            (0..50).for_each(|number| drop(mill.write(&format!("{number}.txt"), text(number))));
            let ran = ran(&mill).await;
            let (_, message) = fatal(&ran);
            assert!(message.ends_with(field), "{message}");
            assert_eq!(ran.snapshot.documents.failed, 0);
            let stats = server.stats();
            assert!(stats.statuses.values().sum::<u64>() <= 30, "it is not asked on and on: {stats:?}");
        }
    });
}

#[test]
fn a_used_up_quota_winds_the_run_down_and_the_next_one_goes_on() {
    block_on(async || {
        let server = service(Settings { quota: Some(20), ..quick() }, None).await;
        let mill = served(&server.base_url()).set("stages.embed.provider=\"builtin\"");
        (0..60).for_each(|number| drop(mill.write(&format!("{number}.txt"), text(number))));
        let run = |base_url: String| {
            let mut command = mill.command("run");
            command.args([
                "--format",
                "json",
                "--ui",
                "none",
                "--set",
                &format!("providers.work.base_url={base_url:?}"),
            ]);
            command.output().expect("it runs")
        };
        let broke = run(server.base_url());
        let told = String::from_utf8_lossy(&broke.stderr).into_owned();
        assert_eq!(broke.status.code(), Some(4), "{told}");
        assert!(told.contains("quota is used up"), "{told}");
        let report: serde_json::Value = serde_json::from_slice(&broke.stdout).expect("a report");
        assert_eq!(report["documents"]["failed"], 0, "{told}");
        assert_eq!(report["documents"]["done"], 20, "what had its summary is done");
        let rich = service(quick(), None).await;
        let went_on = run(rich.base_url());
        let report: serde_json::Value = serde_json::from_slice(&went_on.stdout).expect("a report");
        assert!(went_on.status.success(), "{report}");
        assert_eq!(rich.stats().calls.chat, 40, "what was paid for is not asked for again");
    });
}

#[test]
fn a_key_is_sent_and_shown_nowhere() {
    block_on(async || {
        let secret = "sk-zorblax-4711";
        let server = service(Settings { key: Some(secret.into()), ..quick() }, None).await;
        let mill = served(&server.base_url()).set("providers.work.api_key_env=\"MILL_KEY\"");
        mill.write("a.txt", text(1));
        let run = |key: Option<&str>| {
            let mut command = mill.command("run");
            command.args(["--format", "json", "--fresh", "--set", "providers.work.proxy=\"\""]);
            command.env("DOCMILL_LOG", "trace").env_remove("MILL_KEY");
            key.map(|key| command.env("MILL_KEY", key));
            command.output().expect("it runs")
        };
        let unset = run(None);
        let told = String::from_utf8_lossy(&unset.stderr).into_owned();
        assert_eq!(unset.status.code(), Some(4), "{told}");
        assert!(told.contains("the variable `MILL_KEY` is not set"), "{told}");
        let wrong = run(Some("sk-zorblax-0000"));
        assert_eq!(wrong.status.code(), Some(4));
        let right = run(Some(secret));
        assert!(right.status.success(), "{}", String::from_utf8_lossy(&right.stderr));
        for output in [&unset, &wrong, &right] {
            let all = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
            assert!(!String::from_utf8_lossy(&all).contains("zorblax"), "{}", String::from_utf8_lossy(&all));
        }
        let state = std::fs::read_to_string(mill.path().join(".docmill/services.json")).unwrap_or_default();
        assert!(!state.contains("zorblax"), "{state}");
    });
}

#[test]
fn a_text_that_the_service_does_not_take_is_told_from_the_others_of_its_batch() {
    block_on(async || {
        // In tokens as the simulated service counts them: four characters each.
        let server = service(Settings { context: 200, ..quick() }, None).await;
        let mill = served(&server.base_url()).set("stages.summarize.provider=\"extractive\"");
        (0..20).for_each(|number| drop(mill.write(&format!("{number}.txt"), format!("Cart {number} came at dawn."))));
        mill.write("long.txt", text(1));
        let ran = ran(&mill).await;
        assert_eq!((ran.snapshot.documents.done, ran.snapshot.documents.failed), (20, 1), "{:?}", ran.tally.failures);
        let failure = &ran.tally.failures[0];
        assert!(failure.document.ends_with("long.txt") && failure.attempts == 1, "{failure:?}");
        assert!(failure.reason.starts_with("chunk 0: `work` says that it is too long (400)"), "{}", failure.reason);
    });
}

#[test]
fn a_document_beyond_the_models_context_is_read_in_parts_and_a_wrong_context_is_found_out() {
    block_on(async || {
        let server = service(Settings { context: 4096, ..quick() }, None).await;
        // The service takes a quarter of what the settings say.
        let mill =
            served(&server.base_url()).set("stages.embed.provider=\"builtin\"").set("providers.work.context=16384");
        mill.write("long.txt", (0..40).map(text).collect::<String>());
        let ran = ran(&mill).await;
        assert_eq!(ran.snapshot.documents.done, 1, "{:?}", ran.tally.failures);
        let stats = server.stats();
        assert!(stats.statuses[&400] >= 1 && stats.answered > 4, "{stats:?}");
        let rows = mill.store().await.rows().await;
        assert_eq!(rows.values().filter(|row| row.part == "summary").count(), 1);
    });
}
