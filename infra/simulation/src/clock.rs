//! One process's clock: the world's time with an offset of its own.

use jobs::{Clock, ManualClock};
use std::sync::Arc;
use std::time::Duration;

/// As far as hosts' clocks may differ, in seconds.
pub(crate) const MOST_SKEW: u64 = 4;

/// Shows the world's time, fast or slow by up to [`MOST_SKEW`].
pub(crate) struct SkewedClock {
    pub(crate) world: Arc<ManualClock>,
    /// Seconds ahead of a world that is [`MOST_SKEW`] behind the true time.
    pub(crate) ahead: u64,
}

#[async_trait::async_trait]
impl Clock for SkewedClock {
    fn now(&self) -> u64 {
        self.world.now() - MOST_SKEW + self.ahead
    }

    fn monotonic(&self) -> Duration {
        self.world.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        self.world.sleep(duration).await;
    }
}
