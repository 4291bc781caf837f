//! Redirects: every kind, from a server that is allowed, to all that is not.

use std::net::Ipv4Addr;
use std::sync::Arc;

use docmill_net::{FetchError, Guard, USER_AGENT, client, follow};
use reqwest::Client;
use url::Url;

use super::guard;
use super::server::{Server, Trap, page, redirect};

/// The statuses that mean a GET elsewhere.
const KINDS: [&str; 5] = ["301", "302", "303", "307", "308"];

const OTHER: Ipv4Addr = Ipv4Addr::new(127, 9, 9, 9);

/// A guard that allows these, and its client.
fn guarded(cidrs: &[&str]) -> (Arc<Guard>, Client) {
    let guard = guard(cidrs);
    let client = client(&guard, USER_AGENT).unwrap();
    (guard, client)
}

/// The status and body of the last answer.
async fn get((guard, client): &(Arc<Guard>, Client), url: &str) -> Result<(u16, String), FetchError> {
    let (response, _) = follow(client, guard, Url::parse(url).unwrap(), 3).await?;
    Ok((response.status().as_u16(), response.text().await?))
}

/// Ways to write the address of the other server, and to lead elsewhere than to a web server.
fn refused(port: u16) -> Vec<String> {
    let number = u32::from(OTHER);
    let [a, b, c, d] = OTHER.octets();
    vec![
        format!("http://{OTHER}:{port}/"),
        format!("HTTP://{OTHER}:{port}/"),
        format!("http://{number}:{port}/"),
        format!("http://{number:#x}:{port}/"),
        format!("http://0{number:o}:{port}/"),
        format!("http://{a:#x}.{b}.0{c:o}.{d}:{port}/"),
        format!("http://127.592137:{port}/"),
        format!("http://{OTHER}.:{port}/"),
        format!("http://127%2E9%2E9%2E9:{port}/"),
        format!("http://127%E3%80%829%E3%80%829%E3%80%829:{port}/"),
        format!("http://[::ffff:{OTHER}]:{port}/"),
        format!("http://[::{OTHER}]:{port}/"),
        format!("http://[64:ff9b::{OTHER}]:{port}/"),
        format!("http://good.example@{OTHER}:{port}/"),
        format!("http://good.example:80@{OTHER}:{port}/"),
        format!("http://{OTHER}:{port}\\@127.0.0.1/"),
        format!("http://{OTHER}:{port}#@127.0.0.1/"),
        format!("//{OTHER}:{port}/"),
        format!("//good.example@{OTHER}:{port}/"),
        format!("\\\\{OTHER}:{port}\\"),
        format!("/\\{OTHER}:{port}/"),
        format!("/\t/{OTHER}:{port}/"),
        format!("https://{OTHER}:{port}/"),
        format!("gopher://{OTHER}:{port}/_x"),
        format!("ftp://{OTHER}:{port}/"),
        format!("ws://{OTHER}:{port}/"),
        format!("view-source:http://{OTHER}:{port}/"),
        "http://127。9。9。9/".to_owned(),
        "http://256.256.256.256/".to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[::1]/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "file:/etc/passwd".to_owned(),
        "data:text/plain,zorblax".to_owned(),
        "javascript:alert(1)".to_owned(),
    ]
}

/// Answers `/STATUS/NUMBER` with a redirect of that status to the target of that number, all else with a page.
async fn redirecting(targets: &[String]) -> Server {
    let targets = targets.to_vec();
    Server::start("127.0.0.1:0", move |path| {
        let mut parts = path.split('/').skip(1);
        let status = parts.next().unwrap_or_default();
        let target = parts.next().and_then(|number| targets.get(number.parse::<usize>().ok()?));
        target.map_or_else(|| page(""), |to| redirect(status, to))
    })
    .await
}

#[tokio::test]
async fn no_kind_of_redirect_leads_to_what_is_refused() {
    let trap = Trap::start((OTHER, 0)).await;
    let targets = refused(trap.address.port());
    let server = redirecting(&targets).await;
    let client = guarded(&["127.0.0.1/32"]);
    for kind in KINDS {
        for (number, target) in targets.iter().enumerate() {
            let answer = get(&client, &server.url(&format!("/{kind}/{number}"))).await;
            assert!(matches!(answer, Err(FetchError::Refused(_))), "{kind} to {target}: {answer:?}");
        }
    }
    assert_eq!(server.heads().len(), KINDS.len() * targets.len(), "one request for each, none for where it led");
    assert_eq!(trap.dialled().await, 0);
}

#[tokio::test]
async fn every_hop_is_checked_and_not_the_first_alone() {
    let trap = Trap::start((OTHER, 0)).await;
    let server = redirecting(&["/302/1".into(), "/307/2".into(), format!("http://{}/", trap.address)]).await;
    let answer = get(&guarded(&["127.0.0.1/32"]), &server.url("/301/0")).await;
    let Err(FetchError::Refused(reason)) = answer else { panic!("{answer:?}") };
    assert!(reason.contains("address 127.9.9.9 is private"), "{reason}");
    assert_eq!((server.heads().len(), trap.dialled().await), (3, 0));
}

#[tokio::test]
async fn a_redirect_that_stays_where_it_may_is_followed() {
    let trap = Trap::start((OTHER, 0)).await;
    let targets: Vec<String> = [
        "/fine",
        "fine",
        "../fine",
        "?fine",
        "/%2e%2e/fine",
        "//127.0.0.1:{port}/fine",
        "http://2130706433:{port}/fine",
        // A backslash is a slash, so the other address is of the path.
        "http://127.0.0.1:{port}\\@127.9.9.9/",
        "/?http://127.9.9.9/",
        "/#@127.9.9.9/",
    ]
    .map(str::to_owned)
    .into();
    let server = redirecting(&targets).await;
    let client = guarded(&["127.0.0.1/32"]);
    for kind in KINDS {
        for (number, target) in targets.iter().enumerate() {
            let answer = get(&client, &server.url(&format!("/{kind}/{number}"))).await;
            assert_eq!(answer, Ok((200, "zorblax".to_owned())), "{kind} to {target}");
        }
    }
    assert_eq!(trap.dialled().await, 0);
}

/// No request carries credentials, so there are none to take away where a redirect leads to another host; nor is that
/// host told where the request comes from.
#[tokio::test]
async fn an_allowed_other_host_is_asked_and_told_nothing_of_the_first() {
    let other = Server::start((OTHER, 0), |_| page("")).await;
    let server = redirecting(&[other.url("/there")]).await;
    let client = guarded(&["127.0.0.1/32", "127.9.9.9/32"]);
    for kind in KINDS {
        assert_eq!(get(&client, &server.url(&format!("/{kind}/0/secret"))).await, Ok((200, "zorblax".to_owned())));
    }
    assert_eq!((server.heads().len(), other.heads().len()), (5, 5));
    for head in other.heads() {
        assert!(head.starts_with("GET /there HTTP/1.1\r\n"), "{head}");
        let head = head.to_ascii_lowercase();
        for header in ["authorization:", "cookie:", "referer:", "origin:", "secret"] {
            assert!(!head.contains(header), "{head}");
        }
    }
}

#[tokio::test]
async fn what_is_no_redirect_is_not_followed() {
    let trap = Trap::start((OTHER, 0)).await;
    let there = format!("http://{}/", trap.address);
    let headers = format!(
        "Location: {there}\r\nContent-Location: {there}\r\nRefresh: 0; url={there}\r\nLink: <{there}>; rel=preload\r\n\
         Alt-Svc: h2=\"{}\", http/1.1=\"{}\"\r\n",
        trap.address, trap.address
    );
    let server = Server::start("127.0.0.1:0", move |path| match path.trim_start_matches('/') {
        "" => page(&headers),
        status => redirect(status, &there),
    })
    .await;
    let client = guarded(&["127.0.0.1/32"]);
    for status in [201, 300, 304, 305, 306, 309, 399] {
        assert_eq!(get(&client, &server.url(&format!("/{status}"))).await, Ok((status, String::new())));
    }
    // Twice, since a client might remember what it was told the first time.
    for _ in 0..2 {
        assert_eq!(get(&client, &server.url("/")).await, Ok((200, "zorblax".to_owned())));
    }
    assert_eq!((server.heads().len(), trap.dialled().await), (9, 0));
}
