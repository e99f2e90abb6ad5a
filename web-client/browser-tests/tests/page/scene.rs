//! What every test starts from: a browser that shows the page with a model ready.

use std::future::Future;
use std::sync::LazyLock;

use anyhow::{Context, ensure};
use browser_tests::browser::Browser;
use browser_tests::service::Service;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

/// One runtime for all tests: the shared service lives on it, and must outlive the test that started it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime can be made"));
static SERVICE: OnceCell<Service> = OnceCell::const_new();

/// Stands before the reason when there is no browser.
pub(crate) const NEEDS_CHROMIUM: &str = "needs Chromium and its driver";

/// A text with words that the leak check can find, in lines of more than four words.
pub(crate) const TEXT: &str = "\
Dear doctor, the fever came back on Tuesday and my daughter could not sleep.
We gave her the syrup at night, as you said, and she was better by the morning.
My phone number is 555 0142 if the results arrive before Friday.
The neighbours were so kind: they brought soup, apples and a small toy car.
Next week we travel to my mother's house by the lake; is that a problem?
Thank you for your patience with all these questions, and please greet your sister Noël.
";

/// Runs a test on the shared runtime.
pub(crate) fn run(test: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    RUNTIME.block_on(test)
}

/// The service that tests share, with its one model.
pub(crate) async fn service() -> anyhow::Result<&'static Service> {
    SERVICE.get_or_try_init(async || Service::start(&Service::site(), true).await).await
}

/// Opens the page of `service` and waits until a text can be chosen.
pub(crate) async fn open(service: &Service) -> anyhow::Result<Browser> {
    let browser = Browser::start().await.context(NEEDS_CHROMIUM)?;
    browser.client.goto(service.page_with_key()).await?;
    browser.wait_until("document.getElementById('model-status').textContent.startsWith('Ready')").await?;
    Ok(browser)
}

/// Gives the page a file and waits for its preview.
pub(crate) async fn choose(browser: &Browser, name: &str, text: &str) -> anyhow::Result<()> {
    let path = browser.write_file(name, text.as_bytes())?;
    browser.pick_file(&path).await?;
    browser.wait_until("document.querySelectorAll('#preview [role=row]').length > 1").await?;
    Ok(())
}

/// Makes training as short as it gets: one pass in a step or two.
pub(crate) async fn train_briefly(browser: &Browser) -> anyhow::Result<()> {
    let script =
        "document.getElementById('epochs').value = '1'; document.getElementById('batch-size').value = '4';";
    browser.run(script, vec![]).await?;
    Ok(())
}

/// Fails if the console holds an error or warning.
pub(crate) async fn console_is_clean(browser: &Browser) -> anyhow::Result<()> {
    let lines = browser.console().await?;
    let bad: Vec<&String> =
        lines.iter().filter(|line| line.starts_with("SEVERE") || line.starts_with("WARNING")).collect();
    ensure!(bad.is_empty(), "the console holds: {bad:?}");
    Ok(())
}
