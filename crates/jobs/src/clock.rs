//! Where time comes from: an argument everywhere, so that tests decide what it is.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells the time. Leases and messages use [`now`](Clock::now), which all hosts share; deadlines within one process use
/// [`monotonic`](Clock::monotonic), which never jumps.
pub trait Clock: Send + Sync {
    /// Unix time in whole seconds.
    fn now(&self) -> u64;

    /// Time since some fixed moment of this process; never falls.
    fn monotonic(&self) -> Duration;
}

/// The host's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Starts counting monotonic time.
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the real clocks; everybody else takes a Clock"
    )]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the real clocks; everybody else takes a Clock"
    )]
    fn now(&self) -> u64 {
        // A clock set before 1970 gives an error; 0 then makes every lease live and every link expired, which is safe.
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until it is moved; for tests.
#[derive(Debug)]
pub struct ManualClock {
    start: u64,
    passed: Mutex<Duration>,
}

impl ManualClock {
    /// A clock that shows `now` (Unix seconds) and no monotonic time passed.
    pub fn new(now: u64) -> Self {
        Self { start: now, passed: Mutex::new(Duration::ZERO) }
    }

    /// Moves both times forward.
    pub fn advance(&self, by: Duration) {
        *self.lock() += by;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Duration> {
        // A panic while the lock is held leaves a whole duration behind, so a poisoned lock still holds a valid time.
        self.passed.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> u64 {
        self.start + self.lock().as_secs()
    }

    fn monotonic(&self) -> Duration {
        *self.lock()
    }
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
