//! How long a conditional write that lost against others waits before its next turn.
//!
//! Of n callers who change one object at the same time, one wins each round. Without a wait a caller loses k rounds in a row with probability
//! (1 − 1/n)^k, 60 % for n = 16 and k = 8; so rounds must get rarer the more there are who want one. The bound doubles from turn to turn, and within
//! it each caller's wait is a hash of what it wants to write, in which callers differ: "full jitter" (Brooker 2015, *Exponential Backoff And Jitter*)
//! without a source of randomness.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Turns of a change before it gives up: less than 7 s of waiting in all, well within a request's 29 s.
pub(crate) const MAX_TRIES: u32 = 12;

/// The first bound: about what a round takes on S3.
const FIRST: Duration = Duration::from_millis(40);
/// The largest bound.
const LARGEST: Duration = Duration::from_secs(1);

/// The wait before turn `turn`, counted from 0, of whoever wants to write `wanted`. None before the first.
pub(crate) fn wait(wanted: &[u8], turn: u32) -> Duration {
    let Some(lost) = turn.checked_sub(1) else { return Duration::ZERO };
    let bound = FIRST.saturating_mul(1_u32.checked_shl(lost).unwrap_or(u32::MAX)).min(LARGEST);
    let mut hasher = DefaultHasher::new();
    (wanted, turn).hash(&mut hasher);
    bound.mul_f64(hasher.finish() as f64 / u64::MAX as f64)
}

#[cfg(test)]
#[path = "back_off_tests.rs"]
mod tests;
