//! The source through its factory, over real files and a real web server.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use docmill_api::{Digest, ErrorClass, Registry, defaults};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Answers each path with these, one after the other, the last for ever; `{at}` in a body is the server's address.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

type Answer = (&'static str, Vec<u8>);

impl Server {
    async fn start(answers: &[(&str, &[Answer])]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let filled = |(head, body): &Answer| {
            let body = match std::str::from_utf8(body) {
                Ok(text) => text.replace("{at}", &address.to_string()).into_bytes(),
                Err(_) => body.clone(),
            };
            let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            [head.into_bytes(), body].concat()
        };
        let mut answers: BTreeMap<String, VecDeque<Vec<u8>>> =
            answers.iter().map(|(path, answers)| ((*path).to_owned(), answers.iter().map(filled).collect())).collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                let path = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned();
                let missing = || b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec();
                let answer = answers.get_mut(&path).map_or_else(missing, |queue| {
                    if queue.len() > 1 { queue.pop_front().unwrap() } else { queue[0].clone() }
                });
                seen.lock().unwrap().push(path);
                // A client that has seen enough hangs up: no matter here.
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { address, asked, task }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const OK: &str = "200 OK";

fn ok(body: &str) -> Answer {
    (OK, body.as_bytes().to_vec())
}

fn pages(urls: &[&str]) -> String {
    let entries: Vec<String> = urls.iter().map(|url| format!("<url><loc>{url}</loc></url>")).collect();
    format!(
        "<?xml version=\"1.0\"?><urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">{}</urlset>",
        entries.concat()
    )
}

fn index(urls: &[&str]) -> String {
    let entries: Vec<String> = urls.iter().map(|url| format!("<sitemap><loc>{url}</loc></sitemap>")).collect();
    format!("<sitemapindex>{}</sitemapindex>", entries.concat())
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    crate::register(&mut registry);
    registry
}

fn config(changes: &Value) -> Value {
    let mut config = defaults(&UrlsFactory::spec().fields);
    config["cidrs"] = json!(["127.0.0.1"]);
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

async fn source(base: &Path, changes: &Value, inputs: &[&str]) -> Result<Box<dyn Source>, StageError> {
    let cx = BuildContext {
        stage: "source".into(),
        base: base.to_owned(),
        fingerprint: Digest::of(&[]),
        embedding: None,
        inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
        ..BuildContext::default()
    };
    match registry().get("urls").unwrap().build(config(changes), &cx).await? {
        Node::Source(source) => Ok(source),
        _ => panic!("`urls` is a source"),
    }
}

async fn list_from(base: &Path, changes: Value, inputs: &[&str]) -> Vec<SourceItem> {
    let mut source = source(base, &changes, inputs).await.unwrap();
    let mut items = Vec::new();
    while let Some(item) = source.next(&Context::detached()).await.unwrap() {
        items.push(item);
    }
    assert_eq!(source.next(&Context::detached()).await.unwrap(), None, "the end stays the end");
    items
}

async fn list(changes: Value) -> Vec<String> {
    let items = list_from(&std::env::temp_dir(), changes, &[]).await;
    items.into_iter().map(|item| item.uri).collect()
}

#[tokio::test]
async fn addresses_a_list_and_sitemaps_are_listed_in_order_and_each_address_once() {
    let dir = tempfile::tempdir().unwrap();
    let lines =
        "\u{feff}# mine\r\n\r\nhttps://h.example/b\r\n  s3://bucket/c  \nhttps://h.example/a#part\nno address\n";
    std::fs::write(dir.path().join("list.txt"), lines).unwrap();
    std::fs::write(dir.path().join("map.xml"), pages(&["https://h.example/b", "https://h.example/zorblax"])).unwrap();
    let changes = json!({ "urls": ["https://h.example/a"], "list": "list.txt", "sitemap": ["map.xml"] });
    let items = list_from(dir.path(), changes, &[]).await;
    let uris: Vec<&str> = items.iter().map(|item| item.uri.as_str()).collect();
    let wrong = "list:list.txt line 6: no address: relative URL without a base";
    let expected = ["https://h.example/a", "https://h.example/b", "s3://bucket/c", wrong, "https://h.example/zorblax"];
    assert_eq!(uris, expected);
}

#[tokio::test]
async fn a_list_is_read_in_batches_and_a_caller_that_gives_up_loses_no_line() {
    let dir = tempfile::tempdir().unwrap();
    let expected: Vec<String> = (0..1000).map(|number| format!("https://h.example/{number}")).collect();
    let long = format!("https://h.example/{}", "x".repeat(1 << 20));
    std::fs::write(dir.path().join("list"), format!("{}\n{long}\n", expected.join("\n"))).unwrap();
    let mut source = source(dir.path(), &json!({ "list": "list" }), &[]).await.unwrap();
    let mut found = Vec::new();
    loop {
        let cx = Context::detached();
        let given_up = tokio::select! {
            biased;
            item = source.next(&cx) => Some(item),
            () = std::future::ready(()) => None,
        };
        let item = match given_up {
            Some(item) => item,
            None => source.next(&cx).await,
        };
        let Some(item) = item.unwrap() else { break };
        found.push(item.uri);
    }
    assert_eq!(found.pop().unwrap(), "list:list line 1001: longer than 64 KiB");
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_sitemap_gives_its_addresses_with_their_dates_and_no_others() {
    let xml = "<?xml version='1.0' encoding='UTF-8'?>
        <!DOCTYPE urlset [<!ENTITY a \"https://h.example/entity\">]>
        <sm:urlset xmlns:sm='http://www.sitemaps.org/schemas/sitemap/0.9' xmlns:image='http://x'>
          <sm:url>
            <sm:loc>
              https://h.example/a?b=1&amp;c=&#50;
            </sm:loc>
            <sm:lastmod>2026-03-01</sm:lastmod>
            <image:image><image:loc>https://h.example/picture.png</image:loc></image:image>
          </sm:url>
          <!-- <url><loc>https://h.example/comment</loc></url> -->
          <sm:url><sm:loc><![CDATA[https://h.example/zorblax]]></sm:loc><sm:priority>1</sm:priority></sm:url>
          <sm:url><sm:loc>file:///etc/passwd</sm:loc></sm:url>
          <sm:url><sm:loc>/relative</sm:loc></sm:url>
          <sm:url><sm:loc>&a;</sm:loc></sm:url>
          <sm:url/>
          <sm:url></sm:url>
        </sm:urlset>";
    let server = Server::start(&[("/sitemap.xml", &[ok(xml)])]).await;
    let items = list_from(Path::new("/"), json!({ "sitemap": [server.url("/sitemap.xml")] }), &[]).await;
    assert_eq!(
        (items[0].uri.as_str(), &items[0].metadata["last_modified"]),
        ("https://h.example/a?b=1&c=2", &json!("2026-03-01"))
    );
    assert_eq!(items[1].uri, "https://h.example/zorblax");
    assert!(items[1].metadata.is_empty());
    let name = server.url("/sitemap.xml");
    let rest: Vec<&str> = items[2..].iter().map(|item| item.uri.as_str()).collect();
    let expected = [
        format!("sitemap:{name} entry 3: `file` is no web address, which is all that a sitemap may name"),
        format!("sitemap:{name} entry 4: no address: relative URL without a base"),
        format!("sitemap:{name} entry 5: it has no address"),
        format!("sitemap:{name} entry 6: it has no address"),
    ];
    assert_eq!(rest, expected);
}

#[tokio::test]
async fn indexes_are_followed_in_order_gzipped_or_not_and_those_that_name_each_other_end() {
    let packed = gzipped(pages(&["https://h.example/2"]).as_bytes());
    let top = index(&["http://{at}/one.xml", "http://{at}/two.xml.gz", "http://{at}/deep.xml"]);
    let server = Server::start(&[
        ("/top.xml", &[ok(&top)]),
        ("/one.xml", &[ok(&pages(&["https://h.example/1"]))]),
        ("/two.xml.gz", &[(OK, packed)]),
        ("/deep.xml", &[ok(&index(&["http://{at}/top.xml", "http://{at}/one.xml", "http://{at}/last.xml"]))]),
        ("/last.xml", &[ok(&pages(&["https://h.example/3"]))]),
    ])
    .await;
    let found = list(json!({ "sitemap": [server.url("/top.xml"), server.url("/one.xml")] })).await;
    assert_eq!(found, ["https://h.example/1", "https://h.example/2", "https://h.example/3"]);
    assert_eq!(server.asked(), ["/top.xml", "/one.xml", "/two.xml.gz", "/deep.xml", "/last.xml"], "each once");
}

#[tokio::test]
async fn indexes_that_go_too_deep_are_listed_to_fail() {
    let server = Server::start(&[
        ("/0", &[ok(&index(&["http://{at}/1"]))]),
        ("/1", &[ok(&index(&["http://{at}/2"]))]),
        ("/2", &[ok(&index(&["http://{at}/3", "http://{at}/3b"]))]),
        ("/3", &[ok(&index(&["http://{at}/4"]))]),
        ("/3b", &[ok(&pages(&["https://h.example/zorblax"]))]),
    ])
    .await;
    let found = list(json!({ "sitemap": [server.url("/0")] })).await;
    let deep = format!("sitemap:{}: it names further sitemaps, 4 deep: they are not read", server.url("/3"));
    assert_eq!(found, [deep.as_str(), "https://h.example/zorblax"]);
    assert!(!server.asked().contains(&"/4".to_owned()));
}

#[tokio::test]
async fn a_private_address_is_asked_only_where_it_is_allowed() {
    let server = Server::start(&[("/sitemap.xml", &[ok(&pages(&["https://h.example/zorblax"]))])]).await;
    let found = list(json!({ "sitemap": [server.url("/sitemap.xml")], "cidrs": [] })).await;
    assert_eq!(found.len(), 1);
    assert!(found[0].ends_with("address 127.0.0.1 is private (loopback): allow it with `cidrs`"), "{found:?}");
    let by_name = format!("http://localhost:{}/sitemap.xml", server.address.port());
    let found = list(json!({ "sitemap": [by_name], "cidrs": [] })).await;
    assert!(found[0].contains("of `localhost` is private"), "{found:?}");
    assert!(server.asked().is_empty());
    assert_eq!(list(json!({ "sitemap": [server.url("/sitemap.xml")] })).await, ["https://h.example/zorblax"]);
}

#[tokio::test]
async fn neither_a_redirect_nor_an_index_leads_to_a_private_address() {
    let away = "302 Found\r\nLocation: http://127.0.0.2/sitemap.xml";
    let near = "302 Found\r\nLocation: /there.xml";
    let server = Server::start(&[
        ("/away.xml", &[(away, Vec::new())]),
        ("/near.xml", &[(near, Vec::new())]),
        ("/there.xml", &[ok(&pages(&["https://h.example/zorblax"]))]),
        ("/index.xml", &[ok(&index(&["http://127.0.0.3/sitemap.xml", "file:///etc/sitemap.xml"]))]),
    ])
    .await;
    let places = ["/away.xml", "/near.xml", "/index.xml"].map(|path| server.url(path));
    let found = list(json!({ "sitemap": places })).await;
    assert!(found[0].contains("127.0.0.2 is private"), "{found:?}");
    assert_eq!(found[1], "https://h.example/zorblax");
    assert!(found[2].contains("entry 2: `file` is no web address"), "{found:?}");
    assert!(found[3].contains("127.0.0.3 is private"), "{found:?}");
    assert_eq!(found.len(), 4);
}

#[tokio::test]
async fn what_is_too_large_or_no_sitemap_is_listed_to_fail() {
    let bomb = gzipped(&vec![b' '; (50 << 20) + 1]);
    let cut = pages(&["https://h.example/1", "https://h.example/2"]).replace("</loc></url></urlset>", "");
    let many = pages(&vec!["https://h.example/same"; 50_001]);
    let server = Server::start(&[
        ("/bomb", &[(OK, bomb)]),
        ("/html", &[ok("<html><body>zorblax</body></html>")]),
        ("/text", &[ok("https://h.example/plain")]),
        ("/cut", &[ok(&cut)]),
        ("/many", &[ok(&many)]),
        ("/deep", &[ok(&"<urlset>".repeat(100_000))]),
        ("/packed", &[(OK, vec![0x1f, 0x8b, 1, 2, 3])]),
    ])
    .await;
    let paths = ["/bomb", "/html", "/text", "/cut", "/many", "/deep", "/packed", "/missing"];
    let mut places: Vec<String> = paths.iter().map(|path| server.url(path)).collect();
    places.extend(["ftp://h.example/sitemap.xml".to_owned(), "gone.xml".to_owned()]);
    let found = list(json!({ "sitemap": places })).await;
    let expected = [
        "larger than 50 MiB, which no sitemap may be",
        "no sitemap: its root is `html`",
        "no sitemap: it ends before its end",
        "https://h.example/1",
        "what follows entry 2 is not listed",
        "https://h.example/same",
        "it has more than 50000 entries: the rest is not listed",
        "no sitemap: more than 64 elements deep",
        "cannot be unpacked: ",
        "the server answered 404 Not Found",
        "a sitemap is a file or a web address",
        "No such file or directory",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (uri, expected) in found.iter().zip(expected) {
        assert!(uri.contains(expected), "`{uri}` says not `{expected}`");
    }
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_fails_as_a_document_in_the_end() {
    let busy: Answer = ("503 Service Unavailable", Vec::new());
    let good = ok(&pages(&["https://h.example/zorblax"]));
    let server = Server::start(&[
        ("/recovers", &[busy.clone(), busy.clone(), good.clone()]),
        ("/never", std::slice::from_ref(&busy)),
        ("/after", &[good]),
    ])
    .await;
    let places = ["/recovers", "/never"].map(|path| server.url(path));
    let urls = json!({ "sitemap": places, "urls": ["https://h.example/first"] });
    let mut source = source(Path::new("/"), &urls, &[]).await.unwrap();
    let (mut found, mut retries) = (Vec::new(), 0);
    loop {
        match source.next(&Context::detached()).await {
            Ok(Some(item)) => found.push(item.uri),
            Ok(None) => break,
            Err(error) => {
                assert_eq!(error.class, ErrorClass::Transient, "{error}");
                retries += 1;
            }
        }
    }
    let failed = format!("sitemap:{}: the server answered 503 Service Unavailable", server.url("/never"));
    assert_eq!(found, ["https://h.example/first", "https://h.example/zorblax", &failed]);
    assert_eq!(retries, 4);
}

#[tokio::test]
async fn a_server_that_never_answers_is_waited_for_no_longer_than_the_run() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!("http://{}/sitemap.xml", listener.local_addr().unwrap());
    let mut source = source(Path::new("/"), &json!({ "sitemap": [place] }), &[]).await.unwrap();
    let cx = Context::detached();
    let cancel = cx.cancel.clone();
    let (answer, _stream) = tokio::join!(
        async { tokio::time::timeout(Duration::from_secs(20), source.next(&cx)).await.expect("cancelled") },
        async {
            let stream = listener.accept().await.unwrap();
            cancel.cancel();
            stream
        }
    );
    assert!(answer.is_err());
}

#[tokio::test]
async fn globs_and_a_limit_choose_among_what_is_found_and_not_among_what_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let found = [
        "https://h.example/docs/a",
        "https://h.example/docs/a.zip",
        "https://h.example/blog/b",
        "https://h.example/docs/c/d",
    ];
    std::fs::write(dir.path().join("map.xml"), pages(&found)).unwrap();
    std::fs::write(dir.path().join("list"), found.join("\n")).unwrap();
    for place in [json!({ "sitemap": ["map.xml"] }), json!({ "list": "list" })] {
        let mut changes =
            json!({ "urls": ["ftp://x/"], "include": ["https://h.example/docs/**"], "exclude": ["**/*.zip"] });
        changes.as_object_mut().unwrap().extend(place.as_object().unwrap().clone());
        let items = list_from(dir.path(), changes.clone(), &[]).await;
        let uris: Vec<&str> = items.iter().map(|item| item.uri.as_str()).collect();
        assert_eq!(uris, ["ftp://x/", "https://h.example/docs/a", "https://h.example/docs/c/d"]);
        changes["limit"] = json!(2);
        assert_eq!(list_from(dir.path(), changes, &[]).await.len(), 2);
    }
}

#[tokio::test]
async fn the_command_line_names_sitemaps_lists_and_addresses() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&[("/Sitemap_index.xml?x=1", &[ok(&pages(&["https://h.example/1"]))])]).await;
    let file = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
        dir.path().join(name).to_str().unwrap().to_owned()
    };
    let local = file("sitemap-2.xml", &pages(&["https://h.example/2"]));
    let listed = file("list.txt", "https://h.example/3\n");
    let page = "https://h.example/sitemap.html?sitemap.xml";
    let inputs = [&server.url("/Sitemap_index.xml?x=1"), &local, &listed, page, "gone.txt"];
    let items = list_from(dir.path(), json!({ "urls": ["https://h.example/not"] }), &inputs).await;
    let uris: Vec<&str> = items.iter().map(|item| item.uri.as_str()).collect();
    let gone = "urls:gone.txt: neither an address nor a file that is there";
    assert_eq!(uris, ["https://h.example/1", "https://h.example/2", "https://h.example/3", page, gone]);
}

#[tokio::test]
async fn a_list_that_is_not_there_and_nothing_at_all_keep_a_run_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    for (changes, expected) in [(json!({ "list": "gone.txt" }), "gone.txt"), (json!({}), "nothing to list")] {
        let Err(error) = source(dir.path(), &changes, &[]).await else { panic!("{changes}") };
        assert!(error.class == ErrorClass::Fatal && error.message.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn it_keeps_the_contract_of_every_stage() {
    let urls = json!(["https://h.example/a", "s3://bucket/b"]);
    docmill_testkit::conformance::Suite::new(&registry(), "urls").with("urls", urls).run().await;
}

#[test]
fn what_is_wrong_with_the_table_is_found_without_reading_anything() {
    let registry = registry();
    let factory = registry.get("urls").unwrap();
    let wrong = json!({
        "urls": ["https://h.example/", "docs/a.pdf"], "list": "-", "sitemap": [""], "include": ["{"], "exclude": ["a["],
        "cidrs": ["10.0.0.0/8", "ten"],
    });
    let issues = factory.validate(&config(&wrong));
    let paths: Vec<String> = issues.iter().map(|issue| issue.path.join(".")).collect();
    assert_eq!(paths, ["urls.1", "list", "sitemap.0", "include.0", "exclude.0", "cidrs.1"]);
    assert!(issues[1].hint.as_deref().unwrap().contains("stdin"));
    assert!(factory.spec().fields.iter().all(|field| !field.changes_output));
}
