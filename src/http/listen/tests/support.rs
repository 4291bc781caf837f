//! A service with handlers that a test holds, and a client that sends bytes as they stand.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use docmill_api::CancellationToken;
use futures::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::super::{Connections, Limits, drop_body, serve};

/// Limits that a test can wait for.
pub(super) fn short() -> Limits {
    Limits {
        connections: 64,
        spare: 4,
        header: Duration::from_millis(300),
        idle: Duration::from_millis(300),
        grace: Duration::from_millis(50),
        ..Limits::default()
    }
}

/// Limits under which nobody is too slow.
pub(super) fn patient() -> Limits {
    let long = Duration::from_secs(60);
    Limits { header: long, idle: long, grace: long, ..short() }
}

/// What happens in the handlers, and what they wait for.
pub(super) struct Held {
    /// A permit for every `/wait` that was reached, and every body that `/read` got.
    pub(super) reached: Semaphore,
    /// `/wait` answers for each permit.
    pub(super) go: Semaphore,
    /// A permit for every `/wait`, `/endless` and `/read` that is over, however it ended.
    pub(super) over: Semaphore,
}

struct Over(Arc<Held>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.over.add_permits(1);
    }
}

pub(super) async fn one(of: &Semaphore) {
    of.acquire().await.expect("it is never closed").forget();
}

/// A service under test. It is closed when it is dropped.
pub(super) struct Service {
    pub(super) address: SocketAddr,
    pub(super) connections: Arc<Connections>,
    pub(super) closing: CancellationToken,
    pub(super) held: Arc<Held>,
    pub(super) serving: JoinHandle<io::Result<()>>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn wait(State(held): State<Arc<Held>>) -> &'static str {
    let _over = Over(Arc::clone(&held));
    // Reached when it waits, and not a moment before: what a test does next is seen before the answer.
    futures::join!(one(&held.go), async { held.reached.add_permits(1) });
    "waited"
}

async fn read(State(held): State<Arc<Held>>, request: Request) -> Result<String, StatusCode> {
    let _over = Over(Arc::clone(&held));
    let mut frames = request.into_body().into_data_stream();
    let mut bytes = 0;
    while let Some(frame) = frames.next().await {
        bytes += frame.map_err(|_| StatusCode::BAD_REQUEST)?.len();
        held.reached.add_permits(1);
    }
    Ok(bytes.to_string())
}

async fn endless(State(held): State<Arc<Held>>) -> Response {
    let over = Over(held);
    let chunks = stream::repeat_with(move || {
        let _kept = &over;
        Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 4096]))
    });
    Body::from_stream(chunks).into_response()
}

async fn refuse() -> StatusCode {
    StatusCode::SERVICE_UNAVAILABLE
}

async fn refuse_and_drop(request: Request) -> StatusCode {
    drop_body(request.into_body()).await;
    StatusCode::SERVICE_UNAVAILABLE
}

pub(super) async fn service(limits: Limits) -> Service {
    service_with(limits, Duration::from_secs(60)).await
}

pub(super) async fn service_with(limits: Limits, drain: Duration) -> Service {
    let nothing = || Semaphore::new(0);
    let held = Arc::new(Held { reached: nothing(), go: nothing(), over: nothing() });
    let app = Router::new()
        .route("/health/live", get(|| async { "live" }))
        .route("/say/{words}", get(|Path(words): Path<String>| async move { words }))
        .route("/echo", post(|body: Bytes| async move { body.len().to_string() }))
        .route("/read", post(read))
        .route("/wait", get(wait))
        .route("/endless", get(endless))
        .route("/refuse", post(refuse))
        .route("/drop", post(refuse_and_drop))
        .layer(DefaultBodyLimit::max(64 << 10))
        .with_state(Arc::clone(&held));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("it is bound");
    let connections = Arc::<Connections>::default();
    let closing = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, app, limits, Arc::clone(&connections), closing.clone(), drain));
    Service { address, connections, closing, held, serving }
}

impl Service {
    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("it listens")
    }

    /// Sends bytes on a connection of their own, and reads until the service ends it.
    pub(super) async fn send(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_ref()).await.expect("it is taken");
        rest(&mut stream).await
    }

    /// The same, for a `GET`.
    pub(super) async fn get(&self, path: &str) -> String {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await
    }

    /// Waits until nobody is connected.
    pub(super) async fn is_empty(&self) {
        while self.connections.now() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Ends it, and says how many of its sockets are left in this process.
    pub(super) async fn end(mut self) -> usize {
        self.closing.cancel();
        (&mut self.serving).await.expect("no panic").expect("it served");
        sockets_at(self.address.port())
    }
}

/// What comes until the service ends the connection.
pub(super) async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset ends it as well; what came before is what counts.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One answer of those that a connection gives; its length must be told.
pub(super) async fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        text.push(char::from(stream.read_u8().await.expect("an answer")));
    }
    let told = text.to_ascii_lowercase();
    let length = told.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.expect("a whole answer");
    text + &String::from_utf8_lossy(&body)
}

pub(super) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

/// Sends the same bytes again and again, until nobody takes them.
pub(super) async fn drip(mut to: impl tokio::io::AsyncWrite + Unpin, bytes: &[u8], every: Duration) {
    let mut beat = tokio::time::interval(every);
    while to.write_all(bytes).await.is_ok() {
        beat.tick().await;
    }
}

/// Sockets of this process whose own port this is, the listener's included.
pub(super) fn sockets_at(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap_or_default();
    let suffix = format!(":{port:04X}");
    let at_port = |line: &str| {
        let mut fields = line.split_whitespace();
        fields.nth(1).is_some_and(|local| local.ends_with(&suffix)).then(|| fields.nth(7).map(str::to_owned)).flatten()
    };
    let there: Vec<String> = table.lines().filter_map(at_port).map(|inode| format!("socket:[{inode}]")).collect();
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let links = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    links.filter(|link| there.iter().any(|socket| link.as_os_str() == socket.as_str())).count()
}
