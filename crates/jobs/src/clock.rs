//! Where time comes from: an argument everywhere, so that tests decide what it is.

use std::sync::Mutex;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells the time. Leases and messages use [`now`](Clock::now), which all hosts share; deadlines within one process use
/// [`monotonic`](Clock::monotonic), which never jumps.
#[async_trait::async_trait]
pub trait Clock: Send + Sync {
    /// Unix time in whole seconds.
    fn now(&self) -> u64;

    /// Time since some fixed moment of this process; never falls.
    fn monotonic(&self) -> Duration;

    /// Waits until so much monotonic time has passed.
    async fn sleep(&self, duration: Duration);
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

#[async_trait::async_trait]
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

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock that stands still until it is moved; for tests.
#[derive(Debug)]
pub struct ManualClock {
    start: u64,
    time: Mutex<ManualTime>,
}

#[derive(Debug, Default)]
struct ManualTime {
    passed: Duration,
    /// Who waits for it to move.
    sleepers: Vec<Waker>,
    /// Who waits for a sleeper.
    watchers: Vec<Waker>,
}

impl ManualClock {
    /// A clock that shows `now` (Unix seconds) and no monotonic time passed.
    pub fn new(now: u64) -> Self {
        Self { start: now, time: Mutex::default() }
    }

    /// Moves both times forward.
    pub fn advance(&self, by: Duration) {
        let mut time = self.lock();
        time.passed += by;
        time.sleepers.drain(..).for_each(Waker::wake);
    }

    /// Waits until somebody sleeps by this clock, so that moving it has an effect. Whoever was woken and sleeps on counts anew.
    pub async fn until_asleep(&self) {
        std::future::poll_fn(|context| {
            let mut time = self.lock();
            if !time.sleepers.is_empty() {
                return Poll::Ready(());
            }
            time.watchers.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ManualTime> {
        // A panic while the lock is held leaves a whole duration behind, so a poisoned lock still holds a valid time.
        self.time.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[async_trait::async_trait]
impl Clock for ManualClock {
    fn now(&self) -> u64 {
        self.start + self.lock().passed.as_secs()
    }

    fn monotonic(&self) -> Duration {
        self.lock().passed
    }

    async fn sleep(&self, duration: Duration) {
        let end = self.monotonic().saturating_add(duration);
        std::future::poll_fn(|context| {
            let mut time = self.lock();
            if time.passed >= end {
                return Poll::Ready(());
            }
            if !time.sleepers.iter().any(|sleeper| sleeper.will_wake(context.waker())) {
                time.sleepers.push(context.waker().clone());
            }
            time.watchers.drain(..).for_each(Waker::wake);
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
