//! A queue with the promises of SQS's standard queues: at least once, in no order, hidden for a while, dead after too many deliveries.

use crate::{chance, elsewhere, pick, tell};
use jobs::{Clock, ManualClock, Queue, QueueError};
use protocol::message::SliceMessage;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a received message is hidden, in seconds: longer than a lease and clocks that differ.
pub(crate) const VISIBILITY: u64 = 75;

/// Deliveries before a message is a dead letter.
pub(crate) const MAX_RECEIVES: u32 = 4;

struct Entry {
    number: u64,
    message: SliceMessage,
    visible_at: u64,
    receives: u32,
    dead: bool,
}

/// A message in a worker's hands.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) number: u64,
    pub(crate) message: SliceMessage,
    pub(crate) receives: u32,
}

#[derive(Default)]
struct Inner {
    entries: Vec<Entry>,
    next: u64,
}

/// The queue and its dead-letter queue.
pub(crate) struct SimQueue {
    clock: Arc<ManualClock>,
    inner: Mutex<Inner>,
    /// Of a thousand sends, how many fail.
    pub(crate) faults: std::sync::atomic::AtomicU32,
}

impl SimQueue {
    pub(crate) fn new(clock: Arc<ManualClock>, faults: u32) -> Self {
        Self { clock, inner: Mutex::default(), faults: faults.into() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("one thread")
    }

    /// Any message that is visible.
    pub(crate) fn receive(&self, dead: bool) -> Option<Delivery> {
        let now = self.clock.now();
        let mut inner = self.lock();
        for entry in &mut inner.entries {
            if !entry.dead && entry.visible_at <= now && entry.receives >= MAX_RECEIVES {
                (entry.dead, entry.receives) = (true, 0);
            }
        }
        let visible = |entry: &&mut Entry| entry.dead == dead && entry.visible_at <= now;
        let mut found: Vec<_> = inner.entries.iter_mut().filter(visible).collect();
        if found.is_empty() {
            return None;
        }
        let index = pick(found.len());
        let entry = &mut found[index];
        entry.receives += 1;
        // At least once: now and then a message that was just received is there for the next one, too.
        if !chance(30) {
            entry.visible_at = now + VISIBILITY;
        }
        tell(|| {
            format!(
                "  message {} {:?}/{:?} received ({}, dead {dead})",
                entry.number, entry.message.slice, entry.message.shard, entry.receives
            )
        });
        Some(Delivery { number: entry.number, message: entry.message.clone(), receives: entry.receives })
    }

    /// Deletes a message; the deletion may be lost.
    pub(crate) fn delete(&self, number: u64) {
        if !chance(self.faults.load(std::sync::atomic::Ordering::Relaxed)) {
            self.lock().entries.retain(|entry| entry.number != number);
        }
    }

    /// Messages that were not deleted, dead letters too.
    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    pub(crate) fn push(&self, message: &SliceMessage, delay: Duration) {
        let visible_at = self.clock.now() + delay.as_secs();
        let mut inner = self.lock();
        let number = inner.next;
        inner.next += 1;
        tell(|| format!("  message {number} {} {:?}/{:?} sent", message.job, message.slice, message.shard));
        inner.entries.push(Entry { number, message: message.clone(), visible_at, receives: 0, dead: false });
    }
}

#[async_trait::async_trait]
impl Queue for SimQueue {
    async fn send(&self, message: &SliceMessage, delay: Duration) -> Result<(), QueueError> {
        elsewhere().await;
        let faults = self.faults.load(std::sync::atomic::Ordering::Relaxed);
        let broken =
            || QueueError::Unavailable { operation: "send a message", reason: "an injected fault".into() };
        if chance(faults) {
            return Err(broken());
        }
        self.push(message, delay);
        elsewhere().await;
        if chance(faults) { Err(broken()) } else { Ok(()) }
    }
}
