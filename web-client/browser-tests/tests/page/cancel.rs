//! Stopping in the middle.

use anyhow::ensure;
use browser_tests::netlog::NetLog;

use crate::scene::{TEXT, choose, console_is_clean, open, run, service};
use crate::scrambling::{mechanism, whole_words};

#[test]
#[ignore = "needs Chromium: run with --ignored"]
fn cancelling_while_scrambling_sends_nothing_and_can_be_repeated() -> anyhow::Result<()> {
    run(async {
        let browser = open(service().await?).await?;
        // Noise that moves every word: some seconds of work, so that there is a middle.
        whole_words(&browser).await?;
        choose(&browser, "long.txt", &TEXT.repeat(1024 * 1024 / TEXT.len())).await?;
        mechanism(&browser, "laplace").await?;
        browser
            .wait_until("document.getElementById('text-dial').innerText.includes('different ones')")
            .await?;
        for _ in 0..2 {
            browser.click("#send").await?;
            browser.wait_until("document.getElementById('send-bar').value > 0").await?;
            browser.click("#cancel-send").await?;
            browser
                .wait_until(
                    "document.getElementById('send-status').textContent === 'Cancelled. Nothing was sent.'",
                )
                .await?;
            browser.wait_until("!document.getElementById('send').disabled").await?;
        }
        console_is_clean(&browser).await?;
        let log = NetLog::parse(&browser.close().await?)?;
        ensure!(
            log.requests
                .iter()
                .all(|request| request.method == "GET" || !request.initiator.starts_with("http"))
        );
        ensure!(!log.contains(b"DPTK"), "a container was sent");
        Ok(())
    })
}
