//! A worker that dies must become a clear message, never a bar that stands still.

use anyhow::{Context, ensure};
use browser_tests::browser::Browser;
use browser_tests::service::Service;

use crate::scene::{NEEDS_CHROMIUM, TEXT, choose, open, run};

#[test]
#[ignore = "needs Chromium: run with --ignored"]
fn a_trap_in_the_webassembly_is_one_clear_message() -> anyhow::Result<()> {
    run(async {
        let site = Service::copy_of_site()?;
        // What a Rust panic looks like from JavaScript: the module traps.
        let trap = "\nSession.prototype.perturbChunk = () => { throw new WebAssembly.RuntimeError('unreachable'); };\n";
        append(&site.path().join("pkg/web_client.js"), trap)?;
        let service = Service::start(site.path(), true).await?;
        let browser = open(&service).await?;
        choose(&browser, "text.txt", TEXT).await?;
        browser.click("#send").await?;
        browser
            .wait_until("document.getElementById('send-error').textContent.includes('nothing was sent')")
            .await?;
        let busy = browser.run("return document.getElementById('send').disabled", vec![]).await?;
        ensure!(busy == false, "the page hangs as busy");
        Ok(())
    })
}

#[test]
#[ignore = "needs Chromium: run with --ignored"]
fn webassembly_that_cannot_be_loaded_is_one_clear_message() -> anyhow::Result<()> {
    run(async {
        let site = Service::copy_of_site()?;
        std::fs::write(site.path().join("pkg/web_client_bg.wasm"), b"\0asm damaged")?;
        let service = Service::start(site.path(), true).await?;
        let browser = Browser::start().await.context(NEEDS_CHROMIUM)?;
        browser.client.goto(service.page_with_key()).await?;
        browser
            .wait_until("document.getElementById('model-error').textContent.includes('Load the page again')")
            .await?;
        Ok(())
    })
}

fn append(path: &std::path::Path, text: &str) -> anyhow::Result<()> {
    let content = std::fs::read_to_string(path).context("build the page first")?;
    Ok(std::fs::write(path, content + text)?)
}
