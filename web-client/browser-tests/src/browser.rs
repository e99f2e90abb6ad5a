//! A headless Chromium with a profile of its own, driven over WebDriver.
//!
//! Nothing sleeps: whatever a test waits for is a condition on the page, with a limit.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::driver::{BrowserLog, Driver};

/// Where Debian and others install it.
const CHROMIUM: [&str; 4] =
    ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/snap/bin/chromium"];

/// How long a condition may take to hold: generous, for a loaded machine. A page that works needs a fraction of it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Chromium keeps to itself what it would otherwise fetch in the background, so that the network log holds the page's traffic only;
/// what it asks for all the same has no address.
const ARGUMENTS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--disable-dev-shm-usage",
    "--window-size=1100,1400",
    "--net-log-capture-mode=Everything",
];

/// One browser with one tab. Call [`Browser::close`] to get its network log.
pub struct Browser {
    /// The WebDriver connection.
    pub client: Client,
    folder: TempDir,
    driver: Driver,
}

impl Browser {
    /// Starts the driver and the browser.
    ///
    /// # Errors
    /// If Chromium or its driver is not installed, or does not start; the message says what to do.
    pub async fn start() -> anyhow::Result<Self> {
        let binary = find_chromium()?;
        let folder = tempfile::tempdir().context("cannot make a folder for the browser's profile")?;
        std::fs::create_dir(folder.path().join("downloads"))?;
        let mut driver = Driver::start().await?;
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(&binary, folder.path())?)
            .connect(&format!("http://{}", driver.address))
            .await
            .context("Chromium did not start")?;
        driver.session = client.session_id().await?;
        Ok(Self { client, folder, driver })
    }

    /// The folder that downloads go to.
    pub fn downloads(&self) -> PathBuf {
        self.folder.path().join("downloads")
    }

    /// Writes a file into the browser's temporary folder, for the page to pick.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_file(&self, name: &str, content: &[u8]) -> anyhow::Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content)?;
        Ok(path)
    }

    /// Gives the page's file input this file, as a person would in the file dialog.
    ///
    /// # Errors
    /// If the page has no file input.
    pub async fn pick_file(&self, path: &Path) -> anyhow::Result<()> {
        let input = self.client.find(Locator::Id("file")).await?;
        input.send_keys(path.to_str().context("the path must be plain text")?).await?;
        Ok(())
    }

    /// Clicks the first element that a CSS selector finds.
    ///
    /// # Errors
    /// If there is none, or it cannot be clicked.
    pub async fn click(&self, selector: &str) -> anyhow::Result<()> {
        let element = self.client.find(Locator::Css(selector)).await?;
        element.click().await.with_context(|| format!("cannot click {selector}"))
    }

    /// The text of the first element that a CSS selector finds, as a reader sees it.
    ///
    /// # Errors
    /// If there is none.
    pub async fn text(&self, selector: &str) -> anyhow::Result<String> {
        Ok(self.client.find(Locator::Css(selector)).await?.text().await?)
    }

    /// Runs JavaScript in the page. `return` gives its result.
    ///
    /// # Errors
    /// If the script throws.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> anyhow::Result<Value> {
        Ok(self.client.execute(script, arguments).await?)
    }

    /// Waits until a JavaScript expression is truthy and returns its value.
    ///
    /// # Errors
    /// If it is not within [`PATIENCE`]; the message holds the errors that the page shows.
    pub async fn wait_until(&self, expression: &str) -> anyhow::Result<Value> {
        // Polls inside the page, once a frame: one round trip for the whole wait.
        let script = format!(
            "const [limit, done] = arguments; const end = performance.now() + limit;
             (function look() {{
               let value; try {{ value = {expression}; }} catch {{ value = undefined; }}
               if (value) done(value); else if (performance.now() > end) done(null); else setTimeout(look, 20);
             }})();"
        );
        let limit = u64::try_from(PATIENCE.as_millis()).context("a limit of minutes fits")?;
        let value = self.client.execute_async(&script, vec![json!(limit)]).await?;
        if value.is_null() {
            bail!("the page never reached `{expression}`; it says: {}", self.complaints().await?);
        }
        Ok(value)
    }

    /// The errors that the page shows now, joined; empty when there are none.
    ///
    /// # Errors
    /// If the page cannot be asked.
    pub async fn complaints(&self) -> anyhow::Result<String> {
        let script = "return [...document.querySelectorAll('[role=alert]')].map(e => e.textContent).filter(t => t).join(' | ')";
        Ok(self.run(script, vec![]).await?.as_str().unwrap_or_default().to_owned())
    }

    /// What the console holds since the last call, as `level: message`.
    ///
    /// # Errors
    /// If the driver does not answer.
    pub async fn console(&self) -> anyhow::Result<Vec<String>> {
        let entries = self.client.issue_cmd(BrowserLog).await?;
        let line = |entry: &Value| {
            format!(
                "{}: {}",
                entry["level"].as_str().unwrap_or("?"),
                entry["message"].as_str().unwrap_or("?")
            )
        };
        Ok(entries.as_array().map(|entries| entries.iter().map(line).collect()).unwrap_or_default())
    }

    /// Writes a picture of the whole page, if the environment names a folder in `BROWSER_TEST_SHOTS`.
    ///
    /// # Errors
    /// If the picture cannot be taken or written.
    pub async fn shot(&self, name: &str) -> anyhow::Result<()> {
        // A test-only switch, read where it is used.
        #[allow(clippy::disallowed_methods)]
        let Ok(folder) = std::env::var("BROWSER_TEST_SHOTS") else { return Ok(()) };
        let height = self.run("return document.documentElement.scrollHeight", vec![]).await?;
        let height = u32::try_from(height.as_u64().unwrap_or(1400)).unwrap_or(1400);
        self.client.set_window_size(1100, height + 150).await?;
        std::fs::create_dir_all(&folder)?;
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), self.client.screenshot().await?)?;
        Ok(())
    }

    /// Ends the browser and returns the text of its network log.
    ///
    /// # Errors
    /// If the browser left no log.
    pub async fn close(mut self) -> anyhow::Result<String> {
        self.driver.session = None;
        self.client.clone().close().await?;
        let log = std::fs::read_to_string(self.folder.path().join("netlog.json"))
            .context("Chromium wrote no network log")?;
        ensure!(!log.is_empty(), "Chromium's network log is empty");
        Ok(log)
    }
}

fn find_chromium() -> anyhow::Result<PathBuf> {
    let found = CHROMIUM.iter().map(PathBuf::from).find(|path| path.exists());
    found.with_context(|| format!("Chromium is not installed (looked for {}). On Debian: apt-get install chromium chromium-driver. `cargo xtask test --only browser` does it.", CHROMIUM.join(", ")))
}

fn capabilities(binary: &Path, folder: &Path) -> anyhow::Result<Map<String, Value>> {
    // A script waits inside the page for as long as a test has patience, and a little longer to say so.
    let script_limit = u64::try_from((PATIENCE * 2).as_millis())?;
    let mut capabilities = Map::new();
    capabilities.insert("goog:chromeOptions".into(), options(binary, folder));
    capabilities.insert("goog:loggingPrefs".into(), json!({ "browser": "ALL" }));
    capabilities.insert("timeouts".into(), json!({ "script": script_limit }));
    Ok(capabilities)
}

fn options(binary: &Path, folder: &Path) -> Value {
    let mut arguments: Vec<String> = ARGUMENTS.iter().map(|argument| (*argument).to_owned()).collect();
    arguments.push(format!("--user-data-dir={}", folder.join("profile").display()));
    arguments.push(format!("--log-net-log={}", folder.join("netlog.json").display()));
    json!({
        "binary": binary,
        "args": arguments,
        "prefs": {
            "download.default_directory": folder.join("downloads"),
            "download.prompt_for_download": false,
            // Several files in a row are what the results list offers.
            "profile.default_content_setting_values.automatic_downloads": 1,
        },
    })
}
