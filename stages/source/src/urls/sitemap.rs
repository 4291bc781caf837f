//! Reads the XML of a sitemap or of an index of sitemaps. Pure, and forgiving: what stands before a break is taken, and
//! the break is told.
//!
//! Entities of a document's own are never expanded, so there is nothing to blow up.

use docmill_api::SourceItem;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;
use url::Url;

use crate::items;

/// Entries of one sitemap: the standard's limit.
const ENTRIES: usize = 50_000;

/// The longest address that is taken; the standard says 2,048.
const LONGEST: usize = 8192;

/// The longest date that is kept.
const DATE: usize = 64;

/// How deep elements may be nested: a sitemap with all known extensions needs six.
const DEPTH: usize = 64;

/// What a sitemap says.
#[derive(Debug, Default)]
pub(super) struct Sitemap {
    found: Vec<Found>,
    /// Of an index: the sitemaps that it names.
    pub(super) sitemaps: Vec<Url>,
}

#[derive(Debug)]
enum Found {
    Page {
        uri: String,
        changed: Option<String>,
    },
    /// What is wrong, and with which entry; without a number with the whole.
    Wrong(Option<usize>, String),
}

/// An entry being read.
#[derive(Default)]
struct Entry {
    place: String,
    changed: String,
}

/// Where the reader stands.
#[derive(Default)]
struct Reading {
    sitemap: Sitemap,
    /// Open elements.
    depth: usize,
    has_root: bool,
    is_index: bool,
    entries: usize,
    entry: Entry,
    field: Option<Field>,
}

#[derive(Clone, Copy)]
enum Field {
    Place,
    Changed,
}

impl Sitemap {
    /// Reads a sitemap; of its addresses those that `takes` takes.
    pub(super) fn read(bytes: &[u8], takes: impl Fn(&str) -> bool) -> Result<Self, String> {
        let text = String::from_utf8_lossy(bytes);
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
        let mut reading = Reading::default();
        loop {
            match reader.read_event() {
                Ok(Event::Start(element)) => reading.begin(element.local_name().as_ref())?,
                Ok(Event::End(_)) => reading.end(&takes),
                Ok(Event::Text(text)) => reading.text(&text),
                Ok(Event::CData(text)) => reading.text(&text),
                Ok(Event::GeneralRef(name)) => match name.resolve_char_ref() {
                    Ok(Some(letter)) => reading.text(letter.encode_utf8(&mut [0; 4])),
                    _ => reading.text(quick_xml::escape::resolve_predefined_entity(&name).unwrap_or_default()),
                },
                Ok(Event::Eof) if reading.depth == 0 && reading.has_root => return Ok(reading.sitemap),
                Ok(Event::Eof) => return reading.broken("it ends before its end"),
                Ok(_) => {}
                Err(error) => return reading.broken(&format!("no XML at byte {}: {error}", reader.error_position())),
            }
            if reading.entries > ENTRIES {
                let reason = format!("it has more than {ENTRIES} entries: the rest is not listed");
                reading.sitemap.found.push(Found::Wrong(None, reason));
                return Ok(reading.sitemap);
            }
        }
    }

    /// What is listed: pages, and what cannot be, to fail.
    pub(super) fn items(&mut self, name: &str) -> Vec<SourceItem> {
        let found = std::mem::take(&mut self.found).into_iter();
        found
            .map(|found| match found {
                Found::Page { uri, changed } => {
                    let mut item = SourceItem { uri, ..SourceItem::default() };
                    item.metadata.extend(changed.map(|date| ("last_modified".to_owned(), Value::String(date))));
                    item
                }
                Found::Wrong(Some(entry), reason) => {
                    items::unusable("sitemap", &format!("{name} entry {entry}"), &reason)
                }
                Found::Wrong(None, reason) => items::unusable("sitemap", name, &reason),
            })
            .collect()
    }
}

impl Reading {
    fn begin(&mut self, name: &str) -> Result<(), String> {
        self.depth += 1;
        self.has_root = true;
        match (self.depth, name) {
            (1, "urlset") => {}
            (1, "sitemapindex") => self.is_index = true,
            (1, other) => {
                return Err(format!("no sitemap: its root is `{}`", other.chars().take(40).collect::<String>()));
            }
            (2, "url" | "sitemap") => {
                self.entries += 1;
                self.entry = Entry::default();
            }
            // Deeper down other things have a `loc` too: pictures, for one.
            (3, "loc") => self.field = Some(Field::Place),
            (3, "lastmod") => self.field = Some(Field::Changed),
            (DEPTH.., _) => return Err(format!("no sitemap: more than {DEPTH} elements deep")),
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        let (field, most) = match self.field {
            Some(Field::Place) if self.depth == 3 => (&mut self.entry.place, LONGEST),
            Some(Field::Changed) if self.depth == 3 => (&mut self.entry.changed, DATE),
            _ => return,
        };
        // One more than may be, to tell it from what is just as long.
        let room = (most + 1).saturating_sub(field.len());
        field.extend(text.trim_matches(['\n', '\r', '\t', ' ']).chars().take(room));
    }

    fn end(&mut self, takes: &impl Fn(&str) -> bool) {
        match self.depth {
            3 => self.field = None,
            2 => self.finish(takes),
            _ => {}
        }
        self.depth = self.depth.saturating_sub(1);
    }

    fn finish(&mut self, takes: &impl Fn(&str) -> bool) {
        let Entry { place, changed } = std::mem::take(&mut self.entry);
        let is_web = |url: &Url| matches!(url.scheme(), "http" | "https");
        let wrong = match Url::parse(&place) {
            _ if place.len() > LONGEST => format!("its address is longer than {LONGEST} bytes"),
            Ok(url) if is_web(&url) && self.is_index => return self.sitemap.sitemaps.push(url),
            Ok(url) if is_web(&url) => {
                let uri = String::from(url);
                if takes(&uri) {
                    let changed = Some(changed).filter(|date| !date.is_empty() && date.len() <= DATE);
                    self.sitemap.found.push(Found::Page { uri, changed });
                }
                return;
            }
            Ok(url) => format!("`{}` is no web address, which is all that a sitemap may name", url.scheme()),
            Err(_) if place.is_empty() => "it has no address".to_owned(),
            Err(error) => format!("no address: {error}"),
        };
        self.sitemap.found.push(Found::Wrong(Some(self.entries), wrong));
    }

    fn broken(mut self, reason: &str) -> Result<Sitemap, String> {
        if self.entries == 0 {
            return Err(format!("no sitemap: {reason}"));
        }
        self.sitemap
            .found
            .push(Found::Wrong(None, format!("{reason}: what follows entry {} is not listed", self.entries)));
        Ok(self.sitemap)
    }
}
