//! Keys: who may ask, and whose documents they see.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use serde::Deserialize;

/// The variable that holds a key.
pub const KEY_VARIABLE: &str = "DOCMILL_API_KEY";

/// The fewest characters of a key: what is shorter can be tried out.
const SHORTEST: usize = 16;

/// All keys of a service.
#[derive(Debug, Default)]
pub struct Keys(Vec<Arc<Key>>);

/// One key, without itself: only its hash is kept.
struct Key {
    name: String,
    /// BLAKE3, whose comparison takes the same time wherever two hashes differ.
    hash: blake3::Hash,
    user_id: Option<String>,
    per_minute: Option<u32>,
    in_flight: Option<usize>,
    used: AtomicUsize,
    minute: Mutex<(Option<Instant>, u32)>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("name", &self.name).field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// A file of keys, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    keys: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The key itself, or …
    key: Option<String>,
    /// … the variable that holds it.
    key_env: Option<String>,
    /// The user whose documents alone it sees.
    user_id: Option<String>,
    /// How many requests a minute it may make.
    requests_per_minute: Option<u32>,
    /// How many documents it may have waiting or under upload at once.
    in_flight: Option<usize>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Caller(Option<Arc<Key>>);

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// No key, or a wrong one.
    Unknown,
    /// Too many requests of this key; after so long there may be more.
    TooMany(Duration),
}

impl Keys {
    /// Those of the variable and of a file.
    ///
    /// # Errors
    /// A sentence: the file cannot be read, is no list of keys, or holds one that is too short or there twice.
    pub fn read(file: Option<&Path>) -> Result<Self, String> {
        let mut keys = Self::default();
        if let Some(key) = std::env::var(KEY_VARIABLE).ok().filter(|key| !key.is_empty()) {
            let entry =
                Entry { key: Some(key), key_env: None, user_id: None, requests_per_minute: None, in_flight: None };
            keys.add(KEY_VARIABLE.to_owned(), entry)?;
        }
        let Some(file) = file else { return Ok(keys) };
        let within = |error: &dyn fmt::Display| format!("the file of keys `{}`: {error}", file.display());
        let text = fs::read_to_string(file).map_err(|error| within(&error))?;
        // Without the line that is wrong: it may hold a key.
        let read: KeyFile = toml::from_str(&text).map_err(|error| within(&error.message()))?;
        for (name, entry) in read.keys {
            keys.add(name, entry).map_err(|error| within(&error))?;
        }
        Ok(keys)
    }

    fn add(&mut self, name: String, entry: Entry) -> Result<(), String> {
        let key = match (entry.key, entry.key_env) {
            (Some(key), None) => key,
            (None, Some(variable)) => {
                std::env::var(&variable).map_err(|_| format!("key `{name}`: the variable `{variable}` is not set"))?
            }
            _ => return Err(format!("key `{name}` needs one of `key` and `key_env`")),
        };
        if key.len() < SHORTEST {
            return Err(format!("key `{name}` has fewer than {SHORTEST} characters: `openssl rand -hex 24` makes one"));
        }
        let hash = blake3::hash(key.as_bytes());
        if let Some(other) = self.0.iter().find(|other| other.hash == hash) {
            return Err(format!("keys `{}` and `{name}` are the same", other.name));
        }
        self.0.push(Arc::new(Key {
            name,
            hash,
            user_id: entry.user_id,
            per_minute: entry.requests_per_minute,
            in_flight: entry.in_flight,
            used: AtomicUsize::new(0),
            minute: Mutex::default(),
        }));
        Ok(())
    }

    /// Whether there is none: then everybody may ask.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who asks, by what the request says.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refused> {
        if self.is_empty() {
            return Ok(Caller(None));
        }
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer =
            given.and_then(|value| value.split_once(' ')).filter(|(how, _)| how.eq_ignore_ascii_case("bearer"));
        let hash = blake3::hash(bearer.map(|(_, key)| key.trim()).unwrap_or_default().as_bytes());
        // All of them, so that the time does not tell which one it is.
        let mut found = None;
        for key in &self.0 {
            if key.hash == hash {
                found = Some(key);
            }
        }
        let key = found.ok_or(Refused::Unknown)?;
        key.counts()?;
        Ok(Caller(Some(Arc::clone(key))))
    }
}

impl Key {
    /// Counts a request in windows of a minute.
    fn counts(&self) -> Result<(), Refused> {
        const MINUTE: Duration = Duration::from_secs(60);
        let Some(most) = self.per_minute else { return Ok(()) };
        let now = Instant::now();
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = *minute.0.get_or_insert(now);
        if now.duration_since(begun) >= MINUTE {
            *minute = (Some(now), 0);
        } else if minute.1 >= most {
            return Err(Refused::TooMany(MINUTE.saturating_sub(now.duration_since(begun))));
        }
        minute.1 += 1;
        Ok(())
    }
}

impl Caller {
    /// The user whose documents alone the caller sees.
    pub(crate) fn user(&self) -> Option<&str> {
        self.0.as_ref().and_then(|key| key.user_id.as_deref())
    }

    /// Whether a document of this user may be seen.
    pub(crate) fn sees(&self, user_id: Option<&str>) -> bool {
        self.user().is_none_or(|user| user_id == Some(user))
    }

    /// What the caller is told apart by from others that want a place in the queue.
    pub(crate) fn name(&self) -> &str {
        self.0.as_ref().map_or("", |key| key.name.as_str())
    }

    /// A place among the documents that the key may have in flight; `None` where it has as many as it may.
    pub(crate) fn takes_one(&self) -> Option<InFlight> {
        let Some(key) = &self.0 else { return Some(InFlight(None)) };
        let most = key.in_flight.unwrap_or(usize::MAX);
        let taken =
            key.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| (used < most).then_some(used + 1));
        taken.ok().map(|_| InFlight(Some(Arc::clone(key))))
    }
}

/// One of the documents that a key may have in flight.
#[derive(Debug)]
pub(crate) struct InFlight(Option<Arc<Key>>);

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(key) = &self.0 {
            key.used.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Quotas of a service's keys, by name: how many documents each has in flight.
impl Keys {
    #[cfg(test)]
    fn in_flight(&self) -> BTreeMap<&str, usize> {
        self.0.iter().map(|key| (key.name.as_str(), key.used.load(Ordering::Relaxed))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, value.parse().expect("a header"))])
    }

    fn keys(text: &str) -> Result<Keys, String> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("keys.toml");
        fs::write(&path, text).expect("written");
        Keys::read(Some(&path))
    }

    #[test]
    fn a_key_is_known_by_all_of_it_and_by_nothing_less() {
        let text = "[keys.ada]\nkey = \"0123456789abcdef\"\nuser_id = \"ada\"\n[keys.all]\nkey = \"fedcba9876543210\"";
        let keys = keys(text).expect("two keys");
        let ada = keys.caller(&bearer("Bearer 0123456789abcdef")).expect("known");
        assert_eq!((ada.user(), ada.name()), (Some("ada"), "ada"));
        assert!(ada.sees(Some("ada")) && !ada.sees(Some("bob")) && !ada.sees(None));
        let all = keys.caller(&bearer("bearer fedcba9876543210")).expect("known");
        assert!(all.user().is_none() && all.sees(None) && all.sees(Some("bob")));
        for wrong in ["Bearer 0123456789abcde", "Bearer ", "Basic 0123456789abcdef", "0123456789abcdef", "Bearer x"] {
            assert_eq!(keys.caller(&bearer(wrong)).err(), Some(Refused::Unknown), "{wrong}");
        }
        assert_eq!(keys.caller(&HeaderMap::new()).err(), Some(Refused::Unknown));
        assert!(!format!("{keys:?}").contains("0123456789"), "no key in a log");
    }

    #[test]
    fn a_file_that_is_wrong_is_refused_without_telling_a_key() {
        for (text, says) in [
            ("[keys.a]\nkey = \"short\"", "fewer than 16"),
            ("[keys.a]\nkey = \"0123456789abcdef\"\n[keys.b]\nkey = \"0123456789abcdef\"", "are the same"),
            ("[keys.a]\nuser_id = \"a\"", "needs one of"),
            ("[keys.a]\nkey_env = \"NOT_SET_ANYWHERE\"", "is not set"),
            ("[keys.a]\nkey = \"0123456789abcdef\"\nwhat = 1", "unknown field"),
            ("nonsense 0123456789abcdef", "file of keys"),
        ] {
            let refused = keys(text).expect_err("wrong");
            assert!(refused.contains(says) && !refused.contains("0123456789"), "{refused}");
        }
        assert!(Keys::read(Some(Path::new("/nowhere/keys"))).is_err());
    }

    #[test]
    fn quotas_are_kept() {
        let text = "[keys.a]\nkey = \"0123456789abcdef\"\nrequests_per_minute = 3\nin_flight = 2";
        let keys = keys(text).expect("a key");
        let header = bearer("Bearer 0123456789abcdef");
        let caller = keys.caller(&header).expect("the first");
        let (first, second) = (caller.takes_one().expect("one"), caller.takes_one().expect("two"));
        assert!(caller.takes_one().is_none());
        drop(first);
        assert!(caller.takes_one().is_some());
        drop(second);
        assert_eq!(keys.in_flight()["a"], 0);
        assert!(keys.caller(&header).is_ok() && keys.caller(&header).is_ok());
        assert!(matches!(keys.caller(&header), Err(Refused::TooMany(after)) if after <= Duration::from_secs(60)));
    }
}
