//! chromedriver: the program that speaks WebDriver to Chromium.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use fantoccini::wd::WebDriverCompatibleCommand;
use http::Method;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use url::{ParseError, Url};

/// Debian's name for it; other systems' packages use it too.
const CHROMEDRIVER: &str = "chromedriver";

/// How long a browser may take to end when its test failed.
const END: Duration = Duration::from_secs(10);

/// A running driver. Dropping it ends its session's browser and itself, also when a test fails.
pub(crate) struct Driver {
    /// `127.0.0.1:port`.
    pub(crate) address: String,
    /// The session to end on drop, if it has not ended by then.
    pub(crate) session: Option<String>,
    _process: Child,
    // Kept open, or the driver would die of its next line.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Driver {
    /// Starts the driver on a port that the system picks.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let mut process = Command::new(CHROMEDRIVER)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("chromedriver is not installed. On Debian: apt-get install chromium-driver. `cargo xtask test --only browser` does it.")?;
        let output = process.stdout.take().context("the driver's output was asked for")?;
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next_line().await? {
            if let Some((_, port)) = line.strip_suffix('.').and_then(|line| line.rsplit_once("on port ")) {
                let address = format!("127.0.0.1:{port}");
                return Ok(Self { address, session: None, _process: process, _output: lines });
            }
        }
        bail!("chromedriver ended before it was ready")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            // A browser that does not end is left alone: the test has failed already, with a better message.
            let _ = end_session(&self.address, &session);
        }
    }
}

/// Ends a session without async, for `drop`: a killed driver would leave its browser running.
fn end_session(address: &str, session: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(END))?;
    write!(stream, "DELETE /session/{session} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}

/// `POST …/se/log`: what the console holds since the last call.
#[derive(Debug)]
pub(crate) struct BrowserLog;

impl WebDriverCompatibleCommand for BrowserLog {
    fn endpoint(&self, base_url: &Url, session_id: Option<&str>) -> Result<Url, ParseError> {
        base_url.join(&format!("session/{}/se/log", session_id.unwrap_or_default()))
    }

    fn method_and_body(&self, _request_url: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(r#"{"type": "browser"}"#.to_owned()))
    }
}
