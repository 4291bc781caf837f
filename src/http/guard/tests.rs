//! Who is let in, and what an answer says besides itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, Request};
use axum::http::{Method, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Notify;
use tower::Service;

use super::{GuardSettings, Observe, guarded};

type Seen = Arc<Mutex<Vec<(String, String, u16)>>>;

fn open() -> GuardSettings {
    GuardSettings {
        address: ([127, 0, 0, 1], 8080).into(),
        open: true,
        hosts: vec!["Mill.Example.".into()],
        origins: vec!["https://docs.example".into(), "no origin".into()],
    }
}

fn keyed() -> GuardSettings {
    GuardSettings { open: false, ..open() }
}

fn app(settings: &GuardSettings) -> (Router, Seen) {
    let seen = Seen::default();
    let observe: Observe = {
        let seen = Arc::clone(&seen);
        Arc::new(move |method: &Method, route: &str, status, _took: Duration| {
            let line = (method.to_string(), route.to_owned(), status);
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        })
    };
    let routes = Router::new()
        .route("/v1/documents/{id}", get(|Path(id): Path<String>| async move { id }))
        .route("/v1/documents", post(|| async { StatusCode::ACCEPTED }))
        .route("/v1/number", get(|Query(number): Query<Vec<(String, u8)>>| async move { number.len().to_string() }))
        .route(
            "/panics",
            get(|| async {
                if true {
                    panic!("of a document's content")
                }
            }),
        )
        .route("/never", get(std::future::pending::<()>))
        .route(
            "/busy",
            get(|| async { (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "7")], "full").into_response() }),
        )
        .route("/", get(|| async { [("content-security-policy", "default-src 'self'"), ("server", "mill 1.0")] }));
    (guarded(routes, settings, observe), seen)
}

async fn ask(app: &Router, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).expect("a request");
    let Ok(response) = app.clone().call(request).await;
    response
}

async fn words(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

#[tokio::test]
async fn without_keys_a_service_on_loopback_answers_to_its_own_names() {
    let table = [
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("localhost.", 200),
        ("127.0.0.1", 200),
        ("127.0.0.1:8080", 200),
        ("[::1]", 200),
        ("[::1]:9", 200),
        ("mill.example:8080", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("evil.example:127.0.0.1", 400),
        ("127.0.0.1.evil.example:8080", 421),
        ("127.0.0.2", 421),
        ("127.1", 421),
        ("2130706433", 421),
        ("0.0.0.0:8080", 421),
        ("[::]:8080", 421),
        ("[::ffff:127.0.0.1]", 421),
        ("localhost@evil.example", 400),
        ("evil.example@localhost", 400),
        ("localhost:99999", 400),
        ("localhost:80a", 400),
        ("localhost/evil", 400),
        ("local host", 400),
        ("", 400),
    ];
    let (app, _) = app(&open());
    for (host, expected) in table {
        let response = ask(&app, "GET", "/v1/documents/a", &[("host", host)]).await;
        assert_eq!(response.status(), expected, "{host}");
        if expected != 200 {
            assert_eq!(header(&response, "content-type"), "application/problem+json", "{host}");
        }
    }
    let asked = |path: &'static str, hosts: &'static [(&str, &str)]| ask(&app, "GET", path, hosts);
    assert_eq!(asked("/v1/documents/a", &[]).await.status(), 400);
    assert_eq!(asked("/v1/documents/a", &[("host", "localhost"), ("host", "localhost")]).await.status(), 400);
    // The whole address says more than the header.
    assert_eq!(asked("http://evil.example/v1/documents/a", &[("host", "localhost")]).await.status(), 421);
    assert_eq!(asked("http://localhost/v1/documents/a", &[("host", "localhost")]).await.status(), 200);
    let mut old =
        Request::builder().version(Version::HTTP_10).uri("/v1/documents/a").body(Body::empty()).expect("a request");
    old.headers_mut().clear();
    let Ok(response) = app.clone().call(old).await;
    assert_eq!(response.status(), 200, "no browser speaks HTTP/1.0");
}

#[tokio::test]
async fn with_keys_or_for_others_any_name_will_do() {
    let elsewhere = GuardSettings { address: ([10, 0, 0, 1], 80).into(), ..open() };
    for settings in [keyed(), elsewhere] {
        let (app, _) = app(&settings);
        let response = ask(&app, "GET", "/v1/documents/a", &[("host", "docs.company.example")]).await;
        assert_eq!(response.status(), 200);
    }
    let named = GuardSettings { address: ([127, 0, 0, 9], 80).into(), ..open() };
    let (app, _) = app(&named);
    assert_eq!(ask(&app, "GET", "/v1/documents/a", &[("host", "127.0.0.9:80")]).await.status(), 200);
}

#[tokio::test]
async fn pages_of_other_sites_may_not_ask() {
    let table = [
        ("localhost:8080", "http://localhost:8080", 202),
        ("LocalHost:8080", "http://localhost:8080", 202),
        ("localhost", "http://localhost", 202),
        ("mill.example", "https://mill.example", 202),
        ("127.0.0.1:8080", "https://docs.example", 202),
        ("localhost:8080", "http://localhost:3000", 403),
        ("localhost", "http://localhost:3000", 403),
        ("localhost:8080", "http://127.0.0.1:8080", 403),
        ("localhost:8080", "https://evil.example", 403),
        ("localhost:8080", "http://docs.example", 403),
        ("localhost:8080", "https://docs.example.evil.example", 403),
        ("localhost:8080", "https://docs.example:444", 403),
        ("localhost:8080", "null", 403),
        ("localhost:8080", "", 403),
        ("localhost:8080", "file://", 403),
        ("localhost:8080", "http://localhost:8080/path", 403),
        ("localhost:8080", "http://evil@localhost:8080", 403),
    ];
    for settings in [open(), keyed()] {
        let (app, _) = app(&settings);
        for (host, origin, expected) in table {
            let response = ask(&app, "POST", "/v1/documents", &[("host", host), ("origin", origin)]).await;
            assert_eq!(response.status(), expected, "{origin} at {host}");
        }
        let twice = [("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://localhost")];
        assert_eq!(ask(&app, "POST", "/v1/documents", &twice).await.status(), 403);
    }
}

#[tokio::test]
async fn sites_that_are_named_get_cors_and_no_others() {
    let preflight =
        |origin: &'static str| [("host", "localhost"), ("origin", origin), ("access-control-request-method", "PATCH")];
    let (app_with, _) = app(&open());
    let response = ask(&app_with, "OPTIONS", "/v1/documents", &preflight("https://docs.example")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "access-control-allow-origin"), "https://docs.example");
    assert!(header(&response, "access-control-allow-methods").contains("PATCH"));
    assert!(header(&response, "access-control-allow-headers").contains("authorization"));
    assert_eq!(header(&response, "access-control-allow-credentials"), "");
    let response = ask(&app_with, "OPTIONS", "/v1/documents", &preflight("https://evil.example")).await;
    assert_eq!((response.status().as_u16(), header(&response, "access-control-allow-origin")), (403, ""));
    let (without, _) = app(&GuardSettings { origins: Vec::new(), ..open() });
    let response = ask(&without, "OPTIONS", "/v1/documents", &preflight("http://localhost")).await;
    assert_eq!((response.status().as_u16(), header(&response, "access-control-allow-origin")), (405, ""));
}

#[tokio::test]
async fn every_answer_has_its_headers() {
    let (app, _) = app(&open());
    let own = [("host", "localhost")];
    let foreign = [("host", "localhost"), ("origin", "null")];
    let table: [(_, &[_]); 5] =
        [("/v1/documents/a", &own), ("/", &own), ("/nothing", &own), ("/panics", &own), ("/", &foreign)];
    for (path, headers) in table {
        let response = ask(&app, "GET", path, headers).await;
        assert_eq!(header(&response, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&response, "x-frame-options"), "DENY", "{path}");
        assert_eq!(header(&response, "referrer-policy"), "no-referrer", "{path}");
        assert_eq!(header(&response, "server"), "", "{path}");
        let cache = if path.starts_with("/v1") { "no-store" } else { "no-cache" };
        assert_eq!(header(&response, "cache-control"), cache, "{path}");
        assert!(!header(&response, "content-security-policy").is_empty(), "{path}");
    }
    let page = ask(&app, "GET", "/", &own).await;
    assert_eq!(header(&page, "content-security-policy"), "default-src 'self'");
}

#[tokio::test]
async fn what_goes_wrong_is_told_as_problem_details() {
    let (app, _) = app(&open());
    let table = [
        ("GET", "/nothing", 404, "/openapi.json"),
        ("DELETE", "/v1/documents", 405, "Allow"),
        ("GET", "/v1/number?a=x", 400, "invalid digit"),
        ("GET", "/busy", 503, "full"),
        ("GET", "/panics", 500, "goes on"),
        ("GET", "/v1/documents/a", 200, ""),
    ];
    for (method, path, status, detail) in table {
        let response = ask(&app, method, path, &[("host", "localhost")]).await;
        assert_eq!(response.status(), status, "{path}");
        match status {
            405 => assert_eq!(header(&response, "allow"), "POST"),
            503 => assert_eq!(header(&response, "retry-after"), "7"),
            _ => {}
        }
        if status == 200 {
            continue;
        }
        assert_eq!(header(&response, "content-type"), "application/problem+json", "{path}");
        let said: serde_json::Value = serde_json::from_str(&words(response).await).expect("JSON");
        assert_eq!(said["status"], status);
        assert!(said["detail"].as_str().is_some_and(|said| said.contains(detail)), "{said}");
        assert!(!said.to_string().contains("document's content"), "{said}");
    }
}

#[tokio::test]
async fn every_request_is_told_once() {
    let (app, seen) = app(&open());
    let host = [("host", "localhost")];
    ask(&app, "GET", "/v1/documents/one", &host).await;
    ask(&app, "GET", "/v1/documents/two", &[("host", "evil.example")]).await;
    ask(&app, "DELETE", "/v1/documents", &host).await;
    ask(&app, "BREW", "/anything/at/all", &host).await;
    ask(&app, "GET", "/panics", &host).await;
    // A peer that goes before it is answered.
    let polled = Arc::new(Notify::new());
    let gone = {
        let (app, polled) = (app.clone(), Arc::clone(&polled));
        tokio::spawn(async move {
            polled.notify_one();
            ask(&app, "GET", "/never", &host).await
        })
    };
    polled.notified().await;
    tokio::task::yield_now().await;
    gone.abort();
    let _ = gone.await;
    let line = |method: &str, route: &str, status| (method.to_owned(), route.to_owned(), status);
    let told = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(
        told,
        [
            line("GET", "/v1/documents/{id}", 200),
            line("GET", "/v1/documents/{id}", 421),
            line("DELETE", "/v1/documents", 405),
            line("OTHER", "unmatched", 404),
            line("GET", "/panics", 500),
            line("GET", "/never", 499),
        ]
    );
}
