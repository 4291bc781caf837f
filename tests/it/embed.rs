//! `docmill embed`: each text gets the vector that the pipeline's own model gives, in its place, as soon as it is there.

use std::io::{Cursor, Read, Write};
use std::sync::{Arc, Mutex};

use docmill::cli::embed::{self, Args, Format};
use docmill::cli::pipeline_args::PipelineArgs;
use docmill_api::{
    BuildContext, Embedding, FieldSpec, FieldType, Node, PayloadKind, Provider, Registry, StageError, StageFactory,
    StageSpec, Tier, async_trait,
};
use serde_json::Value;
use tempfile::TempDir;

use super::support;

/// A stage that embeds, and names a server and a variable as one that calls a model does.
pub(crate) struct Measuring;

/// Its model: a text's vector is its length and its number of words.
struct Lengths;

#[async_trait]
impl StageFactory for Measuring {
    type Config = Value;
    const KIND: &'static str = "measuring";
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        StageSpec {
            summary: "measures",
            takes: &[PayloadKind::Chunks],
            gives: &[PayloadKind::Vectors],
            tier: Tier::Service,
            fields: vec![
                FieldSpec::new("base_url", FieldType::Text, "".into(), "the server"),
                FieldSpec::new("api_key_env", FieldType::Text, "".into(), "the variable that holds the key"),
            ],
            batch: None,
            width: Some(1),
            timeout: std::time::Duration::from_secs(30),
            attempts: docmill_api::ATTEMPTS,
            accepts: &[],
            guarantees: "none",
            example: "kind = \"measuring\"\ninputs = [\"split\"]\n",
        }
    }

    async fn build(_config: Value, _cx: &BuildContext) -> Result<Node, StageError> {
        Err(StageError::fatal("it is never run"))
    }

    async fn provider(_config: Value, _cx: &BuildContext) -> Result<Option<Arc<dyn Provider>>, StageError> {
        Ok(Some(Arc::new(Lengths)))
    }
}

#[async_trait]
impl Provider for Lengths {
    fn embedding(&self) -> Embedding {
        Embedding { model: "lengths".into(), dimensions: 2 }
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, StageError> {
        if texts.iter().any(|text| text == "refused") {
            return Err(StageError::fatal("the model refuses"));
        }
        let count = |number: usize| f32::from(u16::try_from(number).expect("short"));
        Ok(texts.iter().map(|text| vec![count(text.len()), count(text.split(' ').count()) + 0.5]).collect())
    }
}

/// The fakes, and the stage that embeds.
pub(crate) fn registry() -> Registry {
    let mut registry = support::registry();
    registry.add::<Measuring>();
    registry
}

/// A pipeline of fakes in a directory of its own, its embedding stage replaced.
pub(crate) fn pipeline(extra: &[(&str, &str)]) -> (TempDir, PipelineArgs) {
    let directory = tempfile::tempdir().expect("a directory");
    let text = support::chain("embed", 3, extra).replace("kind = \"fake-embed\"", "kind = \"measuring\"");
    let file = directory.path().join("pipeline.toml");
    std::fs::write(&file, text).expect("written");
    (directory, PipelineArgs { pipeline: Some(file), set: Vec::new() })
}

fn embed(texts: &[&str], stage: Option<&str>, format: Format, lines: Option<&[u8]>) -> (u8, String, String) {
    let (_directory, pipeline) = pipeline(&[]);
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    let args = Args { texts, pipeline, stage: stage.map(str::to_owned), format };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = embed::embed(&args, lines.map(Cursor::new), &registry(), &mut out, &mut err).expect("it ends");
    (code, String::from_utf8(out).expect("text"), String::from_utf8(err).expect("text"))
}

#[test]
fn each_text_gets_a_line_with_its_vector() {
    let (code, out, err) = embed(&["grain", "a mill stone", ""], None, Format::Json, None);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out, "[5.0,1.5]\n[12.0,3.5]\n[0.0,1.5]\n");
    let (_, out, _) = embed(&["grain"], Some("embed"), Format::Text, None);
    assert_eq!(out, "5 1.5\n");
}

#[test]
fn lines_are_texts_with_every_kind_of_end() {
    let (code, out, err) = embed(&[], None, Format::Json, Some(b"grain\na mill\r\n\nlast"));
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out, "[5.0,1.5]\n[6.0,2.5]\n[0.0,1.5]\n[4.0,1.5]\n");
    let many: String = (0..1000).map(|number| format!("{number}\n")).collect();
    let (_, out, _) = embed(&[], None, Format::Json, Some(many.as_bytes()));
    assert_eq!(out.lines().count(), 1000);
    assert_eq!(embed(&[], None, Format::Json, Some(b"")), (0, String::new(), String::new()));
}

#[test]
fn a_line_that_cannot_be_embedded_ends_it_with_4_and_is_named() {
    let (code, out, err) = embed(&[], None, Format::Json, Some(b"grain\n\xff\xfe\n"));
    assert_eq!(code, 4);
    assert!(err.contains("line 2") && !out.contains("[2.0"), "{err}{out}");
    let (code, _, err) = embed(&[], None, Format::Json, Some(&vec![b'a'; (1 << 20) + 1]));
    assert!(code == 4 && err.contains("line 1: longer than"), "{err}");
    let (code, out, err) = embed(&["refused"], None, Format::Json, None);
    assert_eq!((code, out.as_str(), err.as_str()), (4, "", "error: the model refuses\n"));
}

#[test]
fn a_stage_that_is_not_there_or_does_not_embed_is_told() {
    let (code, _, err) = embed(&["grain"], Some("embde"), Format::Json, None);
    assert_eq!(code, 2);
    assert!(err.contains("no stage `embde`") && err.contains("did you mean `embed`?"), "{err}");
    let (code, _, err) = embed(&["grain"], Some("split"), Format::Json, None);
    assert!(code == 4 && err.contains("`split` embeds nothing"), "{err}");
}

/// Gives one line at a read, and notes how many vectors had been printed before each.
struct OneByOne {
    lines: Vec<&'static [u8]>,
    printed: Arc<Mutex<Vec<u8>>>,
    before: Arc<Mutex<Vec<usize>>>,
}

impl Read for OneByOne {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let printed = self.printed.lock().expect("held by nobody").iter().filter(|byte| **byte == b'\n').count();
        self.before.lock().expect("held by nobody").push(printed);
        let line: &[u8] = if self.lines.is_empty() { &[] } else { self.lines.remove(0) };
        buffer[..line.len()].copy_from_slice(line);
        Ok(line.len())
    }
}

struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("held by nobody").write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn whoever_writes_a_line_and_waits_gets_its_vector() {
    let (_directory, pipeline) = pipeline(&[]);
    let (printed, before) = (Arc::default(), Arc::default());
    let lines = OneByOne {
        lines: vec![b"one\n", b"two\n", b"three\n"],
        printed: Arc::clone(&printed),
        before: Arc::clone(&before),
    };
    let args = Args { pipeline, ..Args::default() };
    let code = embed::embed(&args, Some(lines), &registry(), &mut Shared(printed), &mut Vec::new()).expect("it ends");
    assert_eq!((code, before.lock().expect("held by nobody").as_slice()), (0, &[0, 1, 2, 3][..]));
}
