//! What the page really sends: every byte of the browser's network log is searched for the original text.

use anyhow::{Context, ensure};
use browser_tests::browser::Browser;
use browser_tests::leak::{find_tokens, find_words};
use browser_tests::netlog::NetLog;
use browser_tests::service::{Service, TOKENIZER};
use perturb::{Tokenizer, tokens};

use crate::scene::{TEXT, choose, open, run, service, train_briefly};

/// Sends a text through the page at the strictest level, where a window of four tokens survives by chance once in 10⁸ or so.
async fn send_everything(browser: &Browser) -> anyhow::Result<()> {
    browser.click("#text-dial .levels label:first-child").await?;
    choose(browser, "letter to Dr Bloom.txt", TEXT).await?;
    train_briefly(browser).await?;
    browser.click("#send").await?;
    browser.wait_until("document.getElementById('job-section').dataset.status === 'succeeded'").await?;
    Ok(())
}

fn tokenizer() -> anyhow::Result<Tokenizer> {
    Ok(Tokenizer::from_bytes(&std::fs::read(Service::demo_model().join(TOKENIZER))?)?)
}

#[test]
#[ignore = "needs Chromium: run with --ignored"]
fn no_original_words_or_tokens_leave_the_browser() -> anyhow::Result<()> {
    run(async {
        let service = service().await?;
        let browser = open(service).await?;
        send_everything(&browser).await?;
        let log = NetLog::parse(&browser.close().await?)?;
        upload_was_seen(&log)?;
        let tokenizer = tokenizer()?;
        for sent in &log.sent {
            let words = find_words(TEXT, sent);
            ensure!(words.is_empty(), "original words were sent: {words:?}");
            for line in TEXT.lines() {
                let tokens = find_tokens(&tokenizer.encode(line)?, sent);
                ensure!(tokens.is_empty(), "original tokens were sent: {tokens:?}");
            }
        }
        ensure!(!log.contains(b"Bloom"), "the file's name was sent");
        only_the_service_was_asked(&log, service)
    })
}

/// The log must hold the upload, or an empty log would prove anything.
fn upload_was_seen(log: &NetLog) -> anyhow::Result<()> {
    let upload =
        log.sent.iter().find_map(|sent| container_in(sent)).context("the upload is not in the log")?;
    let (manifest, _) = tokens::read(upload)?;
    ensure!(manifest.records == TEXT.lines().count() as u64, "the upload has other records");
    Ok(())
}

/// The uploaded container among a socket's bytes: it begins with its magic, and its length is in the request's header.
fn container_in(sent: &[u8]) -> Option<&[u8]> {
    let start = sent.windows(6).position(|window| window == b"DPTK\x02\x00")?;
    let head = String::from_utf8_lossy(&sent[..start]).to_ascii_lowercase();
    let length: usize = head.rsplit("content-length: ").next()?.lines().next()?.parse().ok()?;
    sent.get(start..start + length)
}

fn only_the_service_was_asked(log: &NetLog, service: &Service) -> anyhow::Result<()> {
    let asked = log.origins_asked_by_pages();
    let allowed = [service.page_origin(), service.bucket_origin()];
    ensure!(asked.iter().all(|origin| allowed.contains(origin)), "other origins were asked: {asked:?}");
    ensure!(asked.len() == 2, "the page needs both of its origins: {asked:?}");
    let hosts = log.connections.iter().all(|address| allowed.iter().any(|origin| origin.ends_with(address)));
    ensure!(hosts, "the browser connected to others: {:?}", log.connections);
    Ok(())
}

/// The control: the same check on the same page must find text and tokens that are sent on purpose.
#[test]
#[ignore = "needs Chromium: run with --ignored"]
fn the_check_finds_text_that_is_sent_on_purpose() -> anyhow::Result<()> {
    run(async {
        let browser = open(service().await?).await?;
        let ids = tokenizer()?.encode(TEXT.lines().next().context("the text has lines")?)?;
        for (body, kind) in bodies(&ids) {
            let script = "const [body, kind, done] = arguments;
                const bytes = Uint8Array.from(atob(body), (c) => c.charCodeAt(0));
                fetch('/v1/leak-' + kind, { method: 'POST', body: bytes }).then(() => done(true), () => done(false));";
            let sent = browser.client.execute_async(script, vec![body.into(), kind.into()]).await?;
            ensure!(sent == true, "the page could not send to its own origin");
        }
        let script = "const [words, done] = arguments;
            fetch('/v1/leak?q=' + encodeURIComponent(words)).then(() => done(true), () => done(false));";
        browser.client.execute_async(script, vec!["by the lake; is that a problem".into()]).await?;
        let log = NetLog::parse(&browser.close().await?)?;
        let sent = log.sent.concat();
        let words = find_words(TEXT, &sent);
        let has = |text: &str| words.iter().any(|leak| leak.original.contains(text));
        ensure!(has("fever came back on"), "plain text was overlooked: {words:?}");
        ensure!(has("lake is that a"), "text in an address was overlooked: {words:?}");
        let tokens = find_tokens(&ids, &sent);
        let forms: Vec<&str> = tokens.iter().map(|leak| leak.form).collect();
        ensure!(forms.iter().any(|form| form.contains("LEB128")), "a container was overlooked: {forms:?}");
        ensure!(forms.iter().any(|form| form.contains("16 bits")), "raw ids were overlooked: {forms:?}");
        Ok(())
    })
}

/// What a careless page could send, in base64 for the way into the browser: the text, the ids, and the ids as the container has them.
fn bodies(ids: &[u32]) -> Vec<(String, &'static str)> {
    use base64::Engine as _;
    let raw: Vec<u8> = ids.iter().flat_map(|&id| (id as u16).to_le_bytes()).collect();
    let container: Vec<u8> = ids.iter().flat_map(|&id| browser_tests::leak::leb128(id)).collect();
    [(TEXT.as_bytes().to_vec(), "text"), (raw, "raw"), (container, "container")]
        .map(|(bytes, kind)| (base64::engine::general_purpose::STANDARD.encode(bytes), kind))
        .into()
}
