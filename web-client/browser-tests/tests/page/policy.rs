//! The content security policy: what the page and its worker could not do even if their code were changed.

use anyhow::{Context, ensure};
use browser_tests::browser::Browser;
use browser_tests::service::Service;
use serde_json::Value;
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

#[test]
#[ignore = "needs Chromium: run with --ignored"]
fn markup_that_gets_in_runs_nothing() -> anyhow::Result<()> {
    run(async {
        let site = Service::copy_of_site()?;
        let page = std::fs::read_to_string(site.path().join("index.html"))?;
        let inline = "<script>window.inlineRan = true</script></body>";
        std::fs::write(site.path().join("index.html"), page.replace("</body>", inline))?;
        let service = Service::start(site.path(), false).await?;
        let browser = Browser::start().await.context(NEEDS_CHROMIUM)?;
        browser.client.goto(&service.page()).await?;
        browser.wait_until("!document.getElementById('key-section').hidden").await?;
        let ran = browser.run("return [window.inlineRan === true, attempt()];
            function attempt() {
                const image = document.createElement('div');
                image.innerHTML = '<img src=x onerror=\"window.handlerRan = true\">';
                document.body.append(image);
                const script = document.createElement('script');
                script.textContent = 'window.insertedRan = true';
                document.body.append(script);
                try { new Function('window.evalRan = true')(); } catch {}
                try { new Worker(URL.createObjectURL(new Blob(['']))); return 'worker made'; } catch { return 'refused'; }
            }", vec![]).await?;
        ensure!(ran[0] == false, "an inline script ran");
        // One more turn through the page's event loop, so that a handler would have had its chance.
        browser.client.execute_async("setTimeout(arguments[0])", vec![]).await?;
        let flags = browser
            .run(
                "return [window.handlerRan, window.insertedRan, window.evalRan].filter(Boolean).length",
                vec![],
            )
            .await?;
        ensure!(flags == Value::from(0), "markup or text ran as code");
        let console = browser.console().await?.join("\n");
        ensure!(console.contains("Content Security Policy"), "the policy said nothing: {console}");
        Ok(())
    })
}
