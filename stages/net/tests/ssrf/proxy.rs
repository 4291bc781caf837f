//! Proxies that the environment names. A proxy resolves names itself, past the guard, so none is asked.
//!
//! Variables belong to a whole process, so this binary is started once more, with them set, to do the fetching.

use std::process::Stdio;

use docmill_net::{USER_AGENT, client, follow};
use tokio::process::Command;
use url::Url;

use super::guard;
use super::server::{Server, Trap, page};

/// What the child is to fetch, with spaces between.
const ADDRESSES: &str = "DOCMILL_TEST_ADDRESSES";
/// Set where the child's client is to be one that looks for proxies, to see that there is one to be found.
const PLAIN: &str = "DOCMILL_TEST_PLAIN";

const PROXIES: [&str; 6] = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

async fn run_child(proxy: &Trap, addresses: &str, is_plain: bool) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "proxy::child", "--ignored"]).env(ADDRESSES, addresses);
    // What may be set where the test runs, and would change what a client makes of the rest.
    for name in ["NO_PROXY", "no_proxy", "REQUEST_METHOD", PLAIN] {
        child.env_remove(name);
    }
    for name in PROXIES {
        child.env(name, format!("http://{}", proxy.address));
    }
    if is_plain {
        child.env(PLAIN, "1");
    }
    let done = child.stdin(Stdio::null()).output().await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}

#[tokio::test]
#[ignore = "runs as a child of the test below, which sets its variables"]
async fn child() {
    let Ok(addresses) = std::env::var(ADDRESSES) else { return };
    let guard = guard(&["127.0.0.0/8", "::1"]);
    for address in addresses.split(' ') {
        // Whether there is an answer is for the servers to say, who count.
        if std::env::var_os(PLAIN).is_some() {
            let _ = reqwest::get(address).await;
        } else {
            let client = client(&guard, USER_AGENT).unwrap();
            let _ = follow(&client, &guard, Url::parse(address).unwrap(), 0).await;
        }
    }
}

#[tokio::test]
async fn proxies_in_the_environment_are_not_asked() {
    let server = Server::start("127.0.0.1:0", |_| page("")).await;
    let tls = Trap::start("127.0.0.1:0").await;
    let port = server.address.port();
    let addresses = format!("{} http://localhost:{port}/ https://{}/", server.url("/"), tls.address);

    let proxy = Trap::start("127.0.0.1:0").await;
    run_child(&proxy, &addresses, false).await;
    assert_eq!(proxy.dialled().await, 0);
    assert_eq!((server.heads().len(), tls.dialled().await), (2, 1), "all were dialled without it");

    let found = Trap::start("127.0.0.1:0").await;
    run_child(&found, &addresses, true).await;
    assert_eq!(found.dialled().await, 3, "a client that is not told otherwise asks it for each");
    assert_eq!(server.heads().len(), 2);
}
