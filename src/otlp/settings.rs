//! Where traces go and what is said of who sends them: OpenTelemetry's variables, so that docmill is configured as every other
//! program beside it.

use std::fmt;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::sampler::Sampler;

/// How long a collector may take to answer, unless it is said; what OpenTelemetry's own exporters allow.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the first pause is after a collector that does not answer, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// Where traces go, and what is said with them.
///
/// | variable | meaning |
/// |---|---|
/// | `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | the address that spans are posted to, as it is |
/// | `OTEL_EXPORTER_OTLP_ENDPOINT` | the collector's address; `/v1/traces` is added |
/// | `OTEL_EXPORTER_OTLP_HEADERS`, `…_TRACES_HEADERS` | `name=value,…`, values percent-encoded; never shown |
/// | `OTEL_EXPORTER_OTLP_TIMEOUT`, `…_TRACES_TIMEOUT` | milliseconds that one request may take; 10,000 |
/// | `OTEL_SERVICE_NAME` | who sends them; `docmill` |
/// | `OTEL_RESOURCE_ATTRIBUTES` | `name=value,…`, values percent-encoded |
/// | `OTEL_TRACES_SAMPLER`, `…_ARG` | `always_on` (so unless it is said), `always_off`, or `traceidratio` and a share from 0 to 1; `parentbased_…` means the same, since a document has no parent |
/// | `OTEL_TRACES_EXPORTER=none`, `OTEL_SDK_DISABLED=true` | no traces, whatever the others say |
///
/// Where one is set for traces alone it wins over the general one. A variable that is empty is not set.
#[derive(Clone)]
pub struct Settings {
    pub(super) endpoint: Url,
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    /// The first pause after a collector that does not answer, and the longest.
    pub(super) pauses: (Duration, Duration),
    /// Ordered, each name once.
    pub(super) resource: Vec<(String, String)>,
    pub(super) sampler: Sampler,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers hold keys, and so may an address.
        f.debug_struct("Settings")
            .field("endpoint", &self.place())
            .field("sampler", &self.sampler)
            .finish_non_exhaustive()
    }
}

/// A variable that says nothing that can be followed. Its value is not repeated: it may hold a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{variable}` {problem}")]
pub struct SettingsError {
    variable: String,
    problem: String,
}

fn wrong(variable: &str, problem: impl Into<String>) -> SettingsError {
    SettingsError { variable: variable.to_owned(), problem: problem.into() }
}

impl Settings {
    /// Reads them; `None` where no collector is named, or traces are switched off. A sampler that is not known is warned of
    /// and every document traced, as OpenTelemetry has it: the variable may be meant for other programs.
    ///
    /// # Errors
    /// An address, headers or a time that are none, or a protocol that is not HTTP.
    pub fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, SettingsError> {
        let get = |name: &str| get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        // Of the two that there are of most, the one for traces first; and which it was.
        let exporter = |end: &str| {
            let names = [format!("OTEL_EXPORTER_OTLP_TRACES_{end}"), format!("OTEL_EXPORTER_OTLP_{end}")];
            names.into_iter().find_map(|name| get(&name).map(|value| (name, value)))
        };
        let off = get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || get("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
        let Some((variable, address)) = exporter("ENDPOINT").filter(|_| !off) else { return Ok(None) };
        let endpoint = endpoint(&variable, &address)?;
        if let Some((variable, protocol)) = exporter("PROTOCOL")
            && !matches!(protocol.as_str(), "http/json" | "http/protobuf")
        {
            // A collector that takes Protobuf over HTTP takes JSON at the same address.
            return Err(wrong(&variable, "is neither `http/json` nor `http/protobuf`: docmill sends JSON over HTTP"));
        }
        let headers = match exporter("HEADERS") {
            Some((variable, pairs)) => headers(&variable, &pairs)?,
            None => HeaderMap::new(),
        };
        let timeout = match exporter("TIMEOUT") {
            Some((variable, value)) => value
                .parse()
                .ok()
                .filter(|milliseconds| *milliseconds > 0)
                .map(Duration::from_millis)
                .ok_or_else(|| wrong(&variable, "is no number of milliseconds"))?,
            None => TIMEOUT,
        };
        Ok(Some(Self { endpoint, headers, timeout, pauses: PAUSES, resource: resource(&get)?, sampler: sampler(&get) }))
    }

    /// Where spans are posted to, as it may be shown: without user, password and parameters.
    #[must_use]
    pub fn place(&self) -> String {
        let mut shown = self.endpoint.clone();
        // An HTTP address takes both.
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        shown.set_query(None);
        shown.into()
    }
}

fn endpoint(variable: &str, address: &str) -> Result<Url, SettingsError> {
    let mut url = Url::parse(address).map_err(|error| wrong(variable, format!("is no address: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(variable, "is no address that begins with `http://` or `https://`"));
    }
    url.set_fragment(None);
    if variable == "OTEL_EXPORTER_OTLP_ENDPOINT" {
        let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    Ok(url)
}

fn headers(variable: &str, pairs: &str) -> Result<HeaderMap, SettingsError> {
    let mut headers = HeaderMap::new();
    for (name, value) in self::pairs(variable, pairs)? {
        let name = HeaderName::try_from(&name).map_err(|_| wrong(variable, "names a header that can be none"))?;
        let mut value =
            HeaderValue::try_from(&value).map_err(|_| wrong(variable, format!("has no value for `{name}`")))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// `a=b,c=d`, as W3C's baggage is written: spaces around do not count, values are percent-encoded.
fn pairs(variable: &str, text: &str) -> Result<Vec<(String, String)>, SettingsError> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) =
                part.split_once('=').ok_or_else(|| wrong(variable, "is no list such as `name=value,…`"))?;
            let value = decoded(value.trim()).ok_or_else(|| wrong(variable, "has a value that is no UTF-8"))?;
            Ok((name.trim().to_owned(), value))
        })
        .collect()
}

/// A text with `%41` for `A`. A `%` that begins no such pair stands for itself.
fn decoded(text: &str) -> Option<String> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let pair = (*byte == b'%').then(|| digit(bytes.get(at + 1)).zip(digit(bytes.get(at + 2)))).flatten();
        let value = pair.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        plain.push(value.unwrap_or(*byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8(plain).ok()
}

fn resource(get: &impl Fn(&str) -> Option<String>) -> Result<Vec<(String, String)>, SettingsError> {
    let variable = "OTEL_RESOURCE_ATTRIBUTES";
    let mut resource = vec![
        ("service.name".to_owned(), "docmill".to_owned()),
        ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let given = get(variable).map(|text| pairs(variable, &text)).transpose()?.unwrap_or_default();
    let name = get("OTEL_SERVICE_NAME").map(|name| ("service.name".to_owned(), name));
    for (name, value) in given.into_iter().chain(name) {
        match resource.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => resource.push((name, value)),
        }
    }
    Ok(resource)
}

fn sampler(get: &impl Fn(&str) -> Option<String>) -> Sampler {
    let Some(name) = get("OTEL_TRACES_SAMPLER") else { return Sampler::ALWAYS };
    match name.strip_prefix("parentbased_").unwrap_or(&name) {
        "always_on" => Sampler::ALWAYS,
        "always_off" => Sampler::NEVER,
        "traceidratio" => {
            let given = get("OTEL_TRACES_SAMPLER_ARG");
            let share = given.as_deref().map(str::parse).transpose().ok().map(|share| share.unwrap_or(1.0));
            match share.filter(|share| (0.0..=1.0).contains(share)) {
                Some(share) => Sampler::share(share),
                None => {
                    tracing::warn!("`OTEL_TRACES_SAMPLER_ARG` is no share from 0 to 1: every document is traced");
                    Sampler::ALWAYS
                }
            }
        }
        _ => {
            tracing::warn!(sampler = name, "`OTEL_TRACES_SAMPLER` is not known: every document is traced");
            Sampler::ALWAYS
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, SettingsError> {
        Settings::from_variables(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn on(variables: &[(&str, &str)]) -> Settings {
        let with = [&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")], variables].concat();
        read(&with).expect("they are right").expect("they are on")
    }

    #[test]
    fn without_a_collector_or_switched_off_there_is_nothing() {
        let collector = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        for off in [
            &[][..],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
            &[("OTEL_SERVICE_NAME", "mill")],
            &[collector, ("OTEL_SDK_DISABLED", "TRUE")],
            &[collector, ("OTEL_TRACES_EXPORTER", "none")],
        ] {
            assert!(read(off).expect("nothing is wrong").is_none(), "{off:?}");
        }
    }

    #[test]
    fn the_address_for_traces_is_taken_as_it_is_and_the_general_one_gets_its_path() {
        for (variables, address) in [
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")][..], "http://c:4318/v1/traces"),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c/otlp/")], "https://c/otlp/v1/traces"),
            (&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318")], "http://c:4318/"),
            (
                &[
                    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t/spans"),
                    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
                ],
                "https://t/spans",
            ),
        ] {
            let settings = read(variables).expect("right").expect("on");
            assert_eq!(settings.endpoint.as_str(), address);
        }
    }

    #[test]
    fn headers_are_decoded_and_never_shown() {
        let settings = on(&[
            ("OTEL_EXPORTER_OTLP_HEADERS", "general=1"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "Authorization=Basic%20c2VjcmV0, x-scope = a=b ,"),
        ]);
        let value = |name: &str| settings.headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!((value("authorization"), value("x-scope")), (Some("Basic c2VjcmV0"), Some("a=b")));
        assert_eq!(value("general"), None);
        assert!(!format!("{settings:?} {:?}", settings.headers).contains("c2VjcmV0"));
        let keyed = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://me:secret@c/x?key=secret")];
        let keyed = read(&keyed).expect("right").expect("on");
        assert_eq!(keyed.place(), "http://c/x");
        assert!(!format!("{keyed:?}").contains("secret"));
    }

    #[test]
    fn the_service_has_the_name_that_it_was_given() {
        let name = |settings: &Settings| {
            settings.resource.iter().filter(|(name, _)| name == "service.name").cloned().collect::<Vec<_>>()
        };
        let named = |value: &str| vec![("service.name".to_owned(), value.to_owned())];
        assert_eq!(name(&on(&[])), named("docmill"));
        let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=first,deployment.environment.name=dev%2Cnight");
        let settings = on(&[attributes]);
        assert_eq!(name(&settings), named("first"));
        let other = ("deployment.environment.name".to_owned(), "dev,night".to_owned());
        assert!(settings.resource.contains(&other), "{:?}", settings.resource);
        assert_eq!(name(&on(&[attributes, ("OTEL_SERVICE_NAME", "mill")])), named("mill"));
    }

    #[test]
    fn samplers_are_those_of_a_trace_without_a_parent() {
        let sampler = |name, share| on(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", share)]).sampler;
        assert_eq!(on(&[]).sampler, Sampler::ALWAYS);
        assert_eq!(sampler("always_off", ""), Sampler::NEVER);
        assert_eq!(sampler("traceidratio", "0.25"), Sampler::share(0.25));
        assert_eq!(sampler("parentbased_traceidratio", "0.25"), Sampler::share(0.25));
        for (name, share) in
            [("always_on", "0"), ("traceidratio", ""), ("traceidratio", "2"), ("traceidratio", "x"), ("xray", "")]
        {
            assert_eq!(sampler(name, share), Sampler::ALWAYS, "{name} {share}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_refused_by_name_without_its_value() {
        let collector = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        for (variable, value) in [
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "sesame:4317"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "sesame"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "sesame"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "sesame"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=sesame%0a"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "sesame b=c"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1sesame"),
            ("OTEL_RESOURCE_ATTRIBUTES", "sesame"),
        ] {
            let error = read(&[collector, (variable, value)]).expect_err(value).to_string();
            assert!(error.starts_with(&format!("`{variable}` ")) && !error.contains("sesame"), "{error}");
        }
    }
}
