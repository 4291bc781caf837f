//! What may be fetched over the network: schemes, hosts and addresses, for the first address and for every redirect.
//!
//! A name is checked where it becomes an address, in the [`Resolver`](crate::Resolver) that the client dials from.
//! Literal addresses never reach a resolver and are checked in [`Guard::check`], on the parsed address:
//! `http://2130706433/` is 127.0.0.1 there.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use crate::address::{Cidr, special};

/// What may be fetched, as a stage's table says it. `hosts` narrows, `cidrs` widens.
#[derive(Clone, Debug)]
pub struct Allow {
    /// Schemes of addresses; a guard of the web has no use for others than `http` and `https`.
    pub schemes: Vec<String>,
    /// Hosts, by name or as `*.example.org`; empty for any.
    pub hosts: Vec<String>,
    /// Blocks of addresses that are not public and may be fetched from all the same.
    pub cidrs: Vec<String>,
}

impl Default for Allow {
    fn default() -> Self {
        Self { schemes: vec!["http".into(), "https".into()], hosts: Vec::new(), cidrs: Vec::new() }
    }
}

/// The rules of an [`Allow`], checked and compiled.
#[derive(Debug)]
pub struct Guard {
    schemes: BTreeSet<String>,
    hosts: Vec<Pattern>,
    cidrs: Vec<Cidr>,
    /// What stands before a field's name in a complaint: `allow.` where the fields are in a table of that name.
    table: &'static str,
}

/// An entry of [`Allow::hosts`].
#[derive(Debug)]
enum Pattern {
    Exact(String),
    /// Of `*.example.org`, with the dot.
    Below(String),
}

/// Why something is not fetched: a decision, no failure, so it is never tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused(
    /// The reason, in a sentence for the user.
    pub String,
);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl Guard {
    /// Checks and compiles the rules. `table` is what stands before the names of their fields in a complaint: `"allow."`
    /// for `allow.cidrs`, nothing for a `cidrs` in the stage's own table.
    ///
    /// # Errors
    /// A host or a block is none; what is wrong with it, in words.
    pub fn new(allow: &Allow, table: &'static str) -> Result<Self, String> {
        Ok(Self {
            table,
            schemes: allow.schemes.iter().map(|scheme| scheme.to_ascii_lowercase()).collect(),
            hosts: allow.hosts.iter().map(|host| pattern(host)).collect::<Result<_, _>>()?,
            cidrs: allow.cidrs.iter().map(|block| block.parse()).collect::<Result<_, _>>()?,
        })
    }

    /// Whether [`Allow::schemes`] holds it.
    ///
    /// # Errors
    /// It does not.
    pub fn scheme(&self, scheme: &str) -> Result<(), Refused> {
        if self.schemes.contains(scheme) {
            return Ok(());
        }
        let known: Vec<String> = self.schemes.iter().map(|scheme| format!("`{scheme}`")).collect();
        Err(Refused(format!("scheme `{scheme}` is not allowed: `{}schemes` has {}", self.table, known.join(", "))))
    }

    /// All that can be said of an address before its name is resolved.
    ///
    /// # Errors
    /// It is not fetched, and why.
    pub fn check(&self, url: &Url) -> Result<(), Refused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused(format!("`{}` is no address of a web server", url.scheme())));
        }
        self.scheme(url.scheme())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused("an address with a user name or password is not fetched".into()));
        }
        let Some(host) = url.host() else { return Err(Refused("the address has no host".into())) };
        self.host("host", &plain(&host))?;
        self.literal(&host)
    }

    /// Whether a bucket may be asked for: in its location it stands where a web address has its host.
    ///
    /// # Errors
    /// It may not.
    pub fn bucket(&self, bucket: &str) -> Result<(), Refused> {
        self.host("bucket", &bucket.to_ascii_lowercase())
    }

    /// Whether an object store may be dialled whose address nobody set: over TLS alone, for credentials go there.
    ///
    /// # Errors
    /// It may not.
    pub fn store(&self, url: &Url) -> Result<(), Refused> {
        if url.scheme() != "https" {
            return Err(Refused(format!(
                "`{}` is not dialled for an object store unless it is its endpoint",
                url.scheme()
            )));
        }
        let Some(host) = url.host() else { return Err(Refused("the address has no host".into())) };
        self.literal(&host)
    }

    fn host(&self, what: &str, name: &str) -> Result<(), Refused> {
        if self.hosts.is_empty() || self.hosts.iter().any(|pattern| pattern.matches(name)) {
            return Ok(());
        }
        Err(Refused(format!("{what} `{name}` is not allowed: add it to `{}hosts`", self.table)))
    }

    fn literal<S>(&self, host: &Host<S>) -> Result<(), Refused> {
        match host {
            Host::Ipv4(address) => self.address((*address).into(), None),
            Host::Ipv6(address) => self.address((*address).into(), None),
            Host::Domain(_) => Ok(()),
        }
    }

    /// Whether an address is public, or allowed by [`Allow::cidrs`]. `of` is the name that it was found under.
    ///
    /// # Errors
    /// It is neither.
    pub fn address(&self, address: IpAddr, of: Option<&str>) -> Result<(), Refused> {
        let Some(word) = special(address) else { return Ok(()) };
        let inside = match address {
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map(IpAddr::V4),
            IpAddr::V4(_) => None,
        };
        if self.cidrs.iter().any(|block| block.contains(address) || inside.is_some_and(|inner| block.contains(inner))) {
            return Ok(());
        }
        let of = of.map(|name| format!(" of `{name}`")).unwrap_or_default();
        Err(Refused(format!("address {address}{of} is private ({word}): allow it with `{}cidrs`", self.table)))
    }

    /// The addresses that may be dialled; where none may, why the first may not.
    pub(crate) fn permitted(
        &self,
        name: &str,
        found: impl Iterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Refused> {
        let mut permitted = Vec::new();
        let mut refused = None;
        for socket in found {
            match self.address(socket.ip(), Some(name)) {
                Ok(()) => permitted.push(socket),
                Err(reason) => refused = refused.or(Some(reason)),
            }
        }
        match refused {
            Some(reason) if permitted.is_empty() => Err(reason),
            _ => Ok(permitted),
        }
    }
}

impl Pattern {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Below(suffix) => name.ends_with(suffix.as_str()),
        }
    }
}

/// Lower-case, in the ASCII form of international names, without the dot at the end and brackets.
fn plain<S: AsRef<str>>(host: &Host<S>) -> String {
    match host {
        Host::Domain(name) => name.as_ref().trim_end_matches('.').to_ascii_lowercase(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    }
}

fn pattern(text: &str) -> Result<Pattern, String> {
    let (below, name) = text.strip_prefix("*.").map_or((false, text), |name| (true, name));
    let bracketed = if name.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{name}]") } else { name.to_owned() };
    let host = Host::parse(&bracketed).map_err(|_| {
        format!("`{text}` is no host; write it as \"example.org\" or \"*.example.org\", without a port")
    })?;
    let name = plain(&host);
    Ok(if below { Pattern::Below(format!(".{name}")) } else { Pattern::Exact(name) })
}

// Every way of writing an address stands in `tests/ssrf.tsv`.
#[cfg(test)]
mod tests {
    use super::*;

    fn guard(hosts: &[&str], cidrs: &[&str]) -> Guard {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Guard::new(&Allow { hosts: texts(hosts), cidrs: texts(cidrs), ..Allow::default() }, "allow.").unwrap()
    }

    fn check(guard: &Guard, url: &str) -> Result<(), String> {
        guard.check(&Url::parse(url).unwrap()).map_err(|refused| refused.0)
    }

    #[test]
    fn a_literal_is_refused_with_the_way_to_allow_it() {
        let guard = guard(&[], &[]);
        for (url, address) in [
            ("http://2130706433/", "127.0.0.1 is private (loopback)"),
            ("https://10.0.0.1:8443/", "10.0.0.1 is private (local network)"),
            ("http://[::ffff:a9fe:a9fe]/", "::ffff:169.254.169.254 is private (metadata service)"),
        ] {
            assert_eq!(check(&guard, url).unwrap_err(), format!("address {address}: allow it with `allow.cidrs`"));
        }
        assert_eq!(check(&guard, "http://8.8.8.8/"), Ok(()));
        assert_eq!(check(&guard, "https://example.org/"), Ok(()));
    }

    #[test]
    fn user_information_and_other_schemes_are_refused() {
        let guard = guard(&[], &[]);
        assert!(check(&guard, "http://user@example.org/").unwrap_err().contains("user name"));
        assert!(check(&guard, "http://:secret@example.org/").unwrap_err().contains("user name"));
        assert!(check(&guard, "http://example.org@127.0.0.1/").is_err());
        assert!(check(&guard, "file:///etc/passwd").unwrap_err().contains("`file`"));
        let only = Guard::new(&Allow { schemes: vec!["https".into()], ..Allow::default() }, "allow.").unwrap();
        assert_eq!(
            check(&only, "http://example.org/").unwrap_err(),
            "scheme `http` is not allowed: `allow.schemes` has `https`"
        );
    }

    #[test]
    fn hosts_restrict_and_do_not_permit() {
        let guard = guard(&["Example.org", "*.bücher.example", "127.0.0.1", "::1"], &[]);
        for url in ["http://example.org/", "http://EXAMPLE.org./a", "http://a.b.xn--bcher-kva.example/"] {
            assert_eq!(check(&guard, url), Ok(()), "{url}");
        }
        for url in ["http://www.example.org/", "http://notexample.org/", "http://bücher.example/", "http://8.8.8.8/"] {
            assert!(check(&guard, url).unwrap_err().contains("`allow.hosts`"), "{url}");
        }
        assert!(check(&guard, "http://127.0.0.1/").unwrap_err().contains("`allow.cidrs`"));
        assert!(check(&guard, "http://[::1]/").unwrap_err().contains("`allow.cidrs`"));
        assert!(pattern("example.org:80").is_err() && pattern("http://x").is_err() && pattern("").is_err());
    }

    #[test]
    fn blocks_permit_also_what_carries_them_inside() {
        let guard = guard(&[], &["127.0.0.0/8", "fd12::/16"]);
        for url in ["http://127.0.0.1/", "http://[::ffff:127.0.0.1]/", "http://[fd12::1]/"] {
            assert_eq!(check(&guard, url), Ok(()), "{url}");
        }
        assert!(check(&guard, "http://[::1]/").is_err() && check(&guard, "http://10.0.0.1/").is_err());
    }

    #[test]
    fn of_a_name_only_the_checked_addresses_are_dialled() {
        let open = guard(&[], &[]);
        let public: SocketAddr = "8.8.8.8:0".parse().unwrap();
        let private: SocketAddr = "127.0.0.1:0".parse().unwrap();
        assert_eq!(open.permitted("h", [private, public].into_iter()), Ok(vec![public]));
        let refused = open.permitted("localhost", [private].into_iter()).unwrap_err();
        assert_eq!(refused.0, "address 127.0.0.1 of `localhost` is private (loopback): allow it with `allow.cidrs`");
    }

    #[test]
    fn stores_are_dialled_over_tls_at_public_addresses_and_buckets_are_hosts() {
        let open = guard(&[], &[]);
        let store = |url: &str| open.store(&Url::parse(url).unwrap()).map_err(|refused| refused.0);
        assert_eq!(store("https://s3.us-east-1.amazonaws.com/bucket/key"), Ok(()));
        assert!(store("http://s3.us-east-1.amazonaws.com/").unwrap_err().contains("unless it is its endpoint"));
        for url in ["https://169.254.169.254/", "https://[::1]/", "https://127.1/"] {
            assert!(store(url).unwrap_err().contains("is private ("), "{url}");
        }
        assert_eq!(open.bucket("any"), Ok(()));
        let narrow = guard(&["my-bucket", "*.example.org"], &[]);
        assert_eq!((narrow.bucket("My-Bucket"), narrow.bucket("a.example.org")), (Ok(()), Ok(())));
        assert!(narrow.bucket("other").is_err());
    }
}
