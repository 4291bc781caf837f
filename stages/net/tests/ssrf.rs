//! Proves that a guarded fetch reaches no address that is not public, however that address is written, named or led to:
//! the table `ssrf.tsv` for what is written, `ssrf_names.tsv` for what a name resolves to, real servers on loopback for
//! redirects, for names whose answer changes and for proxies. A case is added to a table, not here.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "ssrf/names.rs"]
mod names;
#[path = "ssrf/proxy.rs"]
mod proxy;
#[path = "ssrf/server.rs"]
mod server;
// Two servers on one port want two loopback addresses: only Linux has all of 127.0.0.0/8 on its interface.
#[cfg(target_os = "linux")]
#[path = "ssrf/rebinding.rs"]
mod rebinding;
#[cfg(target_os = "linux")]
#[path = "ssrf/redirect.rs"]
mod redirect;

use std::collections::BTreeSet;
use std::sync::Arc;

use docmill_net::{Allow, Guard};
use url::Url;

/// What a line of a table says; the last field is for its reader.
fn rows<const FIELDS: usize>(table: &str) -> Vec<[String; FIELDS]> {
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let fields = lines.map(|line| line.split('\t').map(shown).collect::<Vec<_>>());
    fields.map(|fields| fields.try_into().unwrap_or_else(|fields| panic!("not {FIELDS} fields: {fields:?}"))).collect()
}

/// With the characters that are written as `{U+0009}`.
fn shown(text: &str) -> String {
    let mut pieces = text.split("{U+");
    let mut shown = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (code, rest) = piece.split_once('}').unwrap();
        shown.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
        shown.push_str(rest);
    }
    shown
}

fn addresses() -> Vec<[String; 3]> {
    rows(include_str!("ssrf.tsv"))
}

fn guard(cidrs: &[&str]) -> Arc<Guard> {
    let cidrs = cidrs.iter().map(|block| (*block).to_owned()).collect();
    Arc::new(Guard::new(&Allow { cidrs, ..Allow::default() }, "").unwrap())
}

#[test]
fn every_address_of_the_table_has_its_verdict() {
    let guard = guard(&[]);
    let rows = addresses();
    let mut wrong = Vec::new();
    for [url, expected, technique] in &rows {
        let (verdict, said) = match Url::parse(url) {
            Err(error) => ("invalid", error.to_string()),
            Ok(parsed) => match guard.check(&parsed) {
                Err(refused) => ("refused", refused.0),
                Ok(()) => ("allowed", parsed.to_string()),
            },
        };
        if verdict != expected {
            wrong.push(format!("{url:?} ({technique}) is {verdict}, not {expected}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    let different: BTreeSet<&String> = rows.iter().map(|[url, ..]| url).collect();
    assert_eq!(different.len(), rows.len(), "an address stands there twice");
}
