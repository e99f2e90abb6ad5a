//! Where the outside world comes in: clock, OS randomness, logging.

use anyhow::Context as _;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::path::Path;

/// What shows requests as they are sent, when asked for everything: with them the addresses that are secrets.
const SHOW_REQUESTS: [&str; 5] =
    ["aws_smithy_runtime", "aws_smithy_http_client", "aws_sdk_sqs", "aws_sdk_s3", "hyper_util"];

/// Logs go to stderr, warnings only unless `RUST_LOG` asks for more. The embedded S3 calls every conditional put that loses a race an error.
pub(crate) fn init_logging() {
    let mut filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn,s3s=off".into());
    for target in SHOW_REQUESTS {
        // A crate's name and a level are always a valid directive.
        filter = filter.add_directive(format!("{target}=warn").parse().expect("a valid directive"));
    }
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// 32 bytes of OS randomness.
pub(crate) fn entropy() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the operating system gave no randomness")?;
    Ok(bytes)
}

/// Unix seconds.
pub(crate) fn now() -> u64 {
    jobs::Clock::now(&jobs::SystemClock::new())
}

/// A cryptographic generator seeded by the OS.
pub(crate) fn generator() -> anyhow::Result<ChaCha20Rng> {
    Ok(ChaCha20Rng::from_seed(entropy()?))
}

/// Number of threads to train with unless told.
pub(crate) fn threads(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Reads a file, and says which one when that fails.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
