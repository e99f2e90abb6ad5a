//! The page's small modules, called one by one: numbers in words, and the .zip writer.

use anyhow::ensure;
use browser_tests::browser::Browser;
use serde_json::{Value, json};

use crate::scene::{open, run, service};

async fn evaluate(browser: &Browser, module: &str, expression: &str) -> anyhow::Result<Value> {
    let script = format!("const done = arguments[0]; import('/{module}').then((m) => done({expression}))");
    Ok(browser.client.execute_async(&script, vec![]).await?)
}

#[test]
#[ignore = "needs Chromium: run with --ignored"]
fn numbers_in_words_never_promise_too_much() -> anyhow::Result<()> {
    let cases = [
        (
            "[54.6, 2980.96, 59874, 1.05, 1202604, 3e9].map(m.timesAtMost)",
            json!([
                "55 times",
                "3,000 times",
                "60,000 times",
                "1.1 times",
                "1.3 million times",
                "more than a billion times"
            ]),
        ),
        (
            "[0.5, 0.7310586, 0.98201, 0.99966].map(m.percentAtMost)",
            json!(["50 %", "73.2 %", "98.3 %", "more than 99.9 %"]),
        ),
        ("[3.9973, 4, 0.101].map(m.atMost)", json!(["4", "4", "0.11"])),
        (
            "[0, 0.0000005, 0.055, 0.42, 0.9995, 1].map(m.percent)",
            json!(["0 %", "less than 0.1 %", "5.5 %", "42 %", "more than 99.9 %", "100 %"]),
        ),
        (
            "[[0, 'line'], [1, 'line'], [2, 'entry']].map((a) => m.plural(...a))",
            json!(["0 lines", "1 line", "2 entries"]),
        ),
        ("[999, 40000, 2.5e6].map(m.size)", json!(["999 bytes", "40.0 KB", "2.5 MB"])),
        (
            "[0.2, 59, 90, 7200].map(m.duration)",
            json!(["1 second", "59 seconds", "about 2 minutes", "about 2.0 hours"]),
        ),
    ];
    run(async {
        let browser = open(service().await?).await?;
        for (expression, expected) in cases {
            let value = evaluate(&browser, "format.js", expression).await?;
            ensure!(value == expected, "{expression} is {value}, not {expected}");
        }
        Ok(())
    })
}

/// The check value of CRC-32 is that of "123456789" in every catalogue of CRCs: cbf43926.
#[test]
#[ignore = "needs Chromium: run with --ignored"]
fn the_zip_writer_states_the_right_checksum_and_places() -> anyhow::Result<()> {
    let expression = "m.zip([{name: 'a', bytes: new Uint8Array(3)}, {name: 'ü', bytes: new TextEncoder().encode('123456789')}])
        .arrayBuffer().then((b) => Array.from(new Uint8Array(b)))";
    run(async {
        let browser = open(service().await?).await?;
        let script =
            format!("const done = arguments[0]; import('/zip.js').then((m) => {expression}).then(done)");
        let bytes: Vec<u8> = serde_json::from_value(browser.client.execute_async(&script, vec![]).await?)?;
        // Local header of the second file, after 30 + 1 + 3 bytes of the first: CRC at 14, sizes at 18 and 22.
        let second = &bytes[34..];
        ensure!(second.starts_with(b"PK\x03\x04") && second[14..18] == 0xcbf4_3926_u32.to_le_bytes());
        ensure!(second[18..22] == 9_u32.to_le_bytes() && second[22..26] == 9_u32.to_le_bytes());
        let end = bytes.windows(4).rposition(|window| window == b"PK\x05\x06").unwrap_or_default();
        let number =
            |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize;
        ensure!(bytes[end + 10] == 2, "the directory lists two files");
        ensure!(bytes[number(end + 16)..].starts_with(b"PK\x01\x02"), "the directory is where the end says");
        ensure!(number(end + 16) + number(end + 12) == end, "the directory's size is right");
        Ok(())
    })
}
