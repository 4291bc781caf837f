//! A client that dials what its [`Guard`] lets it dial, and a request that follows redirects past the same guard.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Client, ClientBuilder, Response};
use tokio::sync::OnceCell;
use url::Url;

use crate::guard::{Guard, Refused};
use crate::resolver::Resolver;

/// How programs that nobody configured introduce themselves.
pub const USER_AGENT: &str = concat!("docmill/", env!("CARGO_PKG_VERSION"));

/// How long name, connection and handshake may take together: what takes longer is down, not slow.
pub const CONNECT: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub enum FetchError {
    /// It was decided so, here or by the redirect that the server sent: another attempt ends the same way.
    Refused(String),
    /// The network failed, which may be better next time.
    Failed(String),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(message) | Self::Failed(message) => f.write_str(message),
        }
    }
}

impl Error for FetchError {}

impl From<Refused> for FetchError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused.0)
    }
}

impl From<reqwest::Error> for FetchError {
    /// Says what happened without the address, which may carry a signature.
    fn from(error: reqwest::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(inner) = cause {
            if let Some(refused) = inner.downcast_ref::<Refused>() {
                return Self::Refused(refused.to_string());
            }
            cause = inner.source();
        }
        let what = if error.is_timeout() {
            "timed out"
        } else if error.is_connect() {
            "cannot connect"
        } else {
            "the connection broke"
        };
        Self::Failed(format!("{what}: {}", chain(&error.without_url())))
    }
}

/// A client whose names are resolved past the guard. It follows no redirect by itself, since a client checks none of
/// the literal addresses that a redirect may name: [`follow`] does. No proxy is used, which would resolve names itself.
///
/// # Errors
/// The system has no roots of trust, or the name of the program is no header.
pub fn client(guard: &Arc<Guard>, user_agent: &str) -> Result<Client, String> {
    let guarded = builder(user_agent).dns_resolver(Arc::new(Resolver::new(Arc::clone(guard))));
    guarded.build().map_err(|error| format!("no HTTP client: {}", chain(&error)))
}

/// What is made when it is first asked for. A client reads the system's roots of trust, some milliseconds that whoever asks nobody
/// need not wait.
pub struct Late<T> {
    made: OnceCell<T>,
    make: Arc<dyn Fn() -> Result<T, String> + Send + Sync>,
}

impl<T: Send + Sync + 'static> Late<T> {
    /// What `make` makes.
    pub fn new(make: impl Fn() -> Result<T, String> + Send + Sync + 'static) -> Self {
        Self { made: OnceCell::new(), make: Arc::new(make) }
    }

    /// It, made off the event loop if it is not there yet.
    ///
    /// # Errors
    /// Those of making it; the next call tries again.
    pub async fn get(&self) -> Result<&T, String> {
        let make = || async {
            let make = Arc::clone(&self.make);
            tokio::task::spawn_blocking(move || make()).await.map_err(|error| error.to_string())?
        };
        self.made.get_or_try_init(make).await
    }
}

/// The same client before it has a guard: for addresses that the operator set.
pub fn builder(user_agent: &str) -> ClientBuilder {
    Client::builder()
        .user_agent(user_agent)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT)
}

/// Asks an address, and the addresses that it is redirected to, each of which passes the guard first. Gives the answer
/// of the last, whatever its status but a redirect, with its body unread, and the address that gave it.
///
/// It sends no credentials, so there are none to take away where a redirect leads to another host: the guard refuses an
/// address with a user name, nothing else sets any, and cookies are not kept. It sets no limit of time: the caller does,
/// around this and the reading of the body.
///
/// # Errors
/// See [`FetchError`].
pub async fn follow(client: &Client, guard: &Guard, url: Url, redirects: u32) -> Result<(Response, Url), FetchError> {
    follow_with(client, guard, url, redirects, &HeaderMap::new()).await
}

/// The same, with these headers in every request: no credentials, since they go wherever a redirect leads.
///
/// # Errors
/// See [`FetchError`].
pub async fn follow_with(
    client: &Client,
    guard: &Guard,
    mut url: Url,
    redirects: u32,
    headers: &HeaderMap,
) -> Result<(Response, Url), FetchError> {
    for _ in 0..=redirects {
        guard.check(&url)?;
        let response = client.get(url.clone()).headers(headers.clone()).send().await?;
        // The resolver has seen to it; should a client ever dial past it, nothing of the answer is read.
        if let Some(peer) = response.remote_addr() {
            guard.address(peer.ip(), url.host_str())?;
        }
        match redirect(&response, &url)? {
            Some(next) => url = next,
            None => return Ok((response, url)),
        }
    }
    Err(FetchError::Refused(format!("more than {redirects} redirects")))
}

/// Where the answer points, for the statuses that mean a GET elsewhere.
fn redirect(response: &Response, from: &Url) -> Result<Option<Url>, FetchError> {
    let status = response.status();
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(&LOCATION).and_then(|value| value.to_str().ok()) else {
        return Err(FetchError::Refused(format!("answered {status} without saying where to")));
    };
    from.join(location)
        .map(Some)
        .map_err(|error| FetchError::Refused(format!("was redirected to what is no address: {error}")))
}

/// An error with its causes, each once.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let message = inner.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::guard::Allow;

    /// Answers `/` with a redirect to what is given, `/loop` with one to itself, all else with a word.
    async fn server(to: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                let redirect = |to: &str| format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n");
                let answer = match String::from_utf8_lossy(&head).split(' ').nth(1) {
                    Some("/") => redirect(to),
                    Some("/loop") => redirect("/loop"),
                    _ => "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n".to_owned(),
                };
                let _ = stream.write_all(format!("{answer}Connection: close\r\n\r\nzorblax").as_bytes()).await;
            }
        });
        address
    }

    async fn get(allowed: &[&str], url: String, redirects: u32) -> Result<(Response, Url), FetchError> {
        let cidrs = allowed.iter().map(|block| (*block).to_owned()).collect();
        let guard = Arc::new(Guard::new(&Allow { cidrs, ..Allow::default() }, "").unwrap());
        let client = client(&guard, USER_AGENT).unwrap();
        follow(&client, &guard, Url::parse(&url).unwrap(), redirects).await
    }

    #[tokio::test]
    async fn a_redirect_is_followed_and_the_last_address_told() {
        let address = server("/there").await;
        let (response, url) = get(&["127.0.0.0/8"], format!("http://{address}/"), 1).await.unwrap();
        assert_eq!((url.path(), response.text().await.unwrap().as_str()), ("/there", "zorblax"));
    }

    #[tokio::test]
    async fn what_the_guard_refuses_is_refused_at_first_by_name_and_after_a_redirect() {
        let refused = |answer: Result<(Response, Url), FetchError>| match answer {
            Err(FetchError::Refused(reason)) => reason,
            other => panic!("{other:?}"),
        };
        let address = server("http://127.9.9.9:1/").await;
        let private = "is private (loopback): allow it with `cidrs`";
        assert!(refused(get(&[], format!("http://{address}/"), 1).await).ends_with(private));
        let named = refused(get(&[], format!("http://localhost:{}/", address.port()), 1).await);
        assert!(named.contains("of `localhost`") && named.ends_with(private), "{named}");
        let redirected = refused(get(&["127.0.0.1"], format!("http://{address}/"), 1).await);
        assert!(redirected.contains("127.9.9.9") && redirected.ends_with(private), "{redirected}");
        let around = refused(get(&["127.0.0.1"], format!("http://{address}/loop"), 3).await);
        assert_eq!(around, "more than 3 redirects");
    }

    #[tokio::test]
    async fn a_server_that_is_down_has_failed_and_was_not_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let answer = get(&["127.0.0.1"], format!("http://{address}/secret?sig=x"), 1).await;
        let Err(FetchError::Failed(reason)) = answer else { panic!("{answer:?}") };
        assert!(reason.starts_with("cannot connect") && !reason.contains("secret"), "{reason}");
    }
}
