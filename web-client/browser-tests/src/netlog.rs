//! Chromium's network log (NetLog): every byte that left each socket, and every address that was asked for.
//!
//! With the capture mode `Everything` the log holds the sent bytes themselves. Without TLS and QUIC, as on this machine, those are plain
//! HTTP/1, request bodies included.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use url::Url;

/// What one browser sent.
#[derive(Debug)]
pub struct NetLog {
    /// All that was sent over each socket, in order; TCP and UDP.
    pub sent: Vec<Vec<u8>>,
    /// Every request that was started.
    pub requests: Vec<Request>,
    /// Remote `address:port` of every TCP connection that was tried.
    pub connections: BTreeSet<String>,
}

/// One started request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where to.
    pub url: Url,
    /// `GET`, `POST` …
    pub method: String,
    /// The page's origin, or `not an origin` for what the browser itself or the address bar asked.
    pub initiator: String,
}

impl NetLog {
    /// Reads a log. One that lacks its end, as of a browser that was killed, is read as far as it goes.
    ///
    /// # Errors
    /// If it is no network log, or was written without the sent bytes.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let log = parse_possibly_cut(text)?;
        let kinds = EventKinds::read(&log["constants"])?;
        let (mut sent, mut requests, mut connections) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
        for event in log["events"].as_array().context("the log has no events")? {
            let (kind, params) = (&event["type"], &event["params"]);
            if kinds.bytes_sent.contains(kind) {
                let buffer: &mut Vec<u8> = sent.entry(event["source"]["id"].to_string()).or_default();
                buffer.extend(sent_bytes(params)?);
            } else if *kind == kinds.request {
                requests.extend(request(params)?);
            } else if *kind == kinds.connect {
                connections.extend(params["address"].as_str().map(str::to_owned));
            }
        }
        Ok(Self { sent: sent.into_values().collect(), requests, connections })
    }

    /// The origins that pages and workers asked, as `http://host:port`.
    pub fn origins_asked_by_pages(&self) -> BTreeSet<String> {
        let by_page = self.requests.iter().filter(|request| request.initiator.starts_with("http"));
        by_page.map(|request| request.url.origin().ascii_serialization()).collect()
    }

    /// True when one socket sent exactly these bytes somewhere.
    pub fn contains(&self, needle: &[u8]) -> bool {
        self.sent.iter().any(|sent| sent.windows(needle.len()).any(|window| window == needle))
    }

    /// How many bytes were sent in all.
    pub fn total_bytes(&self) -> usize {
        self.sent.iter().map(Vec::len).sum()
    }
}

/// The numbers of the event types that matter; they differ between versions, so the log lists them.
struct EventKinds {
    bytes_sent: Vec<Value>,
    request: Value,
    connect: Value,
}

impl EventKinds {
    fn read(constants: &Value) -> anyhow::Result<Self> {
        let types = &constants["logEventTypes"];
        let kind = |name: &str| {
            let number = types.get(name).cloned();
            number.with_context(|| {
                format!("this Chromium's network log knows no {name}: the check must be adapted to it")
            })
        };
        Ok(Self {
            bytes_sent: vec![kind("SOCKET_BYTES_SENT")?, kind("UDP_BYTES_SENT")?],
            request: kind("URL_REQUEST_START_JOB")?,
            connect: kind("TCP_CONNECT_ATTEMPT")?,
        })
    }
}

fn parse_possibly_cut(text: &str) -> anyhow::Result<Value> {
    if let Ok(log) = serde_json::from_str(text) {
        return Ok(log);
    }
    // One event a line, each but the last followed by a comma.
    let whole = text.rfind(",\n").context("not a network log")?;
    Ok(serde_json::from_str(&format!("{}]}}", &text[..whole]))?)
}

fn sent_bytes(params: &Value) -> anyhow::Result<Vec<u8>> {
    let encoded = params["bytes"].as_str();
    let encoded = encoded
        .context("the log lacks the sent bytes: Chromium must run with --net-log-capture-mode=Everything")?;
    let bytes = STANDARD.decode(encoded)?;
    ensure!(
        params["byte_count"].as_u64() == Some(bytes.len() as u64),
        "the log holds only a part of the sent bytes"
    );
    Ok(bytes)
}

/// The start of a request; the same event type also marks its end, without an address.
fn request(params: &Value) -> anyhow::Result<Option<Request>> {
    let Some(url) = params["url"].as_str() else { return Ok(None) };
    Ok(Some(Request {
        url: Url::parse(url)?,
        method: params["method"].as_str().unwrap_or_default().to_owned(),
        initiator: params["initiator"].as_str().unwrap_or_default().to_owned(),
    }))
}

#[cfg(test)]
#[path = "netlog_tests.rs"]
mod tests;
