//! A whole object store on loopback: a server of moto, where `DOCMILL_MOTO` names its program.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// A store of this test's own, which goes with it.
#[derive(Debug)]
pub struct Moto {
    child: Child,
    place: String,
}

impl Moto {
    /// Starts one on a free port. `None`, and a word on standard error, where no program is named.
    ///
    /// # Errors
    /// The program does not start, or says nothing of where it listens.
    pub fn start() -> io::Result<Option<Self>> {
        let Some(program) = std::env::var_os("DOCMILL_MOTO") else {
            writeln!(io::stderr(), "not run: DOCMILL_MOTO does not name the program of a moto server")?;
            return Ok(None);
        };
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", "0"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let said = child.stderr.take().ok_or_else(|| io::Error::other("it has no standard error"))?;
        let mut lines = BufReader::new(said).lines().map_while(Result::ok);
        let place = lines.by_ref().find_map(|line| line.split("http://").nth(1).map(|rest| rest.trim().to_owned()));
        // It goes on to say what it is asked, and somebody has to listen.
        std::thread::spawn(move || lines.for_each(drop));
        let mut moto = Self { child, place: String::new() };
        moto.place = place.ok_or_else(|| io::Error::other("it does not say where it listens"))?;
        Ok(Some(moto))
    }

    /// Its address, as an endpoint.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.place)
    }

    /// Stores an object below `BUCKET/KEY`, percent-encoded; without a key it makes a bucket.
    ///
    /// # Errors
    /// It is not stored.
    pub fn put(&self, path: &str, body: &[u8]) -> io::Result<()> {
        self.ask("PUT", path, body).map(drop)
    }

    /// The keys of a bucket, up to a thousand.
    ///
    /// # Errors
    /// They cannot be listed.
    pub fn keys(&self, bucket: &str) -> io::Result<Vec<String>> {
        let answer = self.ask("GET", &format!("{bucket}?list-type=2"), b"")?;
        let answer = String::from_utf8_lossy(&answer);
        Ok(answer.split("<Key>").skip(1).filter_map(|rest| Some(rest.split_once("</Key>")?.0.to_owned())).collect())
    }

    /// The content of an object at `BUCKET/KEY`, percent-encoded.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn get(&self, path: &str) -> io::Result<Vec<u8>> {
        self.ask("GET", path, b"")
    }

    /// What is told of an object beside its content: the head of the answer, in lower case.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn head(&self, path: &str) -> io::Result<String> {
        Ok(self.answer("GET", path, b"")?.0)
    }

    fn ask(&self, method: &str, path: &str, body: &[u8]) -> io::Result<Vec<u8>> {
        Ok(self.answer(method, path, body)?.1)
    }

    fn answer(&self, method: &str, path: &str, body: &[u8]) -> io::Result<(String, Vec<u8>)> {
        // A signature that nobody checks names the account and the region.
        let head = format!(
            "{method} /{path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\nAuthorization: \
             AWS4-HMAC-SHA256 Credential=x/20260301/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n",
            self.place,
            body.len()
        );
        let mut peer = TcpStream::connect(&self.place)?;
        peer.write_all(head.as_bytes())?;
        peer.write_all(body)?;
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer)?;
        let head = answer.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4);
        match head.filter(|_| answer.starts_with(b"HTTP/1.1 200")) {
            Some(head) => {
                let body = answer.split_off(head);
                Ok((String::from_utf8_lossy(&answer).to_ascii_lowercase(), body))
            }
            None => Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned())),
        }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
