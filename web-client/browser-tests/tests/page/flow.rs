//! The whole way from a file to the adapter and its certificate.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use browser_tests::browser::{Browser, PATIENCE};
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::key::Key;
use sha2::{Digest, Sha256};

use crate::scene::{self, TEXT, choose, console_is_clean, open, run, service, train_briefly};

#[test]
#[ignore = "needs Chromium: run with --ignored"]
fn a_text_becomes_an_adapter_with_its_certificate() -> anyhow::Result<()> {
    run(async {
        let browser = open(service().await?).await?;
        choose(&browser, "private diary.txt", TEXT).await?;
        preview_shows_both_texts(&browser).await?;
        browser.shot("preview").await?;
        train_briefly(&browser).await?;
        browser.click("#send").await?;
        browser.wait_until("document.getElementById('job-section').dataset.status === 'succeeded'").await?;
        browser.wait_until("document.querySelector('#certificate .certificate')").await?;
        browser.shot("end").await?;
        certificate_agrees_with_the_settings(&browser).await?;
        curve_is_drawn(&browser).await?;
        browser.click("#download-all").await?;
        let archive = downloaded(&browser.downloads(), "zip").await?;
        archive_holds_what_the_certificate_states(&std::fs::read(archive)?)?;
        console_is_clean(&browser).await?;
        browser.close().await?;
        Ok(())
    })
}

async fn preview_shows_both_texts(browser: &Browser) -> anyhow::Result<()> {
    let preview = browser.text("#preview").await?;
    ensure!(preview.contains("the fever came back on Tuesday"), "the original is not shown: {preview}");
    let swapped = browser.run("return document.querySelectorAll('#preview mark').length", vec![]).await?;
    ensure!(swapped.as_u64() > Some(20), "few pieces are marked: {swapped}");
    Ok(())
}

async fn certificate_agrees_with_the_settings(browser: &Browser) -> anyhow::Result<()> {
    let text = browser.text("#certificate").await?;
    ensure!(text.contains("scrambled with ε = 8"), "the scrambling's ε is not in the certificate: {text}");
    let shown = browser.text("#certificate dd").await?;
    let epsilon: f64 = shown.parse().context("the training's ε is a number")?;
    ensure!((0.1..=4.0).contains(&epsilon), "training was asked for ε = 4 and used {epsilon}");
    Ok(())
}

/// The training released its losses, and the page drew them.
async fn curve_is_drawn(browser: &Browser) -> anyhow::Result<()> {
    let points = "return document.querySelector('#curve:not([hidden]) polyline').getAttribute('points').split(' ').length";
    let points = browser.run(points, vec![]).await?;
    ensure!(points.as_u64() >= Some(2), "a curve of {points} points");
    Ok(())
}

/// Waits for a download with this extension to be complete. A download is no DOM condition, so the folder is asked again and again.
async fn downloaded(folder: &Path, extension: &str) -> anyhow::Result<std::path::PathBuf> {
    let look = async {
        loop {
            let entries = std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
            let paths = entries.collect::<std::io::Result<Vec<_>>>()?;
            if let Some(path) =
                paths.into_iter().find(|path| path.extension().is_some_and(|e| e == extension))
            {
                return anyhow::Ok(path);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.context("nothing was downloaded")?
}

/// The archive's files must be those whose digests the certificate states.
fn archive_holds_what_the_certificate_states(archive: &[u8]) -> anyhow::Result<()> {
    let files = unzip(archive)?;
    let certificate = files.get("privacy.json").context("the archive has a certificate")?;
    let verified = protocol::verify::verify(std::str::from_utf8(certificate)?)?;
    ensure!(verified.problems.is_empty(), "the certificate does not hold: {:?}", verified.problems);
    let certificate = verified.certificate;
    ensure!(certificate.training.loss_noise_multiplier.is_some(), "the curve is not in the certificate");
    ensure!(certificate.hashes.adapter.contains_key("adapter_model.safetensors"), "no weights are certified");
    for (name, stated) in &certificate.hashes.adapter {
        let content = files.get(name).with_context(|| format!("the archive lacks {name}"))?;
        ensure!(hex::encode(Sha256::digest(content)) == *stated, "{name} is not the certified one");
    }
    let local = certificate.local.context("the text was perturbed")?;
    ensure!(local.epsilon_per_token == 8.0 && certificate.training.records == TEXT.lines().count() as u64);
    Ok(())
}

/// The files of a .zip without compression, by their names without the folder, read from one local header to the next.
fn unzip(mut archive: &[u8]) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    while let Some(header) = archive.strip_prefix(b"PK\x03\x04") {
        let number = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]) as usize
        };
        let (size, name_length) = (number(14), number(22) & 0xffff);
        let (name, rest) = header[26..].split_at_checked(name_length).context("the archive is cut")?;
        let (content, next) = rest.split_at_checked(size).context("the archive is cut")?;
        let name = std::str::from_utf8(name)?;
        files.insert(name.rsplit('/').next().unwrap_or(name).to_owned(), content.to_vec());
        archive = next;
    }
    ensure!(archive.starts_with(b"PK\x01\x02"), "the archive has no directory");
    Ok(files)
}

#[test]
#[ignore = "needs Chromium: run with --ignored"]
fn the_key_leaves_the_address_and_survives_a_reload() -> anyhow::Result<()> {
    run(async {
        let service = service().await?;
        let browser = open(service).await?;
        let address = browser.client.current_url().await?;
        ensure!(!address.as_str().contains("key"), "the address still holds the key");
        browser.client.refresh().await?;
        browser.wait_until("document.getElementById('model-status').textContent.startsWith('Ready')").await?;
        browser.click("#forget-key").await?;
        browser.wait_until("!document.getElementById('key-section').hidden").await?;
        let stored = browser.run("return sessionStorage.length + localStorage.length", vec![]).await?;
        ensure!(stored == 0, "signing out leaves something behind");
        Ok(())
    })
}

#[test]
#[ignore = "needs Chromium: run with --ignored"]
fn a_wrong_key_is_said_so_and_another_can_be_typed() -> anyhow::Result<()> {
    run(async {
        let service = service().await?;
        let browser = Browser::start().await.context(scene::NEEDS_CHROMIUM)?;
        browser.client.goto(&service.page()).await?;
        browser.wait_until("!document.getElementById('key-section').hidden").await?;
        type_key(&browser, "dpft-wrong").await?;
        browser.wait_until("document.getElementById('key-error').textContent.includes('key')").await?;
        type_key(&browser, service.api_key()).await?;
        browser.wait_until("document.getElementById('model-status').textContent.startsWith('Ready')").await?;
        Ok(())
    })
}

async fn type_key(browser: &Browser, key: &str) -> anyhow::Result<()> {
    // The field has the focus by itself, and Enter sends the form.
    let keys = format!("{key}{}", char::from(Key::Enter));
    browser.client.active_element().await?.send_keys(&keys).await?;
    Ok(())
}

#[test]
#[ignore = "needs Chromium: run with --ignored"]
fn the_keyboard_alone_reaches_every_control_in_order() -> anyhow::Result<()> {
    run(async {
        let browser = open(service().await?).await?;
        choose(&browser, "text.txt", TEXT).await?;
        browser.run("document.getElementById('main').focus()", vec![]).await?;
        let mut reached = Vec::new();
        for _ in 0..50 {
            press_tab(&browser).await?;
            let id = browser
                .run("const e = document.activeElement; return e.id || e.name || e.tagName", vec![])
                .await?;
            reached.push(id.as_str().unwrap_or_default().to_owned());
            if reached.last().is_some_and(|id| id == "send") {
                break;
            }
        }
        let wanted = ["model", "text-epsilon", "SUMMARY", "training-epsilon", "unit", "file", "send"];
        let places: Vec<_> = wanted.iter().map(|id| reached.iter().position(|seen| seen == id)).collect();
        ensure!(places.iter().all(Option::is_some), "not all of {wanted:?} are in {reached:?}");
        ensure!(places.is_sorted(), "another order than on the page: {reached:?}");
        Ok(())
    })
}

/// A key for the page as such: sent to a file input, it would count as a path.
async fn press_tab(browser: &Browser) -> anyhow::Result<()> {
    let value = char::from(Key::Tab);
    let tab =
        KeyActions::new("keyboard".into()).then(KeyAction::Down { value }).then(KeyAction::Up { value });
    Ok(browser.client.perform_actions(tab).await?)
}

#[test]
#[ignore = "needs Chromium: run with --ignored"]
fn a_stricter_level_changes_what_the_page_says() -> anyhow::Result<()> {
    run(async {
        let browser = open(service().await?).await?;
        browser.wait_until("document.querySelectorAll('#text-dial .consequences li').length").await?;
        let before = browser.text("#text-dial .consequences").await?;
        browser.click("#text-dial .levels label:first-child").await?;
        browser.wait_until("document.querySelector('#text-dial output').value === 'ε = 4'").await?;
        let before = serde_json::to_string(&before)?;
        browser
            .wait_until(&format!("document.querySelector('#text-dial .consequences').innerText !== {before}"))
            .await?;
        console_is_clean(&browser).await
    })
}
