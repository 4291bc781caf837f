//! A real browser: Chromium without a window, told what to do through chromedriver (WebDriver: JSON over HTTP). Its
//! profile is new and goes with it, and it asks nobody but the page's service.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// When what the page does not show is given up. No outcome depends on it.
const PATIENCE: Duration = Duration::from_secs(120);

/// The key under which WebDriver writes an element's reference.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

const FLAGS: [&str; 11] = [
    "--headless",
    // As root, in a container, Chromium has no sandbox to start; the pages it sees here are the project's own.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
];

pub(super) const TAB: &str = "\u{E004}";
pub(super) const ENTER: &str = "\u{E007}";

/// Whether there is a browser; says so where there is none, and fails where one has to be.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(super) fn is_here() -> bool {
    let version = Command::new("chromedriver").arg("--version").output();
    let is_here = version.is_ok_and(|output| output.status.success());
    if !is_here {
        assert!(std::env::var_os("DOCMILL_NEED_BROWSER").is_none(), "DOCMILL_NEED_BROWSER is set, and no chromedriver");
        eprintln!("skipped: no chromedriver here");
    }
    is_here
}

/// A browser with one page.
pub(super) struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    client: reqwest::Client,
    profile: TempDir,
}

impl Browser {
    pub(super) async fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let address = address(&mut driver);
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut browser = Self { driver, address, session: String::new(), client, profile };
        let mut flags: Vec<String> = FLAGS.iter().map(ToString::to_string).collect();
        flags.push(format!("--user-data-dir={}", browser.profile.path().display()));
        let wanted = json!({
            "goog:chromeOptions": { "args": flags },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let made = browser.post("session", json!({ "capabilities": { "alwaysMatch": wanted } })).await;
        browser.session = made["sessionId"].as_str().expect("a session").to_owned();
        browser.go(url).await;
        browser
    }

    pub(super) async fn go(&self, url: &str) {
        self.tell("url", json!({ "url": url })).await;
    }

    /// Opens a tab of its own, and goes on in it.
    pub(super) async fn tab(&self, url: &str) {
        let made = self.tell("window/new", json!({ "type": "tab" })).await;
        self.tell("window", json!({ "handle": made["handle"] })).await;
        self.go(url).await;
    }

    /// What a script gives, which is the body of a function.
    pub(super) async fn script(&self, script: &str) -> Value {
        self.tell("execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// The same, as text.
    pub(super) async fn text(&self, script: &str) -> String {
        let value = self.script(script).await;
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }

    /// Waits until an expression is true.
    pub(super) async fn wait_for(&self, expression: &str) {
        let since = Instant::now();
        while self.script(&format!("return Boolean({expression})")).await != true {
            if since.elapsed() > PATIENCE {
                let page = self.text("return document.body.innerText").await;
                panic!("it never comes true: {expression}\n{page}\n{:?}", self.complaints().await);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Types into an element, or names files to a file input, one a line.
    pub(super) async fn type_into(&self, selector: &str, text: &str) {
        let found = self.tell("element", json!({ "using": "css selector", "value": selector })).await;
        let id = found[ELEMENT].as_str().expect("an element");
        self.tell(&format!("element/{id}/value"), json!({ "text": text })).await;
    }

    /// Presses keys, wherever the focus is.
    pub(super) async fn press(&self, keys: &str) {
        let press = |key: char| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }));
        let actions: Vec<Value> = keys.chars().flat_map(press).collect();
        self.tell("actions", json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] })).await;
    }

    /// Presses a key until the focus is on an element; how often, at most 100 times.
    pub(super) async fn press_until(&self, key: &str, selector: &str) -> usize {
        for times in 0..100 {
            if self.script(&format!("return document.activeElement.matches({selector:?})")).await == true {
                return times;
            }
            self.press(key).await;
        }
        panic!("the focus never comes to {selector}");
    }

    /// Makes the page so many pixels wide.
    pub(super) async fn width(&self, pixels: u32) {
        let size = json!({ "width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": size });
        self.tell("goog/cdp/execute", command).await;
    }

    /// What the browser complained of since it was asked last: errors of scripts, refused answers, broken policies.
    pub(super) async fn complaints(&self) -> Vec<String> {
        let log = self.tell("se/log", json!({ "type": "browser" })).await;
        let entries = log.as_array().expect("a list").iter();
        entries.filter(|entry| entry["level"] != "INFO").map(|entry| entry["message"].to_string()).collect()
    }

    async fn tell(&self, command: &str, body: Value) -> Value {
        self.post(&format!("session/{}/{command}", self.session), body).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.client.post(format!("http://{}/{path}", self.address));
        let request = request.header("content-type", "application/json").body(body.to_string());
        let answer = request.send().await.expect("chromedriver answers");
        let is_well = answer.status().is_success();
        let body: Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("it speaks JSON");
        assert!(is_well, "{path}: {}: {}", body["value"]["error"], body["value"]["message"]);
        body["value"].clone()
    }
}

impl Drop for Browser {
    /// Closes the browser, which chromedriver does not do when it is killed; also after a test has failed.
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(self.address) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            let host = self.address;
            let request = format!("DELETE /session/{} HTTP/1.1\r\nhost: {host}\r\n\r\n", self.session);
            let _ = stream.write_all(request.as_bytes());
            let _ = stream.read(&mut [0; 1024]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Where chromedriver listens: it chooses a port and says so.
fn address(driver: &mut Child) -> SocketAddr {
    let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines();
    let said = "was started successfully on port ";
    let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, port) = line.split_once(said)?;
        port.trim_end_matches('.').parse::<u16>().ok()
    });
    // What else it says is read, so that it never waits for room.
    std::thread::spawn(move || lines.for_each(drop));
    SocketAddr::from(([127, 0, 0, 1], port.expect("chromedriver says where it listens")))
}
