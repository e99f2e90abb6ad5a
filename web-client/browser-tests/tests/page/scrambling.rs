//! Other ways to scramble, several workers, and attacks on one's own text.

use anyhow::ensure;
use browser_tests::browser::Browser;

use crate::scene::{TEXT, choose, console_is_clean, open, run, service, train_briefly};

/// Goes over to whole words and waits for their list.
pub(crate) async fn whole_words(browser: &Browser) -> anyhow::Result<()> {
    browser.click("#scrambling summary").await?;
    browser.click("#piece-choices label:last-of-type").await?;
    browser
        .wait_until("document.getElementById('model-status').textContent.startsWith('Ready. The list')")
        .await?;
    Ok(())
}

/// Chooses a mechanism by its value.
pub(crate) async fn mechanism(browser: &Browser, value: &str) -> anyhow::Result<()> {
    browser.click(&format!("#mechanism option[value={value}]")).await?;
    Ok(())
}

async fn consequences_say(browser: &Browser, part: &str) -> anyhow::Result<()> {
    let condition =
        format!("document.querySelector('#text-dial > .consequences').innerText.includes({part:?})");
    browser.wait_until(&condition).await?;
    Ok(())
}

#[test]
#[ignore = "needs Chromium: run with --ignored"]
fn whole_words_go_all_the_way_with_the_original_setting_labelled_honestly() -> anyhow::Result<()> {
    run(async {
        let browser = open(service().await?).await?;
        whole_words(&browser).await?;
        choose(&browser, "text.txt", TEXT).await?;
        mechanism(&browser, "gaussian-noise").await?;
        // What the original service would have said, and the exact figure for fifty dimensions in the box.
        consequences_say(&browser, "ε = 96.9").await?;
        consequences_say(&browser, "10,602.17").await?;
        mechanism(&browser, "exponential").await?;
        consequences_say(&browser, "different ones").await?;
        train_briefly(&browser).await?;
        browser.click("#send").await?;
        browser.wait_until("document.getElementById('job-section').dataset.status === 'succeeded'").await?;
        browser.wait_until("document.querySelector('#certificate .certificate')").await?;
        let certificate = browser.text("#certificate").await?;
        ensure!(certificate.contains("words was scrambled with ε = 20"), "{certificate}");
        browser.shot("words").await?;
        console_is_clean(&browser).await
    })
}

#[test]
#[ignore = "needs Chromium: run with --ignored"]
fn mechanisms_of_meaning_are_offered_for_whole_words_only() -> anyhow::Result<()> {
    run(async {
        let browser = open(service().await?).await?;
        let offered =
            "return [...document.getElementById('mechanism').options].filter((o) => !o.disabled).length";
        ensure!(browser.run(offered, vec![]).await? == 2, "word pieces have two");
        whole_words(&browser).await?;
        ensure!(browser.run(offered, vec![]).await? == 6, "whole words have all");
        mechanism(&browser, "laplace").await?;
        browser.click("#piece-choices label:first-of-type").await?;
        let chosen = browser.run("return document.getElementById('mechanism').value", vec![]).await?;
        ensure!(chosen == "set-rr", "{chosen} does not suit word pieces");
        Ok(())
    })
}

#[test]
#[ignore = "needs Chromium: run with --ignored"]
fn attacks_are_tried_on_the_own_text_and_counted() -> anyhow::Result<()> {
    run(async {
        let browser = open(service().await?).await?;
        choose(&browser, "text.txt", TEXT).await?;
        browser.click("#attack-fold summary").await?;
        browser.click("#attack").await?;
        browser.wait_until("document.querySelectorAll('#attack-report li').length === 6").await?;
        let report = browser.text("#attack-report").await?;
        ensure!(
            report.contains("With a language model") && report.contains("came out unchanged"),
            "{report}"
        );
        browser.shot("attack").await?;
        console_is_clean(&browser).await
    })
}

#[test]
#[ignore = "needs Chromium: run with --ignored"]
fn a_long_text_is_shared_by_workers_and_arrives_as_one_file() -> anyhow::Result<()> {
    run(async {
        let browser = open(service().await?).await?;
        let started = "globalThis.started = 0; const Plain = Worker; \
                       globalThis.Worker = class extends Plain { constructor(...a) { super(...a); globalThis.started += 1; } };";
        browser.run(started, vec![]).await?;
        let text = TEXT.repeat(2_600_000 / TEXT.len());
        choose(&browser, "long.txt", &text).await?;
        let cores = browser.run("return navigator.hardwareConcurrency", vec![]).await?;
        let more = browser.run("return globalThis.started", vec![]).await?;
        // 2.6 MB are two pieces at most; the first worker was there before.
        let expected = cores.as_u64().unwrap_or(1).min(2) - 1;
        ensure!(more.as_u64() == Some(expected), "{more} more workers on {cores} cores");
        let status = browser.text("#file-status").await?;
        let lines = text.lines().count().to_string();
        ensure!(status.replace(',', "").contains(&format!("{lines} lines")), "{status}");
        browser.click("#send").await?;
        // The service counts records and tokens before it makes a job.
        browser.wait_until("!document.getElementById('cancel-job').hidden").await?;
        browser.click("#cancel-job").await?;
        browser.wait_until("document.getElementById('job-section').dataset.status === 'cancelled'").await?;
        console_is_clean(&browser).await
    })
}
