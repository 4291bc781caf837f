//! What is left of the addresses that a name resolves to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use docmill_net::{Guard, Refused, Resolver};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::{addresses, guard, rows};

/// A name server with one answer.
struct Fixed(Vec<IpAddr>);

impl Resolve for Fixed {
    fn resolve(&self, _: Name) -> Resolving {
        let sockets = self.0.clone().into_iter().map(|address| SocketAddr::new(address, 0));
        Box::pin(async { Ok(Box::new(sockets) as Addrs) })
    }
}

/// The addresses that a client would dial.
async fn dialled(guard: &Arc<Guard>, name: &str, answer: Vec<IpAddr>) -> Result<Vec<IpAddr>, String> {
    let resolver = Resolver::over(Arc::clone(guard), Arc::new(Fixed(answer)));
    match resolver.resolve(name.parse().unwrap()).await {
        Ok(found) => Ok(found.map(|socket| socket.ip()).collect()),
        Err(error) => Err(error.downcast::<Refused>().expect("refused, and nothing else").0),
    }
}

fn parsed(list: &str) -> Vec<IpAddr> {
    list.split_whitespace().map(|address| address.parse().unwrap()).collect()
}

#[tokio::test]
async fn every_name_of_the_table_leads_where_it_says() {
    let guard = guard(&[]);
    for [name, answer, expected, technique] in rows::<4>(include_str!("../ssrf_names.tsv")) {
        let url = Url::parse(&format!("http://{name}/")).unwrap();
        assert_eq!(guard.check(&url), Ok(()), "{name} ({technique}) is for a resolver");
        let found = dialled(&guard, &name, parsed(&answer)).await;
        match expected.as_str() {
            "refused" => {
                let reason = found.expect_err(&format!("{name} ({technique})"));
                assert!(reason.contains(&format!(" of `{name}` is private (")), "{reason}");
            }
            _ => assert_eq!(found, Ok(parsed(&expected)), "{name} ({technique})"),
        }
    }
}

/// A resolver may not let through what is refused where it is written, nor the other way about.
#[tokio::test]
async fn an_address_that_is_resolved_has_the_verdict_of_one_that_is_written() {
    let guard = guard(&[]);
    let mut compared = 0;
    for [url, expected, technique] in addresses() {
        let Ok(url) = Url::parse(&url) else { continue };
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            _ => continue,
        };
        // Those are refused for what else is in the address.
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() {
            continue;
        }
        let found = dialled(&guard, "name.example", vec![address]).await;
        assert_eq!(found.is_ok(), expected == "allowed", "{url} ({technique}): {found:?}");
        compared += 1;
    }
    assert!(compared > 200, "only {compared} were compared");
}
