//! The servers that a pipeline names: whether they can be connected to. Nothing is sent to them.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use url::Url;

use super::Finding;
use crate::plan::Plan;

/// How long a server has for its connection, its name included.
const PATIENCE: Duration = Duration::from_secs(2);

/// The fields that name a server which a stage cannot do without.
const FIELDS: [&str; 3] = ["base_url", "endpoint", "proxy"];

/// Far more than any pipeline has.
const MOST: usize = 64;

/// A server, and the field that first names it.
#[derive(Debug, PartialEq)]
struct Server {
    field: String,
    host: String,
    port: u16,
}

/// Connects to all servers at once.
pub(super) fn reached(plan: &Plan) -> Vec<Finding> {
    let mut servers = Vec::new();
    for stage in &plan.stages {
        named(&stage.config, &format!("stages.{}", stage.id), &mut servers);
    }
    probe(servers)
}

fn probe(servers: Vec<Server>) -> Vec<Finding> {
    let until = Instant::now() + PATIENCE;
    let asked: Vec<_> = servers
        .into_iter()
        .map(|server| {
            let (tell, told) = mpsc::channel();
            let (host, port) = (server.host.clone(), server.port);
            // A name that is never resolved holds its thread; the command ends without it.
            let started = thread::Builder::new().spawn(move || tell.send(connect(&host, port, until)));
            (server, started.map(|_| told))
        })
        .collect();
    asked
        .into_iter()
        .map(|(server, told)| {
            let left = until.saturating_duration_since(Instant::now());
            let answer = told.map_err(|error| error.to_string()).and_then(|told| {
                told.recv_timeout(left).unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
            });
            finding(&server, answer)
        })
        .collect()
}

fn finding(server: &Server, answer: Result<(), String>) -> Finding {
    let Server { field, host, port } = server;
    let (id, reached) = (format!("endpoint.{host}:{port}"), answer.is_ok());
    let finding = match answer {
        Ok(()) => Finding::ok(id, format!("`{host}:{port}` can be connected to ({field})")),
        Err(why) => Finding::error(id, format!("`{host}:{port}` cannot be connected to ({field}): {why}"))
            .mend(format!("start the server, or change it: --set {field}=…")),
    };
    finding.value("host", host.as_str()).value("port", *port).value("field", field.as_str()).value("reached", reached)
}

fn connect(host: &str, port: u16, until: Instant) -> Result<(), String> {
    let addresses = (host, port).to_socket_addrs().map_err(|error| error.to_string())?;
    let mut last = "its name has no address".to_owned();
    for address in addresses {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(_) => return Ok(()),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

fn named(config: &Value, path: &str, found: &mut Vec<Server>) {
    match config {
        Value::Object(table) => {
            for (key, value) in table {
                let path = format!("{path}.{key}");
                match value.as_str().filter(|_| FIELDS.contains(&key.as_str())) {
                    Some(address) => found.extend(server(address, &path).filter(|_| found.len() < MOST)),
                    None => named(value, &path, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| named(item, path, found)),
        _ => {}
    }
    let mut seen = Vec::new();
    found.retain(|server| {
        let first = !seen.contains(&(server.host.clone(), server.port));
        seen.push((server.host.clone(), server.port));
        first
    });
}

/// Where an address leads; its user, password, path and query stay out of what is printed.
fn server(address: &str, field: &str) -> Option<Server> {
    let url = Url::parse(address).ok()?;
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some(Server { field: field.to_owned(), host, port: url.port_or_known_default()? })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use serde_json::json;

    use super::super::State;
    use super::*;

    #[test]
    fn servers_are_found_once_each_and_without_their_secrets() {
        let mut found = Vec::new();
        let config = json!({
            "base_url": "https://user:pass@models.example/v1?key=x", "uri": "http://not.this", "proxy": "",
            "more": { "endpoint": "http://[::1]:9000", "base_url": "https://models.example/v2" },
        });
        named(&config, "stages.embed", &mut found);
        let found: Vec<String> = found.iter().map(|one| format!("{} {} {}", one.field, one.host, one.port)).collect();
        assert_eq!(found, ["stages.embed.base_url models.example 443", "stages.embed.more.endpoint ::1 9000"]);
    }

    #[test]
    fn a_server_that_listens_is_reached_and_one_that_does_not_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let server = |port| Server { field: "stages.embed.base_url".into(), host: "127.0.0.1".into(), port };
        assert_eq!(probe(vec![server(port)])[0].state, State::Ok);
        drop(listener);
        let refused = &probe(vec![server(port)])[0];
        assert_eq!(refused.state, State::Error);
        assert!(refused.mend.as_deref().is_some_and(|mend| mend.contains("stages.embed.base_url")), "{refused:?}");
    }
}
