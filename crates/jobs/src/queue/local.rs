//! A queue in this process with the semantics of SQS, for local mode: a received message is hidden for the visibility timeout and comes again
//! unless it is acknowledged; received too often, it becomes a dead letter. All of it survives a restart through a journal.
//!
//! Invariant: the order of the messages is that of their journal, and changes in the same step.

use super::journal::{Entry, Journal, Messages, Record};
use super::order::{Order, due, due_count, earliest};
use super::{Delivery, Queue, QueueError};
use crate::clock::Clock;
use protocol::message::SliceMessage;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How the queue behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalQueueConfig {
    /// How long a received message is hidden. Longer than a slice's lease, so that a crashed slice's message comes after the lease ended.
    pub visibility_timeout: Duration,
    /// A message received this often becomes a dead letter instead of being received again.
    pub max_receives: u32,
}

/// See the module's head.
pub struct LocalQueue {
    config: LocalQueueConfig,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
    changed: Notify,
}

struct Inner {
    messages: Messages,
    /// The order of `messages`.
    order: Order,
    journal: Option<Journal>,
}

impl Inner {
    /// Journals first, so that nothing happens that a restart would not know of.
    fn apply(&mut self, record: Record) -> io::Result<()> {
        if let Some(journal) = &mut self.journal {
            journal.append(&record, &self.messages)?;
        }
        if let Record::Set(number, _) | Record::Remove(number) = &record
            && let Some(before) = self.messages.entries.get(number)
        {
            self.order.remove(*number, before);
        }
        if let Record::Set(number, after) = &record {
            self.order.insert(*number, after);
        }
        self.messages.apply(record);
        Ok(())
    }
}

impl LocalQueue {
    /// A queue whose messages survive in the file `journal`, which is made if it is not there.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is damaged.
    pub fn open(journal: &Path, config: LocalQueueConfig, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let (journal, messages) = Journal::open(journal)?;
        Ok(Self::with(messages, Some(journal), config, clock))
    }

    /// A queue that forgets everything with the process.
    pub fn in_memory(config: LocalQueueConfig, clock: Arc<dyn Clock>) -> Self {
        Self::with(Messages::default(), None, config, clock)
    }

    fn with(
        messages: Messages,
        journal: Option<Journal>,
        config: LocalQueueConfig,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let inner = Inner { order: Order::of(&messages, config.max_receives), messages, journal };
        Self { config, clock, inner: Mutex::new(inner), changed: Notify::new() }
    }

    /// Sends a message of any content, as [`Queue::send`] does.
    ///
    /// # Errors
    /// When the journal cannot be written; whether the message was taken is then unknown.
    pub fn send_body(&self, body: String, delay: Duration) -> Result<(), QueueError> {
        let entry = Entry { body, visible_at: self.after(delay), receive_count: 0, dead: false };
        let mut inner = self.lock();
        let number = inner.messages.next;
        inner.apply(Record::Set(number, entry)).map_err(|error| unwritable("send a message", &error))?;
        drop(inner);
        self.changed.notify_waiters();
        Ok(())
    }

    /// The next message; waits until there is one.
    pub async fn receive(&self) -> Delivery {
        self.wait(false).await
    }

    /// The next message, if one is visible now.
    pub fn try_receive(&self) -> Option<Delivery> {
        self.take(false)
    }

    /// The next dead letter; waits until there is one. It comes again, without limit, until it is acknowledged.
    pub async fn receive_dead_letter(&self) -> Delivery {
        self.wait(true).await
    }

    /// The next dead letter, if one is visible now.
    pub fn try_receive_dead_letter(&self) -> Option<Delivery> {
        self.take(true)
    }

    /// Deletes a delivered message. A void receipt does nothing: the later delivery decides.
    ///
    /// # Errors
    /// When the journal cannot be written; the message then comes again.
    pub fn ack(&self, receipt: &str) -> Result<(), QueueError> {
        let mut inner = self.lock();
        let Some((number, _)) = find(&inner.messages, receipt) else { return Ok(()) };
        inner.apply(Record::Remove(number)).map_err(|error| unwritable("delete a message", &error))
    }

    /// Gives a delivered message back; it is visible again after `delay`. A void receipt does nothing.
    ///
    /// # Errors
    /// When the journal cannot be written; the message then comes again after the visibility timeout.
    pub fn nack(&self, receipt: &str, delay: Duration) -> Result<(), QueueError> {
        let mut inner = self.lock();
        let Some((number, mut entry)) = find(&inner.messages, receipt) else { return Ok(()) };
        entry.visible_at = self.after(delay);
        inner.apply(Record::Set(number, entry)).map_err(|error| unwritable("give a message back", &error))?;
        drop(inner);
        self.changed.notify_waiters();
        Ok(())
    }

    /// Sends every dead letter that is visible now to the queue again, as a new message; returns how many these were.
    ///
    /// # Errors
    /// When the journal cannot be written; what was not moved is still a dead letter.
    pub fn redrive(&self) -> Result<usize, QueueError> {
        let now = self.clock.now();
        let mut inner = self.lock();
        self.bury(&mut inner, now);
        let mut moved = 0;
        while let Some(number) = due(&inner.order.dead, now) {
            // A new number: with its own, a receipt of long ago would hold again once the count is the same.
            let fresh = inner.messages.next;
            let body = inner.messages.entries[&number].body.clone();
            let entry = Entry { body, visible_at: now, receive_count: 0, dead: false };
            // Sent before it is removed: a crash in between leaves it twice, never not at all.
            let records = [Record::Set(fresh, entry), Record::Remove(number)];
            for record in records {
                inner.apply(record).map_err(|error| unwritable("move a dead letter", &error))?;
            }
            moved += 1;
        }
        drop(inner);
        self.changed.notify_waiters();
        Ok(moved)
    }

    /// Messages that were not deleted yet, dead letters left out.
    pub fn len(&self) -> usize {
        let inner = self.lock();
        inner.order.live.len() + inner.order.worn.len()
    }

    /// True when no message is left, dead letters left out.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Dead letters that were not deleted yet.
    pub fn dead_letters(&self) -> usize {
        self.lock().order.dead.len()
    }

    /// Messages that can be received now.
    pub fn visible(&self) -> usize {
        due_count(&self.lock().order.live, self.clock.now())
    }

    /// Dead letters that can be received now.
    pub fn visible_dead_letters(&self) -> usize {
        due_count(&self.lock().order.dead, self.clock.now())
    }

    /// When the next message becomes visible, in Unix seconds; none when none is left.
    pub fn next_visible_at(&self) -> Option<u64> {
        let inner = self.lock();
        [&inner.order.live, &inner.order.worn].into_iter().filter_map(earliest).min()
    }

    async fn wait(&self, dead: bool) -> Delivery {
        loop {
            // Registered before looking, so that a message that comes in between still wakes us.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(delivery) = self.take(dead) {
                return delivery;
            }
            match self.next_change(dead) {
                Some(at) => {
                    let left = Duration::from_secs(at.saturating_sub(self.clock.now()).max(1));
                    // Woken or timed out: either way the next turn looks again.
                    let _ = tokio::time::timeout(left, changed).await;
                }
                None => changed.await,
            }
        }
    }

    /// When a receiver should look again. A message that is worn out may turn into a dead letter, so both kinds wait for it.
    fn next_change(&self, dead: bool) -> Option<u64> {
        let order = &self.lock().order;
        let line = if dead { &order.dead } else { &order.live };
        [line, &order.worn].into_iter().filter_map(earliest).min()
    }

    /// Buries what was received too often, then takes the message that has been visible longest.
    fn take(&self, dead: bool) -> Option<Delivery> {
        let now = self.clock.now();
        let mut inner = self.lock();
        self.bury(&mut inner, now);
        let number = due(if dead { &inner.order.dead } else { &inner.order.live }, now)?;
        let mut entry = inner.messages.entries[&number].clone();
        entry.receive_count += 1;
        entry.visible_at = self.after(self.config.visibility_timeout);
        if let Err(error) = inner.apply(Record::Set(number, entry.clone())) {
            tracing::error!(%error, "the queue's journal cannot be written; no message is handed out");
            return None;
        }
        Some(delivery(number, entry))
    }

    fn bury(&self, inner: &mut Inner, now: u64) {
        while let Some(number) = due(&inner.order.worn, now) {
            let entry = Entry { dead: true, ..inner.messages.entries[&number].clone() };
            if let Err(error) = inner.apply(Record::Set(number, entry)) {
                tracing::error!(%error, "the queue's journal cannot be written; a dead letter stays for now");
                return;
            }
            self.changed.notify_waiters();
        }
    }

    /// Rounded up: time is known in whole seconds, and a message must not be seen too early.
    fn after(&self, delay: Duration) -> u64 {
        self.clock.now() + delay.as_millis().div_ceil(1000) as u64
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Records are applied whole, so a panic elsewhere leaves valid messages behind.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait::async_trait]
impl Queue for LocalQueue {
    async fn send(&self, message: &SliceMessage, delay: Duration) -> Result<(), QueueError> {
        // A struct of plain strings and numbers always serialises.
        self.send_body(serde_json::to_string(message).expect("a slice message is plain data"), delay)
    }
}

fn delivery(number: u64, entry: Entry) -> Delivery {
    let receipt = format!("{number}/{}", entry.receive_count);
    let message_id = format!("local-{number}");
    Delivery { body: entry.body, message_id, receive_count: entry.receive_count, receipt }
}

/// The message that `receipt` names, unless it was delivered again or deleted since.
fn find(messages: &Messages, receipt: &str) -> Option<(u64, Entry)> {
    let (number, count) = receipt.split_once('/')?;
    let number = number.parse().ok()?;
    let entry = messages.entries.get(&number)?;
    (entry.receive_count.to_string() == count).then(|| (number, entry.clone()))
}

fn unwritable(operation: &'static str, error: &io::Error) -> QueueError {
    QueueError::Unavailable { operation, reason: format!("its journal cannot be written ({})", error.kind()) }
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
