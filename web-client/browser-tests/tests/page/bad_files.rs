//! Files that cannot be used: one clear message each, and nothing is sent.

use anyhow::ensure;
use browser_tests::browser::Browser;
use browser_tests::netlog::NetLog;

use crate::scene::{TEXT, choose, open, run, service};

#[test]
#[ignore = "needs Chromium: run with --ignored"]
fn each_bad_file_shows_one_message_and_nothing_is_sent() -> anyhow::Result<()> {
    run(async {
        let browser = open(service().await?).await?;
        for (name, content, expected) in bad_files() {
            // A good file before each: its preview must go away again.
            choose(&browser, "good.txt", TEXT).await?;
            refused(&browser, name, &content, expected).await?;
        }
        let log = NetLog::parse(&browser.close().await?)?;
        let posts: Vec<_> = log
            .requests
            .iter()
            .filter(|request| request.method != "GET" && request.initiator.starts_with("http"))
            .collect();
        ensure!(posts.is_empty(), "something was sent: {posts:?}");
        Ok(())
    })
}

fn bad_files() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let mut huge = TEXT.as_bytes().repeat(1 + 20 * 1024 * 1024 / TEXT.len());
    huge.truncate(20 * 1024 * 1024 + 1);
    vec![
        ("empty.txt", Vec::new(), "no text"),
        ("blank.txt", b"\n \n\t\n".to_vec(), "no text"),
        ("huge.txt", huge, "20 MiB"),
        ("picture.txt", b"GIF89a\0\0\0".to_vec(), "binary"),
        ("latin1.txt", b"caf\xe9 au lait".to_vec(), "UTF-8"),
        ("one-line.txt", vec![b'a'; 2 * 1024 * 1024], "split it"),
        ("cut.jsonl", b"{\"text\": \"hello\"}\n{\"text\": ".to_vec(), "Line 2"),
    ]
}

async fn refused(browser: &Browser, name: &str, content: &[u8], expected: &str) -> anyhow::Result<()> {
    let path = browser.write_file(name, content)?;
    browser.pick_file(&path).await?;
    browser.wait_until("document.getElementById('file-error').textContent").await?;
    let shown = browser.complaints().await?;
    ensure!(shown.contains(expected), "{name}: the page says “{shown}”");
    ensure!(!shown.contains(" | "), "{name}: more than one message: {shown}");
    let can_send = browser.run("return !document.getElementById('preview-section').hidden", vec![]).await?;
    ensure!(can_send == false, "{name}: it could still be sent");
    Ok(())
}
