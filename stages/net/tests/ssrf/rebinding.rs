//! Names whose answer changes, and names with several: only what was judged is dialled.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use docmill_net::{FetchError, Guard, Resolver, USER_AGENT, builder, follow};
use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::TcpSocket;
use url::Url;

use super::guard;
use super::server::{Server, Trap, page, redirect};

const ALLOWED: &str = "127.0.0.1";
const REFUSED: &str = "127.9.9.8";

/// A name server that gives its answers in turn, each once, whatever the name.
struct Script(Mutex<VecDeque<Vec<IpAddr>>>);

impl Script {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let addresses = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        Arc::new(Self(Mutex::new(answers.iter().map(addresses).collect())))
    }

    fn left(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Resolve for Script {
    fn resolve(&self, _: Name) -> Resolving {
        let answer = self.0.lock().unwrap().pop_front().expect("asked more often than there are answers");
        Box::pin(async { Ok(Box::new(answer.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs) })
    }
}

/// A guard that allows the one address, and a client that resolves names through it by the script.
fn guarded(script: &Arc<Script>) -> (Arc<Guard>, Client) {
    let guard = guard(&[ALLOWED]);
    let resolver = Resolver::over(Arc::clone(&guard), Arc::clone(script) as Arc<dyn Resolve>);
    (guard, builder(USER_AGENT).dns_resolver(Arc::new(resolver)).build().unwrap())
}

async fn get((guard, client): &(Arc<Guard>, Client), url: &str) -> Result<String, FetchError> {
    let (response, _) = follow(client, guard, Url::parse(url).unwrap(), 3).await?;
    Ok(response.text().await?)
}

fn assert_refused(answer: Result<String, FetchError>) {
    let Err(FetchError::Refused(reason)) = answer else { panic!("{answer:?}") };
    assert!(reason.contains("address 127.9.9.8 of `") && reason.contains("is private (loopback)"), "{reason}");
}

/// A server that is allowed, and on its port at another address one that is not.
async fn pair(answer: impl Fn(&str) -> String + Send + 'static) -> (Server, Trap, String) {
    let server = Server::start((ALLOWED, 0), answer).await;
    let port = server.address.port();
    (server, Trap::start((REFUSED, port)).await, format!("http://rebind.example:{port}/"))
}

#[tokio::test]
async fn a_name_that_turns_private_gains_nothing() {
    let (server, trap, url) = pair(|_| page("")).await;
    let script = Script::new(&[&[ALLOWED], &[REFUSED], &[ALLOWED]]);
    let client = guarded(&script);
    assert_eq!(get(&client, &url).await, Ok("zorblax".into()));
    assert_eq!(script.left(), 2, "one look-up for check and dial together: there is nothing in between");
    assert_refused(get(&client, &url).await);
    assert_eq!(get(&client, &url).await, Ok("zorblax".into()), "and is judged anew each time");
    assert_eq!((server.heads().len(), script.left(), trap.dialled().await), (2, 0, 0));
}

#[tokio::test]
async fn a_name_that_turns_private_on_a_redirect_to_itself_gains_nothing() {
    let (server, trap, url) = pair(|path| if path == "/" { redirect("302", "/again") } else { page("") }).await;
    let script = Script::new(&[&[ALLOWED], &[REFUSED]]);
    assert_refused(get(&guarded(&script), &url).await);
    assert_eq!((server.heads().len(), script.left(), trap.dialled().await), (1, 0, 0));
}

#[tokio::test]
async fn of_several_addresses_only_those_that_may_be_are_dialled() {
    let (server, trap, url) = pair(|_| page("")).await;
    let mixed: [&[&str]; 4] = [
        &[REFUSED, ALLOWED],
        &[ALLOWED, REFUSED],
        &["::ffff:127.9.9.8", REFUSED, ALLOWED, "::1"],
        &["fe80::1", "169.254.169.254", "0.0.0.0", "::ffff:127.0.0.1"],
    ];
    let script = Script::new(&mixed);
    let client = guarded(&script);
    for addresses in mixed {
        assert_eq!(get(&client, &url).await, Ok("zorblax".into()), "{addresses:?}");
    }
    assert_eq!((server.heads().len(), script.left(), trap.dialled().await), (4, 0, 0));
}

#[tokio::test]
async fn where_the_allowed_address_is_down_no_other_is_tried() {
    // Bound and not listening, so that nothing else comes to listen there.
    let down = TcpSocket::new_v4().unwrap();
    down.bind((ALLOWED.parse::<IpAddr>().unwrap(), 0).into()).unwrap();
    let port = down.local_addr().unwrap().port();
    let trap = Trap::start((REFUSED, port)).await;
    let script = Script::new(&[&[ALLOWED, REFUSED], &[]]);
    let client = guarded(&script);
    for addresses in ["one that is down", "none"] {
        let answer = get(&client, &format!("http://rebind.example:{port}/")).await;
        assert!(matches!(answer, Err(FetchError::Failed(_))), "{addresses}: {answer:?}");
    }
    assert_eq!((script.left(), trap.dialled().await), (0, 0));
}

#[tokio::test]
async fn names_that_pass_the_check_are_refused_by_what_they_resolve_to() {
    let (server, trap, url) = pair(|_| page("")).await;
    let names = ["localhost.", "LOCALHOST", "metadata.google.internal.", "127.9.9.8..", "127.9.9.8.nip.io"];
    let answer: &[&str] = &[REFUSED, "::1", "169.254.169.254"];
    let script = Script::new(&names.map(|_| answer));
    let client = guarded(&script);
    for name in names {
        let url = url.replace("rebind.example", name);
        assert_eq!(client.0.check(&Url::parse(&url).unwrap()), Ok(()), "{name}");
        assert_refused(get(&client, &url).await);
    }
    assert_eq!((server.heads().len(), script.left(), trap.dialled().await), (0, 0, 0));
}

/// The second line: a client that somebody built without the resolver dials, and what it got is not read.
#[tokio::test]
async fn an_answer_from_an_address_that_nobody_judged_is_refused() {
    let server = Server::start((REFUSED, 0), |_| page("")).await;
    let script = Script::new(&[&[REFUSED]]);
    let client = builder(USER_AGENT).dns_resolver(script).build().unwrap();
    let url = format!("http://rebind.example:{}/", server.address.port());
    assert_refused(get(&(guard(&[ALLOWED]), client), &url).await);
    assert_eq!(server.heads().len(), 1);
}
