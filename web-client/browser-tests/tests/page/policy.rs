//! The content security policy: what the page and its worker could not do even if their code were changed.

use anyhow::{Context, ensure};
use browser_tests::browser::Browser;
use browser_tests::service::Service;
use serde_json::json;
use tokio::net::TcpListener;

use crate::scene::{NEEDS_CHROMIUM, run};

/// A worker that tries to send; the page has no such file, so it is added to a copy.
const PROBE: &str = "self.onmessage = async ({ data }) => {
    const outcome = await fetch(data, { mode: 'no-cors', method: 'POST', body: 'x' }).then(() => 'sent', () => 'blocked');
    self.postMessage(outcome);
};";

#[test]
#[ignore = "needs Chromium: run with --ignored"]
fn neither_page_nor_worker_can_send_to_a_foreign_origin() -> anyhow::Result<()> {
    run(async {
        let site = Service::copy_of_site()?;
        std::fs::write(site.path().join("probe.js"), PROBE)?;
        let service = Service::start(site.path(), false).await?;
        let foreign = TcpListener::bind("127.0.0.1:0").await?;
        let browser = Browser::start().await.context(NEEDS_CHROMIUM)?;
        browser.client.goto(&service.page()).await?;
        let (own, bucket) = (service.page_origin() + "/index.html", service.bucket_origin() + "/");
        for (address, expected) in
            [(format!("http://{}/", foreign.local_addr()?), "blocked"), (own, "sent"), (bucket, "sent")]
        {
            for (name, script) in [("page", FROM_PAGE), ("worker", FROM_WORKER)] {
                let outcome = browser.client.execute_async(script, vec![address.clone().into()]).await?;
                ensure!(outcome == expected, "{address} from the {name}: {outcome}");
            }
        }
        let arrived = tokio::time::timeout(std::time::Duration::from_millis(1), foreign.accept()).await;
        ensure!(arrived.is_err(), "the foreign server was connected to");
        Ok(())
    })
}

const FROM_PAGE: &str = "const [address, done] = arguments;
    fetch(address, { mode: 'no-cors', method: 'POST', body: 'x' }).then(() => done('sent'), () => done('blocked'));";

const FROM_WORKER: &str = "const [address, done] = arguments;
    const worker = new Worker('probe.js', { type: 'module' });
    worker.onmessage = ({ data }) => done(data);
    worker.onerror = () => done('no worker');
    worker.postMessage(address);";

/// What a page whose code has a hole would run. It is loaded from the page's own origin: what the driver runs is exempt from the policy.
const ATTEMPTS: &str = "
    const ran = window.ran = [];
    const attempt = (work) => { try { work(); } catch { return; } };
    attempt(() => { document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran.push(1)\">'); });
    attempt(() => {
        const script = document.createElement('script');
        script.textContent = 'window.ran.push(2)';
        document.body.append(script);
    });
    attempt(() => new Function('window.ran.push(3)')());
    attempt(() => {
        const code = 'self.postMessage(1)';
        const worker = new Worker(URL.createObjectURL(new Blob([code])));
        worker.onmessage = () => ran.push(4);
        worker.onerror = () => (window.finished = true);
    });
    window.allowed = true;";

#[test]
#[ignore = "needs Chromium: run with --ignored"]
fn markup_that_gets_in_runs_nothing() -> anyhow::Result<()> {
    run(async {
        let site = Service::copy_of_site()?;
        let page = std::fs::read_to_string(site.path().join("index.html"))?;
        let added = "<script>window.ran = [0]</script><script type=module src=attempts.js></script></body>";
        std::fs::write(site.path().join("index.html"), page.replace("</body>", added))?;
        std::fs::write(site.path().join("attempts.js"), ATTEMPTS)?;
        let service = Service::start(site.path(), false).await?;
        let browser = Browser::start().await.context(NEEDS_CHROMIUM)?;
        browser.client.goto(&service.page()).await?;
        // The worker's refusal is the last of the attempts to be known; `allowed` shows that the file itself ran.
        browser.wait_until("window.allowed && window.finished").await?;
        let ran = browser.run("return window.ran", vec![]).await?;
        ensure!(ran == json!([]), "markup or text ran as code: {ran}");
        let console = browser.console().await?.join("\n");
        ensure!(console.contains("Content Security Policy"), "the policy said nothing: {console}");
        Ok(())
    })
}
