//! The link with a real HTTP server on loopback that stands for a service: what it is asked, and what is made of its answers.

use std::net::SocketAddr;
use std::time::Instant;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use docmill_api::SourceItem;
use serde_json::Value;
use tokio::net::TcpListener;

use super::*;
use crate::monitor::{EventKind, HostSnapshot};

/// When what does not come is given up. No outcome depends on it.
const LONG: Duration = Duration::from_secs(60);

/// What a service was asked.
#[derive(Clone, Debug, PartialEq)]
struct Asked {
    method: String,
    path: String,
    key: Option<String>,
    body: Value,
}

/// Answers for a path: a status and a body. Whatever else is asked is not there.
type Answers = Arc<Mutex<Vec<(&'static str, u16, Value)>>>;

/// A service. Gone, with all its connections, when it is dropped.
struct Service {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Answers,
    event_loop: Option<Runtime>,
}

#[derive(Clone)]
struct Desk {
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Answers,
}

async fn answer(State(desk): State<Desk>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        key: parts.headers.get("authorization").map(|value| value.to_str().expect("text").to_owned()),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let answers = desk.answers.lock().expect("no panic").clone();
    let found = answers.iter().find(|(path, ..)| *path == asked.path);
    if asked.path != "/v1/snapshot" {
        desk.asked.lock().expect("no panic").push(asked);
    }
    let (status, body) =
        found.map_or((404, json!({"title": "Not Found"})), |(_, status, body)| (*status, body.clone()));
    let status = StatusCode::from_u16(status).expect("a status");
    match body {
        // Where a test wants another place.
        Value::String(place) if status.is_redirection() => (status, [("location", place)]).into_response(),
        // Where a test wants no JSON.
        Value::String(text) => (status, text).into_response(),
        body => (status, axum::Json(body)).into_response(),
    }
}

fn run(name: &str) -> Value {
    let host = HostSnapshot { cpus: 7.5, ..HostSnapshot::default() };
    json!(Snapshot { version: VERSION, run: name.into(), host, ..Snapshot::default() })
}

impl Service {
    fn start(answers: Vec<(&'static str, u16, Value)>) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), answers)
    }

    fn at(address: SocketAddr, answers: Vec<(&'static str, u16, Value)>) -> Self {
        let (asked, answers) = (Arc::default(), Arc::new(Mutex::new(answers)));
        let event_loop = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a loop");
        let listener = event_loop.block_on(TcpListener::bind(address)).expect("a port");
        let address = listener.local_addr().expect("bound");
        let desk = Desk { asked: Arc::clone(&asked), answers: Arc::clone(&answers) };
        let router = axum::Router::new().fallback(answer).with_state(desk);
        event_loop.spawn(async move { axum::serve(listener, router).await });
        Self { address, asked, answers, event_loop: Some(event_loop) }
    }

    fn url(&self) -> Url {
        address(&format!("http://{}", self.address)).expect("an address")
    }

    fn watch(&self) -> Remote {
        Remote::watch(&self.url(), Some("sesame")).expect("it shows its run")
    }

    fn refusal(&self, key: Option<&str>) -> String {
        Remote::watch(&self.url(), key).map(drop).expect_err("it is refused")
    }

    fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().expect("no panic"))
    }

    fn answers(&self, answers: Vec<(&'static str, u16, Value)>) {
        *self.answers.lock().expect("no panic") = answers;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // With its connections, as when a process goes.
        if let Some(event_loop) = self.event_loop.take() {
            event_loop.shutdown_timeout(LONG);
        }
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < LONG, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_newest_is_shown_and_a_service_that_comes_back_as_well() {
    let service = Service::start(vec![("/v1/snapshot", 200, run("one"))]);
    let mut remote = service.watch();
    assert_eq!((&*remote.latest().run, remote.is_live(), remote.cpus()), ("one", true, 8));
    service.answers(vec![("/v1/snapshot", 200, run("two"))]);
    wait_until("the second", || remote.latest().run == "two");
    let address = service.address;
    drop(service);
    wait_until("it is gone", || !remote.is_live());
    assert_eq!(remote.latest().run, "two", "what was seen last stays");
    let told = remote.send(Command::Pause).expect_err("nobody is there");
    assert!(told.starts_with("the service cannot be told: "), "{told}");
    let _again = Service::at(address, vec![("/v1/snapshot", 200, run("three"))]);
    wait_until("it is back", || remote.is_live());
    assert_eq!(remote.latest().run, "three");
}

#[test]
fn each_command_takes_its_way() {
    let ways = ["/v1/stages/a%2Fb%3F", "/v1/run/pause", "/v1/run/resume", "/v1/run/drain", "/v1/commands"];
    let mut answers: Vec<_> = ways.into_iter().map(|path| (path, 202, json!({}))).collect();
    answers.extend([("/v1/snapshot", 200, run("one")), ("/v1/run/retry", 200, json!({"documents": 3}))]);
    let service = Service::start(answers);
    let mut remote = service.watch();
    let stage = || "a/b?".to_owned();
    let item = SourceItem { uri: "file:///a".into(), ..SourceItem::default() };
    let (you, why) = (|| "you".to_owned(), || "queue full".to_owned());
    let note = Command::Note { kind: EventKind::Note, stage: stage(), by: you(), text: "look".into() };
    let retry = Command::Retry { documents: vec![("files".into(), item)] };
    let told = [
        (
            Command::SetWidth { stage: stage(), width: 8, by: you(), why: why() },
            "PATCH",
            ways[0],
            json!({"width": 8, "by": "you", "why": "queue full"}),
        ),
        (Command::HandOver { stage: stage(), by: you() }, "PATCH", ways[0], json!({"auto": true, "by": "you"})),
        (Command::Pause, "POST", ways[1], Value::Null),
        (Command::Resume, "POST", ways[2], Value::Null),
        (Command::Drain, "POST", ways[3], Value::Null),
        (Command::Stop, "POST", ways[4], json!(Command::Stop)),
        (note.clone(), "POST", ways[4], json!(note)),
        (retry.clone(), "POST", ways[4], json!(retry)),
    ];
    for (command, method, path, body) in told {
        remote.send(command).expect("it is taken");
        let key = Some("Bearer sesame".to_owned());
        assert_eq!(service.asked(), [Asked { method: method.into(), path: path.into(), key, body }]);
    }
    assert_eq!(remote.retry_failed("parse"), Ok(3));
    assert_eq!(service.asked()[0].body, json!({"stage": "parse"}));
}

#[test]
fn what_needs_the_file_is_refused_without_asking() {
    let service = Service::start(vec![("/v1/snapshot", 200, run("one"))]);
    let mut remote = service.watch();
    let refused = remote.propose(&[("parse".into(), 3)]).expect_err("the file is elsewhere");
    assert_eq!(refused, "the pipeline's file is where the service runs: write the widths there");
    assert_eq!(remote.write(&FileChange::default()), Err(refused));
    assert_eq!(service.asked(), []);
}

#[test]
fn a_service_that_refuses_says_why_and_nothing_that_a_terminal_obeys() {
    let problem = |detail: &str| json!({"type": "about:blank", "title": "Conflict", "status": 409, "detail": detail});
    let service = Service::start(vec![
        ("/v1/snapshot", 200, run("one")),
        ("/v1/run/pause", 409, problem("a\u{1b}[31mb\nc")),
        ("/v1/run/resume", 403, problem("it only looks")),
        ("/v1/run/drain", 500, json!("<html>")),
        ("/v1/run/retry", 200, json!({})),
    ]);
    let mut remote = service.watch();
    let mut told = |command| remote.send(command).expect_err("it is refused");
    assert_eq!(told(Command::Pause), "the service refuses: a\u{fffd}[31mb c");
    assert_eq!(told(Command::Resume), "the service does not let this key do that: it only looks");
    assert_eq!(told(Command::Drain), "the service refuses: 500 Internal Server Error");
    assert_eq!(told(Command::Stop), "the service refuses: Not Found");
    assert!(remote.retry_failed("parse").is_err_and(|error| error.contains("how many")));
}

#[test]
fn who_cannot_be_watched_is_told_why_and_what_to_do() {
    let problem = |status| ("/v1/snapshot", status, json!({"detail": "not for you"}));
    let service = Service::start(vec![problem(401)]);
    let without = service.refusal(None);
    assert!(without.contains("wants a key") && without.contains("hint: set `DOCMILL_API_KEY`"), "{without}");
    let with = service.refusal(Some("sesame"));
    assert!(with.contains("does not know the key") && !with.contains("sesame"), "{with}");
    service.answers(vec![problem(403)]);
    let bound = service.refusal(Some("sesame"));
    assert!(bound.contains("not for you") && bound.contains("bound to a user"), "{bound}");
    for other in [json!({}), json!({"version": VERSION + 1}), json!("<html>"), json!([])] {
        service.answers(vec![("/v1/snapshot", 200, other)]);
        let refused = service.refusal(None);
        assert!(refused.contains("no run as this version of docmill knows it"), "{refused}");
    }
    service.answers(Vec::new());
    assert!(service.refusal(None).contains("Not Found"));
    let wrong = service.refusal(Some("open\nsesame"));
    assert!(wrong.contains("DOCMILL_API_KEY") && !wrong.contains("sesame"), "{wrong}");
    let url = service.url();
    drop(service);
    let gone = Remote::watch(&url, None).map(drop).expect_err("nobody is there");
    assert!(gone.contains("is `docmill serve` running there"), "{gone}");
}

#[test]
fn a_key_goes_nowhere_that_an_answer_points_to() {
    let other = Service::start(vec![("/caught", 200, run("one"))]);
    let place = format!("http://{}/caught", other.address);
    let service = Service::start(vec![("/v1/snapshot", 307, json!(place))]);
    let refused = service.refusal(Some("sesame"));
    assert!(refused.contains("307 Temporary Redirect"), "{refused}");
    assert_eq!(other.asked(), []);
}

#[test]
fn what_has_no_end_is_not_waited_for() {
    let event_loop = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a loop");
    event_loop.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = address(&format!("http://{}/below/", listener.local_addr().expect("bound"))).expect("an address");
        let endless = || async {
            let pieces = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 1 << 20]));
            Body::from_stream(pieces)
        };
        let silent = || async { std::future::pending::<String>().await };
        let router = axum::Router::new()
            .route("/below/endless", axum::routing::get(endless))
            .route("/below/silent", axum::routing::get(silent));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let ask = |path: &'static str, patience| {
            let client = Client::new(&base, None, patience).expect("a client");
            async move { client.ask(Method::GET, &[path], None).await.expect_err("it never ends") }
        };
        assert_eq!(ask("endless", LONG).await, Failure::Silent("the answer is larger than 16 MiB".into()));
        let silent = ask("silent", Duration::from_millis(20)).await;
        assert_eq!(silent, Failure::Silent("no answer in time".into()));
    });
}

#[test]
fn an_address_is_one_of_the_web_and_holds_no_secret() {
    for right in ["http://127.0.0.1:8080", "https://mill.example/below", "http://[::1]:8080/"] {
        assert!(address(right).is_ok(), "{right}");
    }
    for wrong in ["localhost:8080", "mill", "", "ftp://mill.example", "http://", "http://m/?key=1", "http://m/#a"] {
        assert!(address(wrong).is_err_and(|message| message.contains("hint: write it as")), "{wrong}");
    }
    for secret in ["http://me:sesame@mill.example", "http://sesame@mill.example", "sesame@mill.example"] {
        let message = address(secret).expect_err(secret);
        assert!(!message.contains("sesame"), "{message}");
    }
    let open = |text| is_open(&address(text).expect("an address"));
    assert!(open("http://mill.example") && !open("https://mill.example") && !open("http://localhost:1"));
}
