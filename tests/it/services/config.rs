//! `[providers]` and `[ask]`: declared once, checked where they stand, and part of a stage's fingerprint as far as they
//! change its rows.

use std::path::PathBuf;

use docmill::config;
use docmill::plan::{Machine, Plan, resolved};

use crate::pipeline::mill::{DEFAULT, registry};

const PROVIDER: &str = "
[providers.work]
kind = \"openai\"
base_url = \"http://127.0.0.1:8000/v1\"
model = \"m-1\"
dimensions = 256
limits = { requests_per_minute = 600 }
";

/// The default pipeline with these tables, and a provider for both stages that use one.
fn text(tables: &str) -> String {
    let named = DEFAULT.replace("\"extractive\"", "\"work\"").replace("\"builtin\"", "\"work\"");
    format!("{named}\n{tables}")
}

fn plan(text: &str, sets: &[&str]) -> Result<Plan, String> {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let base = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let registry = registry();
    let raw = config::parse("p.toml", base, text.to_owned(), &sets, std::iter::empty(), &registry);
    let raw = raw.map_err(|complaints| config::render_all(&complaints))?;
    let planned = Plan::from_raw(&raw, &registry, Machine { cpus: 2 });
    let (plan, _) = planned.map_err(|complaints| config::render_all(&complaints))?;
    let again = toml::to_string(&resolved(&raw, &plan, &registry)).expect("TOML");
    let raw = config::parse("again.toml", raw.base.clone(), again.clone(), &[], std::iter::empty(), &registry);
    let raw = raw.unwrap_or_else(|complaints| panic!("{again}\n{}", config::render_all(&complaints)));
    let same = Plan::from_raw(&raw, &registry, Machine { cpus: 2 });
    let same = same.unwrap_or_else(|complaints| panic!("{again}\n{}", config::render_all(&complaints))).0;
    assert_eq!(same.fingerprint, plan.fingerprint, "what `config` prints is the same pipeline:\n{again}");
    Ok(plan)
}

#[test]
fn a_stage_has_the_fields_of_its_provider_and_its_own_win() {
    let plan = plan(&text(PROVIDER), &["stages.summarize.model=m-2", "stages.summarize.words=50"]).expect("a plan");
    let summarize = plan.stage("summarize").expect("it is there");
    assert_eq!(summarize.provider.as_deref(), Some("work"));
    assert_eq!((&summarize.config["provider"], &summarize.config["model"]), (&"openai".into(), &"m-2".into()));
    assert_eq!(summarize.config["base_url"], "http://127.0.0.1:8000/v1");
    assert_eq!((summarize.tier.as_str(), summarize.width.start, summarize.retry.attempts), ("service", 20, 6));
    let embed = plan.stage("embed").expect("it is there");
    assert_eq!((embed.tier.as_str(), embed.width.start, embed.retry.attempts), ("service", 5, 6));
    let embedding = embed.embedding.as_ref().expect("it embeds");
    assert_eq!((&*embedding.model, embedding.dimensions), ("m-1", 256));
    let local = self::plan(DEFAULT, &[]).expect("a plan");
    assert_eq!(local.stage("embed").map(|stage| stage.tier.as_str()), Some("cpu"));
    let vision = local.stages.iter().find(|stage| stage.kind == "vision");
    assert!(vision.is_none() && local.providers.is_empty() && local.ask.is_none());
}

#[test]
fn what_changes_no_row_changes_no_fingerprint() {
    let fingerprint = |sets: &[&str]| plan(&text(PROVIDER), sets).expect("a plan").fingerprint;
    let as_it_is = fingerprint(&[]);
    for set in [
        "providers.work.base_url=https://other.example/v1",
        "providers.work.api_key_env=OTHER",
        "providers.work.limits.concurrency=3",
        "providers.work.prices.input=1.5",
        "providers.work.headers={X-A=\"b\"}",
        "providers.work.context=4096",
        "stages.summarize.retry.attempts=2",
    ] {
        assert_eq!(fingerprint(&[set]), as_it_is, "{set}");
    }
    for set in ["providers.work.model=m-2", "providers.work.dimensions=128", "stages.summarize.words=9"] {
        assert_ne!(fingerprint(&[set]), as_it_is, "{set}");
    }
}

#[test]
fn mistakes_are_told_where_they_stand() {
    for (tables, sets, parts) in [
        (PROVIDER, &["stages.embed.provider=wrok"][..], &["did you mean `work`?"][..]),
        (
            PROVIDER,
            &["providers.work.dimensions=0"],
            &["`dimensions` in stage `embed`", "the length of the model's vectors"],
        ),
        (
            PROVIDER,
            &["providers.work.kind=openia"],
            &["unknown kind \"openia\" of provider `work`", "did you mean `openai`?"],
        ),
        (PROVIDER, &["providers.work.headers.X-Api-Key=abc"], &["holds a secret", "\"$NAME\""]),
        (
            PROVIDER,
            &["providers.work.prices.input=-1"],
            &["`input` in `prices` of provider `work`", "a number of at least 0"],
        ),
        (
            "[providers.work]\nkind = \"openai\"\nmodell = \"m\"\n",
            &[],
            &["unknown key `modell` in provider `work`", "did you mean `model`?", "p.toml:"],
        ),
        ("[providers.work]\nmodel = \"m\"\n", &[], &["provider `work` has no `kind`", "`openai`"]),
        ("[providers.work]\nkind = \"openai\"\n", &[], &["`model` in stage `summarize`: no model is named"]),
        (&format!("{PROVIDER}[ask]\nprovider = \"wok\"\n"), &[], &["`provider` in `[ask]`", "did you mean `work`?"]),
    ] {
        let told = plan(&text(tables), sets).expect_err("it is wrong");
        for part in parts {
            assert!(told.contains(part), "no {part} in:\n{told}");
        }
    }
}

#[test]
fn who_answers_is_named_or_said_in_place() {
    let named = plan(&text(&format!("{PROVIDER}[ask]\nprovider = \"work\"\nmodel = \"m-3\"\ndocuments = 7\n")), &[])
        .expect("a plan");
    let ask = named.ask.expect("it is told");
    assert_eq!((&*ask.provider.name, &*ask.provider.kind, ask.documents), ("work", "openai", 7));
    assert_eq!((&ask.provider.settings["model"], &ask.provider.settings["dimensions"]), (&"m-3".into(), &256.into()));
    let inline = plan(&format!("{DEFAULT}\n[ask]\nprovider = \"openai\"\nmodel = \"m\"\n"), &[]).expect("a plan");
    assert_eq!(inline.ask.map(|ask| (ask.provider.name, ask.documents)), Some(("ask".to_owned(), 50)));
}
