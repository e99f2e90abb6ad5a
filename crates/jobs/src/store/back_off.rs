//! How often, and how long after another, a conditional write that lost against others is tried again.
//!
//! Of n callers who change one object at the same time, one wins each round. Without a wait a caller loses k rounds in a row with probability
//! (1 − 1/n)^k, 60 % for n = 16 and k = 8; so callers must meet less often the more they are. The bound of the wait doubles from turn to turn, up to a
//! few times what a round takes: any longer, and those who come anew would always be there first. Within the bound each caller's wait is a hash of what
//! it wants to write, in which callers differ: "full jitter" (Brooker 2015, *Exponential Backoff And Jitter*) without a source of randomness.

use super::Store;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Races that are lost before a caller gives up: some 8 s of waiting and as much of reading and writing, within a request's 29 s.
const MOST_LOST: u32 = 40;
/// Requests that fail before a caller gives up. The store's client has tried each of them several times.
const MOST_FAILED: u32 = 8;
/// The first bound: about what a round takes on S3.
const FIRST: Duration = Duration::from_millis(40);
/// The largest bound.
const LARGEST: Duration = Duration::from_millis(400);

/// The turns of one change.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    lost: u32,
    failed: u32,
}

impl Turns {
    /// Somebody else wrote in between.
    pub(crate) fn lost(&mut self) {
        self.lost += 1;
    }

    /// A request failed.
    pub(crate) fn failed(&mut self) {
        self.failed += 1;
    }

    /// Waits for the next turn of whoever wants to write `wanted`; false when it is time to give up.
    pub(crate) async fn next(&self, store: &dyn Store, wanted: &[u8]) -> bool {
        let taken = self.lost + self.failed;
        if self.lost >= MOST_LOST || self.failed >= MOST_FAILED {
            return false;
        }
        if taken > 0 {
            store.step_back(wait(wanted, taken)).await;
        }
        true
    }
}

/// The wait of whoever wants to write `wanted` after `taken` turns, at least 1.
fn wait(wanted: &[u8], taken: u32) -> Duration {
    let bound = FIRST.saturating_mul(1_u32.checked_shl(taken - 1).unwrap_or(u32::MAX)).min(LARGEST);
    let mut hasher = DefaultHasher::new();
    (wanted, taken).hash(&mut hasher);
    bound.mul_f64(hasher.finish() as f64 / u64::MAX as f64)
}

#[cfg(test)]
#[path = "back_off_tests.rs"]
mod tests;
