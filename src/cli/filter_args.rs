//! The arguments by which a question is put to a part of a store only.

use docmill_api::{Digest, Filter};

/// Which rows are looked at.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct FilterArgs {
    /// Rows of this session only
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Rows of this user only
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,
    /// Rows of this document only: its id, URI or path
    #[arg(long, value_name = "ID | URI | PATH")]
    pub document: Option<String>,
    /// Rows of this media type only
    #[arg(long, value_name = "TYPE")]
    pub media_type: Option<String>,
}

impl FilterArgs {
    /// As a store understands it.
    #[must_use]
    pub fn filter(&self) -> Filter {
        Filter {
            session_id: self.session.clone(),
            user_id: self.user.clone(),
            document: self.document.as_deref().map(document),
            media_type: self.media_type.clone(),
            ..Filter::default()
        }
    }
}

/// A document as the store knows it: an id or a URI as it is, a path as the URI that the `files` source gives it.
fn document(named: &str) -> String {
    if named.contains(':') || named.parse::<Digest>().is_ok() {
        return named.to_owned();
    }
    let path = std::path::absolute(named).ok().and_then(|path| url::Url::from_file_path(path).ok());
    path.map_or_else(|| named.to_owned(), String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_the_uri_of_its_file_and_all_else_stays() {
        let here = std::path::absolute("a b.md").expect("a path");
        assert_eq!(document("a b.md"), url::Url::from_file_path(here).expect("absolute").as_str());
        let id = "0".repeat(64);
        for same in ["file:///a.md", "https://example.org/a", id.as_str()] {
            assert_eq!(document(same), same);
        }
        let args = FilterArgs { user: Some("anna".into()), ..FilterArgs::default() };
        assert_eq!(args.filter(), Filter { user_id: Some("anna".into()), ..Filter::default() });
    }
}
