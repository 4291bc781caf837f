//! By what names a service may be called, and from which pages.

use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version};
use url::Url;

use super::GuardSettings;
use crate::http::problem::Problem;

/// How a machine is called by itself.
const OWN: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The names of a service, and the sites that may ask it.
pub(super) struct Names {
    /// `None`: any name will do.
    hosts: Option<Vec<String>>,
    origins: Vec<String>,
}

/// A host as it was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Called {
    name: String,
    port: Option<u16>,
}

impl Names {
    /// What is no origin of a site among the settings is left out, and told.
    pub(super) fn new(settings: &GuardSettings) -> Self {
        let ip = settings.address.ip();
        let hosts = (settings.open && ip.is_loopback()).then(|| {
            let address = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
            let own = OWN.iter().map(|name| (*name).to_owned()).chain([address]);
            own.chain(settings.hosts.iter().map(|name| plain(name))).collect()
        });
        let (origins, others): (Vec<_>, Vec<_>) = settings.origins.iter().partition(|origin| site(origin).is_some());
        for origin in others {
            tracing::warn!(origin, "this is no origin, as `https://docs.example` is: no page is let in by it");
        }
        let origins = origins.into_iter().filter_map(|origin| site(origin)).map(|site| site.0).collect();
        Self { hosts, origins }
    }

    /// The sites whose pages may ask, as browsers write them.
    pub(super) fn origins(&self) -> &[String] {
        &self.origins
    }

    /// Whether a request may be answered at all.
    ///
    /// # Errors
    /// 400: it does not say by what name it calls, or says it twice. 421: the name is none of the service's. 403: it comes
    /// from the page of another site.
    pub(super) fn admit(&self, request: &Request) -> Result<(), Problem> {
        let called = called(request)?;
        if let (Some(hosts), Some(called)) = (&self.hosts, &called)
            && !hosts.contains(&called.name)
        {
            let detail = "the service is not called by this name; `serve.hosts` can name it";
            return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail));
        }
        self.admit_origin(request.headers(), called.as_ref())
    }

    fn admit_origin(&self, headers: &HeaderMap, called: Option<&Called>) -> Result<(), Problem> {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else { return Ok(()) };
        let foreign = || Problem::forbidden("pages of other sites may not ask; `serve.origins` can name one");
        if origins.next().is_some() {
            return Err(foreign());
        }
        // `null` is anybody's: a file, a frame in a sandbox, a page that was led on.
        let (written, name, port) = origin.to_str().ok().and_then(site).ok_or_else(foreign)?;
        if self.origins.contains(&written) {
            return Ok(());
        }
        // A proxy before the service may have taken the encryption off: the scheme says no more than a port does.
        let same = called.is_some_and(|called| {
            called.name == name && called.port.map_or([80, 443].contains(&port), |called| called == port)
        });
        if same { Ok(()) } else { Err(foreign()) }
    }
}

/// By what name a request calls. An address that is whole (`GET http://name/`) says it before the header does.
/// HTTP/1.0 need not say it, and no browser speaks that.
fn called(request: &Request) -> Result<Option<Called>, Problem> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    let Some(first) = first else {
        return match request.uri().authority() {
            Some(authority) => read(authority.as_str()).map(Some),
            None if request.version() == Version::HTTP_10 => Ok(None),
            None => Err(Problem::bad("a request needs a `Host`")),
        };
    };
    if second.is_some() {
        return Err(Problem::bad("a request has one `Host`"));
    }
    let host = read(text(first)?)?;
    match request.uri().authority() {
        Some(authority) => read(authority.as_str()).map(Some),
        None => Ok(Some(host)),
    }
}

fn text(value: &HeaderValue) -> Result<&str, Problem> {
    value.to_str().map_err(|_| no_host())
}

fn no_host() -> Problem {
    Problem::bad("`Host` is no host")
}

fn read(host: &str) -> Result<Called, Problem> {
    let authority: Authority = host.parse().map_err(|_| no_host())?;
    let name = authority.host();
    let rest = authority.as_str().strip_prefix(name).ok_or_else(no_host)?;
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        Some("") => None,
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            Some(digits.parse().map_err(|_| no_host())?)
        }
        _ => return Err(no_host()),
    };
    Ok(Called { name: plain(name), port })
}

/// A name as names are compared: in small letters, without the dot that says that it is whole.
fn plain(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_suffix('.').map_or_else(|| name.clone(), str::to_owned)
}

/// An origin as browsers write it, its host and its port. `None` for what is no site.
fn site(origin: &str) -> Option<(String, String, u16)> {
    let url = Url::parse(origin).ok()?;
    if !["http", "https"].contains(&url.scheme()) || url.path() != "/" || !url.username().is_empty() {
        return None;
    }
    Some((url.origin().ascii_serialization(), plain(url.host_str()?), url.port_or_known_default()?))
}
