//! The exporter with a real collector on loopback: what it is sent, and what becomes of a run whose collector is late, full
//! or gone.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use docmill_api::{Digest, Document, DocumentEnd, SourceItem, Visit, Witness};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

use super::exporter::QUEUE;
use super::*;

/// Longer than anything here takes. No outcome depends on it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a collector was sent.
struct Request {
    path: String,
    headers: HeaderMap,
    body: Value,
}

impl Request {
    fn spans(&self) -> &Vec<Value> {
        self.body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().expect("spans")
    }
}

/// A collector: answers as it is told, and then with 200.
struct Collector {
    address: String,
    requests: mpsc::Receiver<Request>,
    answers: Arc<Mutex<Vec<(u16, Value)>>>,
    /// How many requests it may answer.
    may: Arc<Semaphore>,
}

#[derive(Clone)]
struct Desk {
    requests: mpsc::Sender<Request>,
    answers: Arc<Mutex<Vec<(u16, Value)>>>,
    may: Arc<Semaphore>,
}

async fn take(State(desk): State<Desk>, uri: Uri, headers: HeaderMap, body: String) -> Response {
    let body = serde_json::from_str(&body).expect("JSON");
    desk.requests.send(Request { path: uri.to_string(), headers, body }).await.expect("the test listens");
    desk.may.acquire().await.expect("open").forget();
    let mut answers = desk.answers.lock().expect("no panic");
    let (status, body) = if answers.is_empty() { (200, json!({})) } else { answers.remove(0) };
    (StatusCode::from_u16(status).expect("a status"), axum::Json(body)).into_response()
}

impl Collector {
    /// One that answers at once.
    async fn start(answers: &[(u16, Value)]) -> Self {
        let collector = Self::stopped(answers).await;
        collector.may.add_permits(1 << 20);
        collector
    }

    /// One that answers when it may.
    async fn stopped(answers: &[(u16, Value)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let (requests, received) = mpsc::channel(1024);
        let (answers, may) = (Arc::new(Mutex::new(answers.to_vec())), Arc::new(Semaphore::new(0)));
        let desk = Desk { requests, answers: Arc::clone(&answers), may: Arc::clone(&may) };
        let service = axum::Router::new().fallback(take).with_state(desk);
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { address, requests: received, answers, may }
    }

    fn exporter(&self, variables: &[(&str, &str)]) -> Exporter {
        exporter(&self.address, variables)
    }

    async fn next(&mut self) -> Request {
        let next = tokio::time::timeout(PATIENCE, self.requests.recv()).await;
        next.expect("a request comes").expect("it runs")
    }

    /// All spans that came, once the exporter has finished.
    fn all_spans(&mut self) -> Vec<Value> {
        let mut spans = Vec::new();
        while let Ok(request) = self.requests.try_recv() {
            spans.extend(request.spans().iter().cloned());
        }
        spans
    }
}

fn exporter(address: &str, variables: &[(&str, &str)]) -> Exporter {
    let get = |name: &str| {
        let all = [&[("OTEL_EXPORTER_OTLP_ENDPOINT", address)], variables].concat();
        all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    let mut settings = Settings::from_variables(get).expect("right").expect("on");
    settings.pauses = (Duration::from_millis(1), Duration::from_millis(4));
    let exporter = Exporter::start(settings).expect("it starts");
    exporter.begin("20261126T100000000-1");
    exporter
}

/// A moment with a round number.
fn moment() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn document(uri: &str) -> Arc<Document> {
    let item = SourceItem { uri: uri.into(), session_id: Some("night".into()), ..SourceItem::default() };
    Arc::new(Document::admit(item, Digest::of(&[])))
}

fn visit(document: &Document, stage: &str, failed: Option<&str>) -> Visit {
    let took = Duration::from_millis(20);
    let failed = failed.map(str::to_owned);
    Visit { document: document.id, stage: stage.into(), began: moment(), took, attempt: 1, failed }
}

fn end(document: &Arc<Document>, state: &'static str) -> DocumentEnd {
    let said = |text: &str| if state == "failed" { text.to_owned() } else { String::new() };
    DocumentEnd {
        document: Arc::clone(document),
        state,
        stage: said("parse"),
        class: said("rejected"),
        reason: said("it is no PDF"),
        attempts: 1,
        began: moment(),
        took: Duration::from_secs(1),
        result: Some(json!({"total_chunks": 3, "token_count": 900, "summary": "a secret"})),
    }
}

fn attributes(of: &Value) -> Value {
    let pairs = of["attributes"].as_array().expect("attributes").iter();
    let pair = |one: &Value| (one["key"].as_str().expect("a key").to_owned(), one["value"].clone());
    Value::Object(pairs.map(pair).collect())
}

fn named<'a>(spans: &'a [Value], name: &str) -> Vec<&'a Value> {
    spans.iter().filter(|span| span["name"] == name).collect()
}

#[tokio::test]
async fn a_document_is_a_trace_with_a_span_for_each_stay_in_a_stage() {
    let mut collector = Collector::start(&[]).await;
    let exporter = collector.exporter(&[("OTEL_EXPORTER_OTLP_HEADERS", "x-key=open%20sesame")]);
    let one = document("file:///a/b.txt");
    exporter.visited(&visit(&one, "parse", Some("it hung")));
    exporter.visited(&Visit { attempt: 2, ..visit(&one, "parse", None) });
    exporter.ended(&end(&one, "done"));
    let sent = exporter.finish(PATIENCE).await;
    assert_eq!(sent, Sent { spans: 3, sent: 3, dropped: 0, refused: 0 });
    let request = collector.next().await;
    assert_eq!(request.path, "/v1/traces");
    assert_eq!([&request.headers["content-type"], &request.headers["x-key"]], ["application/json", "open sesame"]);
    let resource = attributes(&request.body["resourceSpans"][0]["resource"]);
    assert_eq!(resource["service.name"]["stringValue"], "docmill");
    assert_eq!(resource["service.instance.id"]["stringValue"], "20261126T100000000-1");
    let [first, second, root] = request.spans().as_slice() else { panic!("{:?}", request.spans()) };
    // The root, whole: the format is what others read.
    let trace = Digest::of(&[one.id.as_bytes(), b"20261126T100000000-1"]).to_string()[..32].to_owned();
    let text = |text: &str| json!({ "stringValue": text });
    assert_eq!(
        attributes(root),
        json!({
            "docmill.document.id": text(&one.id.to_string()),
            "docmill.document.uri": text("file:///a/b.txt"),
            "docmill.document.filename": text("b.txt"),
            "docmill.document.state": text("done"),
            "docmill.document.attempts": {"intValue": "1"},
            "session.id": text("night"),
            "docmill.document.chunks": {"intValue": "3"},
            "docmill.document.tokens": {"intValue": "900"},
        })
    );
    let mut bare = root.clone();
    bare.as_object_mut().expect("an object").shift_remove("attributes");
    assert_eq!(
        bare,
        json!({
            "traceId": trace, "spanId": root["spanId"], "name": "document", "kind": 1,
            "startTimeUnixNano": "1800000000000000000", "endTimeUnixNano": "1800000001000000000",
        })
    );
    let id = |span: &Value| span["spanId"].as_str().map(str::to_owned).expect("an id");
    for (span, attempt, outcome) in [(first, "1", "failed"), (second, "2", "ok")] {
        assert_eq!((&span["traceId"], &span["parentSpanId"]), (&json!(trace), &root["spanId"]));
        assert_eq!((&span["name"], id(span).len()), (&json!("parse"), 16));
        let expected = json!({"docmill.attempt": {"intValue": attempt}, "docmill.outcome": text(outcome)});
        assert_eq!(attributes(span), expected);
        assert_eq!(span["endTimeUnixNano"], "1800000000020000000");
    }
    assert_eq!(first["status"], json!({"code": 2, "message": "it hung"}));
    assert!(second.get("status").is_none() && id(first) != id(second));
}

#[tokio::test]
async fn done_again_it_is_a_second_tree_in_the_trace_and_in_another_run_another_trace() {
    let mut collector = Collector::start(&[]).await;
    let one = document("file:///a");
    let mut traces = Vec::new();
    for run in ["first", "second"] {
        let settings =
            Settings::from_variables(|name| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| collector.address.clone()));
        let exporter = Exporter::start(settings.expect("right").expect("on")).expect("it starts");
        exporter.begin(run);
        for state in ["failed", "done"] {
            exporter.visited(&visit(&one, "parse", None));
            exporter.ended(&end(&one, state));
        }
        exporter.finish(PATIENCE).await;
        let spans = collector.all_spans();
        let (roots, stays) = (named(&spans, "document"), named(&spans, "parse"));
        assert_eq!((roots.len(), stays.len()), (2, 2));
        assert_ne!(roots[0]["spanId"], roots[1]["spanId"]);
        for (root, stay) in roots.iter().zip(&stays) {
            assert_eq!((&stay["parentSpanId"], &stay["traceId"]), (&root["spanId"], &roots[0]["traceId"]));
        }
        let failed = attributes(roots[0]);
        assert_eq!(roots[0]["status"], json!({"code": 2, "message": "it is no PDF"}));
        assert_eq!(failed["error.type"]["stringValue"], "rejected");
        assert_eq!(failed["docmill.document.stage"]["stringValue"], "parse");
        traces.push(roots[0]["traceId"].clone());
    }
    assert_ne!(traces[0], traces[1]);
}

#[tokio::test]
async fn a_collector_that_does_not_answer_costs_what_finds_the_queue_full_and_no_wait() {
    let mut collector = Collector::stopped(&[]).await;
    let exporter = collector.exporter(&[]);
    let one = document("file:///a");
    let put = |count: usize| (0..count).for_each(|_| exporter.visited(&visit(&one, "parse", None)));
    put(512);
    // Now the thread waits for the answer, with so many of them.
    let taken = collector.next().await.spans().len();
    put(QUEUE - (512 - taken));
    assert_eq!(exporter.sent().dropped, 0);
    put(100);
    let all = (QUEUE + taken + 100) as u64;
    assert_eq!(exporter.sent(), Sent { spans: all, sent: 0, dropped: 100, refused: 0 });
    collector.may.add_permits(1 << 20);
    let sent = exporter.finish(PATIENCE).await;
    assert_eq!(sent, Sent { spans: all, sent: all - 100, dropped: 100, refused: 0 });
    // What comes after the end is not kept for ever.
    put(1);
    assert_eq!(exporter.sent().dropped, 101);
}

#[tokio::test]
async fn the_end_is_not_waited_for_longer_than_was_said() {
    let mut collector = Collector::stopped(&[]).await;
    let exporter = collector.exporter(&[]);
    exporter.ended(&end(&document("file:///a"), "done"));
    collector.next().await;
    let sent = exporter.finish(Duration::from_millis(20)).await;
    assert_eq!(sent, Sent { spans: 1, sent: 0, dropped: 1, refused: 0 });
}

#[tokio::test]
async fn a_collector_that_is_not_there_is_asked_once_at_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let exporter = exporter(&address, &[]);
    for number in 0..2000 {
        exporter.ended(&end(&document(&format!("file:///{number}")), "done"));
    }
    let sent = exporter.finish(PATIENCE).await;
    assert_eq!((sent.spans, sent.sent), (2000, 0));
    assert_eq!(sent.dropped + sent.refused, 2000);
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    let busy = || (503, json!({}));
    let mut collector = Collector::start(&[busy(), (429, json!({})), (200, json!({}))]).await;
    let exporter = collector.exporter(&[]);
    exporter.ended(&end(&document("file:///a"), "done"));
    let bodies = [collector.next().await.body, collector.next().await.body, collector.next().await.body];
    assert!(bodies.iter().all(|body| *body == bodies[0]), "the same spans each time");
    *collector.answers.lock().expect("no panic") = vec![(400, json!({}))];
    exporter.ended(&end(&document("file:///b"), "done"));
    collector.next().await;
    exporter.ended(&end(&document("file:///c"), "done"));
    let sent = exporter.finish(PATIENCE).await;
    assert_eq!(sent, Sent { spans: 3, sent: 2, dropped: 0, refused: 1 });
    assert_eq!(collector.all_spans().len(), 1);
}

#[tokio::test]
async fn a_batch_that_is_never_taken_is_given_up_and_the_next_one_tried() {
    let mut collector = Collector::start(&vec![(503, json!({})); 6]).await;
    let exporter = collector.exporter(&[]);
    exporter.ended(&end(&document("file:///a"), "done"));
    // The first attempt and five more.
    for _ in 0..6 {
        collector.next().await;
    }
    exporter.ended(&end(&document("file:///b"), "done"));
    let sent = exporter.finish(PATIENCE).await;
    assert_eq!(sent, Sent { spans: 2, sent: 1, dropped: 0, refused: 1 });
}

#[tokio::test]
async fn spans_that_a_collector_refuses_of_many_are_counted() {
    let answer = json!({"partialSuccess": {"rejectedSpans": "2", "errorMessage": "too old"}});
    let collector = Collector::start(&[(200, answer)]).await;
    let exporter = collector.exporter(&[]);
    for number in 0..5 {
        exporter.ended(&end(&document(&format!("file:///{number}")), "done"));
    }
    assert_eq!(exporter.finish(PATIENCE).await, Sent { spans: 5, sent: 3, dropped: 0, refused: 2 });
}

#[tokio::test]
async fn what_is_not_sampled_is_not_sent_and_what_is_comes_whole() {
    let mut collector = Collector::start(&[]).await;
    let none = collector.exporter(&[("OTEL_TRACES_SAMPLER", "always_off")]);
    let half = collector.exporter(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.5")]);
    for exporter in [&none, &half] {
        for number in 0..200 {
            let one = document(&format!("file:///{number}"));
            exporter.visited(&visit(&one, "parse", None));
            exporter.ended(&end(&one, "done"));
        }
    }
    assert_eq!(none.finish(PATIENCE).await, Sent::default());
    let sent = half.finish(PATIENCE).await;
    let spans = collector.all_spans();
    assert_eq!(spans.len() as u64, sent.sent);
    let roots = named(&spans, "document");
    // The ids are always the same: so many of two hundred.
    assert!((60..=140).contains(&roots.len()), "{}", roots.len());
    for root in &roots {
        assert_eq!(spans.iter().filter(|span| span["parentSpanId"] == root["spanId"]).count(), 1);
    }
    assert_eq!(spans.len(), 2 * roots.len());
}

#[tokio::test]
async fn a_name_is_sent_as_it_is_and_a_long_one_cut() {
    let mut collector = Collector::start(&[]).await;
    let exporter = collector.exporter(&[]);
    let name = format!("\u{1b}[31m\"\n{}", "ü".repeat(4000));
    let item = SourceItem { uri: "file:///a".into(), filename: name.clone(), ..SourceItem::default() };
    exporter.ended(&end(&Arc::new(Document::admit(item, Digest::of(&[]))), "skipped"));
    exporter.finish(PATIENCE).await;
    let spans = collector.all_spans();
    let told = attributes(&spans[0])["docmill.document.filename"]["stringValue"].as_str().map(str::to_owned);
    let told = told.expect("a name");
    assert!(name.starts_with(&told) && (1000..=1024).contains(&told.len()), "{} bytes", told.len());
}

#[test]
fn many_threads_lose_nothing_that_is_not_counted() {
    let event_loop =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a loop");
    let mut collector = event_loop.block_on(Collector::start(&[]));
    let exporter = collector.exporter(&[]);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let exporter = &exporter;
            scope.spawn(move || {
                for number in 0..1000 {
                    let one = document(&format!("file:///{thread}/{number}"));
                    exporter.visited(&visit(&one, "parse", None));
                    exporter.ended(&end(&one, "done"));
                }
            });
        }
    });
    let sent = event_loop.block_on(exporter.finish(PATIENCE));
    assert_eq!((sent.spans, sent.refused), (8000, 0));
    assert_eq!(sent.sent + sent.dropped, 8000);
    assert_eq!(collector.all_spans().len() as u64, sent.sent);
}
