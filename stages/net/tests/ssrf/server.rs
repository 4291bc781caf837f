//! Servers on loopback: one that answers and notes what it was asked, one that nobody is to come to.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::task::JoinHandle;

/// Runs until dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers each request with what is made of its path, and closes; `{port}` in an answer is the server's own.
    pub(crate) async fn start(at: impl ToSocketAddrs, answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let reply = answer(head.split(' ').nth(1).unwrap_or_default());
                let reply = reply.replace("{port}", &address.port().to_string());
                seen.lock().unwrap().push(head);
                // A client that has seen enough hangs up: no matter here.
                let _ = stream.write_all(reply.as_bytes()).await;
            }
        });
        Self { address, heads, task }
    }

    /// The head of every request.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A good answer; `headers` each end in a line end.
pub(crate) fn page(headers: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n{headers}\r\nzorblax")
}

pub(crate) fn redirect(status: &str, to: &str) -> String {
    format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

/// A server that nobody is to come to: it hangs up on whoever does, so that a broken guard fails a test and hangs none.
pub(crate) struct Trap {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Trap {
    pub(crate) async fn start(at: impl ToSocketAddrs) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { address, accepted, task }
    }

    /// How many came. Asks by coming last: connections are accepted in their order, so all before were counted, and a
    /// trap that does not work is found out.
    pub(crate) async fn dialled(self) -> usize {
        let mut own = TcpStream::connect(self.address).await.unwrap();
        assert_eq!(own.read(&mut [0]).await.unwrap_or_default(), 0);
        self.accepted.load(Ordering::SeqCst) - 1
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.task.abort();
    }
}
