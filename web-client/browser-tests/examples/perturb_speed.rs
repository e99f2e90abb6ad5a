//! Tokens per second of the page's worker in headless Chromium, beside TensorFlow.js in the same browser a minute later.
//!
//! `cargo xtask bench perturb` prepares what it needs: the built page with the tables of whole words, and TensorFlow.js from npm. The texts
//! are drawn word by word from the vocabulary's own frequencies.
#![allow(clippy::print_stdout, reason = "a benchmark speaks to a person")]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use browser_tests::browser::Browser;
use browser_tests::service::Service;
use perturb::Vocabulary;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

/// As many bytes of text as a file may have, nearly.
const LONG: usize = 20_000_000;
/// For the mechanisms that look at every word of the vocabulary for each token.
const SHORT: usize = 600_000;
/// Words of a line.
const LINE: usize = 12;
/// The whole run takes some minutes.
const LIMIT: Duration = Duration::from_secs(900);

fn main() -> anyhow::Result<()> {
    let tfjs = std::env::args().nth(1).context("give the folder with TensorFlow.js's files")?;
    tokio::runtime::Runtime::new()?.block_on(bench(Path::new(&tfjs)))
}

async fn bench(tfjs: &Path) -> anyhow::Result<()> {
    let site = Service::copy_of_site()?;
    copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("bench"), site.path())?;
    copy_folder(tfjs, &site.path().join("tfjs"))?;
    let vocabulary = std::fs::read(site.path().join("tables/english/vocabulary.bin"))?;
    let vocabulary = Vocabulary::from_bytes(&vocabulary)?;
    std::fs::write(site.path().join("long.txt"), text(&vocabulary, LONG))?;
    std::fs::write(site.path().join("short.txt"), text(&vocabulary, SHORT))?;
    let server = Server::start(site.path())?;
    let browser = Browser::start().await?;
    browser.client.goto(&format!("http://{}/bench.html", server.address)).await?;
    let results =
        tokio::time::timeout(LIMIT, finished(&browser)).await.context("the browser took too long")??;
    ensure!(results["error"].is_null(), "{}", results["error"]);
    println!("{}", serde_json::to_string_pretty(&results)?);
    browser.close().await?;
    Ok(())
}

/// Python's own file server: the page's headers forbid the `eval` that TensorFlow.js needs.
struct Server {
    address: SocketAddr,
    child: Child,
}

impl Server {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        // Asked for and given back, to know a port that is free.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let child = Command::new("python3")
            .args(["-m", "http.server", &address.port().to_string(), "--bind", "127.0.0.1", "--directory"])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("python3 does not start")?;
        let mut server = Self { address, child };
        while TcpStream::connect(address).is_err() {
            ensure!(server.child.try_wait()?.is_none(), "python3's file server ended by itself");
            std::thread::yield_now();
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn finished(browser: &Browser) -> anyhow::Result<serde_json::Value> {
    loop {
        let state =
            browser.run("return [globalThis.results ?? null, document.body.innerText]", vec![]).await?;
        if !state[0].is_null() {
            return Ok(state[0].clone());
        }
        // A minute-long benchmark is asked for its end once a second; nothing depends on when.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Lines of words as frequent as in the vocabulary's corpus, without the unknown one.
fn text(vocabulary: &Vocabulary, bytes: usize) -> String {
    let mut ends = vec![0_u64];
    for id in 1..vocabulary.domain().len() as u32 {
        ends.push(ends[id as usize - 1] + u64::from(vocabulary.count(id)));
    }
    let total = ends[ends.len() - 1];
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let mut text = String::with_capacity(bytes + 64);
    for place in 1.. {
        let draw = rng.next_u64() % total;
        text.push_str(vocabulary.word(ends.partition_point(|&end| end <= draw) as u32));
        if text.len() >= bytes {
            break;
        }
        text.push(if place % LINE == 0 { '\n' } else { ' ' });
    }
    text
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        if path.is_file() {
            std::fs::copy(&path, to.join(path.file_name().context("a file has a name")?))?;
        }
    }
    Ok(())
}
