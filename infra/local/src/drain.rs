//! Ending a running slice early: a clock whose deadlines are suddenly all past.
//!
//! A slice looks at the monotonic time after each step and stops, with a checkpoint, when its deadline is near. At shutdown this clock therefore
//! jumps ahead: whatever runs ends after its present step as if its time were over, is committed, and goes on at the next start. No second
//! way of stopping is needed.

use jobs::{Clock, SystemClock};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The host's clocks until [`drain`](Self::drain) is called.
#[derive(Debug)]
pub(crate) struct DrainingClock {
    host: SystemClock,
    /// Longer than any deadline is away, and no longer: a slice that sees the jump counts it as time it trained.
    jump: Duration,
    draining: AtomicBool,
}

impl DrainingClock {
    /// A clock for slices of at most `longest_slice`.
    pub(crate) fn new(longest_slice: Duration) -> Self {
        Self { host: SystemClock::new(), jump: longest_slice, draining: AtomicBool::new(false) }
    }

    /// Lets the monotonic time jump past every deadline.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

#[async_trait::async_trait]
impl Clock for DrainingClock {
    fn now(&self) -> u64 {
        self.host.now()
    }

    fn monotonic(&self) -> Duration {
        let jump = if self.draining.load(Ordering::Relaxed) { self.jump } else { Duration::ZERO };
        self.host.monotonic() + jump
    }

    async fn sleep(&self, duration: Duration) {
        self.host.sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draining_ends_every_deadline_but_not_leases() {
        let slice = Duration::from_secs(30);
        let clock = DrainingClock::new(slice);
        let deadline = clock.monotonic() + slice;
        let now = clock.now();
        assert!(clock.monotonic() < deadline);
        clock.drain();
        assert!(clock.monotonic() >= deadline);
        assert!(clock.now() <= now + 5);
    }
}
