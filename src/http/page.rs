//! The page at `/`: upload, watch, read results and search, for who has no terminal. Plain HTML, CSS and script from
//! `page/`, in the binary as they stand: no build chain, nothing from anywhere else. The page uses the same API as
//! everybody; nothing is served here but the files.
//!
//! The files carry nothing of the service and are served without a key: the page asks for one itself when the API
//! wants it.

use axum::Router;
use axum::http::HeaderName;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::IntoResponse;
use axum::routing::get;

/// What the page may do, which is less than what a mistake in it would want: scripts, styles and calls of this service
/// alone, nothing inline, no text made into markup (`trusted-types`), no form that is sent by the browser itself (it
/// could write a key into an address), in no other page's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
     trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// A file of the page.
struct File {
    path: &'static str,
    media_type: &'static str,
    text: &'static str,
}

/// All of them.
const FILES: &[File] = &[
    File { path: "/", media_type: HTML, text: include_str!("page/index.html") },
    File { path: "/assets/api.js", media_type: SCRIPT, text: include_str!("page/api.js") },
    File { path: "/assets/app.js", media_type: SCRIPT, text: include_str!("page/app.js") },
    File { path: "/assets/documents.js", media_type: SCRIPT, text: include_str!("page/documents.js") },
    File { path: "/assets/events.js", media_type: SCRIPT, text: include_str!("page/events.js") },
    File { path: "/assets/icon.svg", media_type: IMAGE, text: include_str!("page/icon.svg") },
    File { path: "/assets/live.js", media_type: SCRIPT, text: include_str!("page/live.js") },
    File { path: "/assets/result.js", media_type: SCRIPT, text: include_str!("page/result.js") },
    File { path: "/assets/search.js", media_type: SCRIPT, text: include_str!("page/search.js") },
    File { path: "/assets/show.js", media_type: SCRIPT, text: include_str!("page/show.js") },
    File { path: "/assets/style.css", media_type: STYLE, text: include_str!("page/style.css") },
    File { path: "/assets/uploads.js", media_type: SCRIPT, text: include_str!("page/uploads.js") },
];

impl File {
    /// The file with its headers. `no-cache` lets a browser keep it and ask: after an upgrade the page is the new one.
    /// The policy stands on all of them, since a browser opens an image or a script as a page as well.
    fn answer(&self) -> impl IntoResponse + use<> {
        let headers: [(HeaderName, &'static str); 5] = [
            (CONTENT_TYPE, self.media_type),
            (CACHE_CONTROL, "no-cache"),
            (CONTENT_SECURITY_POLICY, POLICY),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
        ];
        (headers, self.text)
    }
}

/// The page and its assets, for a router with any state: they use none.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().fold(Router::new(), |router, file| router.route(file.path, get(move || async { file.answer() })))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use tower::Service;

    use super::*;

    fn ask(path: &str) -> axum::response::Response {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let answer = routes::<()>().call(request);
        futures::executor::block_on(answer).expect("a router answers")
    }

    /// What stands between two texts, each time.
    fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
        text.split(before).skip(1).filter_map(|rest| rest.split(after).next()).collect()
    }

    #[test]
    fn every_file_is_served_with_its_type_and_may_do_little() {
        for file in FILES {
            let answer = ask(file.path);
            assert_eq!(answer.status(), StatusCode::OK, "{}", file.path);
            let header = |name: HeaderName| answer.headers()[name].to_str().expect("text");
            assert_eq!(header(CONTENT_TYPE), file.media_type);
            assert_eq!(header(CACHE_CONTROL), "no-cache");
            assert_eq!(header(X_CONTENT_TYPE_OPTIONS), "nosniff");
            assert!(header(CONTENT_SECURITY_POLICY).starts_with("default-src 'none';"));
            assert!(!header(CONTENT_SECURITY_POLICY).contains("unsafe"));
        }
        assert_eq!(ask("/assets/nothing.js").status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn what_is_served_is_what_is_asked_for() {
        let mut asked = BTreeSet::from(["/".to_owned()]);
        for file in FILES {
            for attribute in ["src=\"", "href=\"assets"] {
                let prefix = if attribute == "src=\"" { "/" } else { "/assets" };
                asked.extend(between(file.text, attribute, "\"").iter().map(|path| format!("{prefix}{path}")));
            }
            asked.extend(between(file.text, "from './", "'").iter().map(|name| format!("/assets/{name}")));
        }
        assert_eq!(asked, FILES.iter().map(|file| file.path.to_owned()).collect());
    }

    #[test]
    fn every_element_that_the_script_names_is_there_once() {
        let page = FILES[0].text;
        let ids = between(page, " id=\"", "\"");
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "an id is there twice");
        for file in FILES {
            for id in [" at('", "(at('", "!at('"].iter().flat_map(|call| between(file.text, call, "')")) {
                assert!(ids.contains(&id), "{} names `{id}`", file.path);
            }
        }
        for of in ["for=\"", "aria-labelledby=\"", "aria-describedby=\"", "href=\"#"] {
            for id in between(page, of, "\"").iter().flat_map(|all| all.split(' ')) {
                assert!(ids.contains(&id), "{of}{id}");
            }
        }
    }

    #[test]
    fn no_text_becomes_markup_and_nothing_comes_from_elsewhere() {
        for file in FILES {
            for word in
                ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "localStorage", "cookie"]
            {
                assert!(!file.text.contains(word), "{} has `{word}`", file.path);
            }
            let addresses = file.text.matches("://").count() - file.text.matches("http://www.w3.org/2000/svg").count();
            assert_eq!(addresses, 0, "{} names an address", file.path);
        }
        let page = FILES[0].text;
        assert!(!page.contains("style=") && !page.contains("<style"), "a style is inline");
        let handler = |word: &str| word.starts_with("on") && word.contains("=\"");
        assert!(!page.split_whitespace().any(handler), "a handler is inline");
        assert!(between(page, "<script", "</script>").iter().all(|script| script.ends_with('>')), "a script is inline");
    }
}
