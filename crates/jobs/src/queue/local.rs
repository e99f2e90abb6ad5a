//! A queue in this process with the semantics of SQS, for local mode: a received message is hidden for the visibility timeout and comes again
//! unless it is acknowledged; received too often, it becomes a dead letter. All of it survives a restart through a journal.

use super::journal::{Entry, Journal, Messages, Record};
use super::{Queue, QueueError};
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

/// A received message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What was sent.
    pub body: String,
    /// Name of the message, the same at every delivery.
    pub message_id: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// Names this delivery for [`LocalQueue::ack`] and [`LocalQueue::nack`]; the next delivery makes it void.
    pub receipt: String,
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
    journal: Option<Journal>,
}

impl Inner {
    /// Journals first, so that nothing happens that a restart would not know of.
    fn apply(&mut self, record: Record) -> io::Result<()> {
        if let Some(journal) = &mut self.journal {
            journal.append(&record, &self.messages)?;
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
        Ok(Self::with(Inner { messages, journal: Some(journal) }, config, clock))
    }

    /// A queue that forgets everything with the process.
    pub fn in_memory(config: LocalQueueConfig, clock: Arc<dyn Clock>) -> Self {
        Self::with(Inner { messages: Messages::default(), journal: None }, config, clock)
    }

    fn with(inner: Inner, config: LocalQueueConfig, clock: Arc<dyn Clock>) -> Self {
        Self { config, clock, inner: Mutex::new(inner), changed: Notify::new() }
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

    /// Messages that were not deleted yet, dead letters left out.
    pub fn len(&self) -> usize {
        self.lock().messages.entries.values().filter(|entry| !entry.dead).count()
    }

    /// True when no message is left, dead letters left out.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Dead letters that were not deleted yet.
    pub fn dead_letters(&self) -> usize {
        self.lock().messages.entries.values().filter(|entry| entry.dead).count()
    }

    /// When the next message becomes visible, in Unix seconds; none when none is left.
    pub fn next_visible_at(&self) -> Option<u64> {
        self.earliest(false)
    }

    fn earliest(&self, dead: bool) -> Option<u64> {
        let inner = self.lock();
        inner.messages.entries.values().filter(|entry| entry.dead == dead).map(|entry| entry.visible_at).min()
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
            // A live message that is due may turn into a dead letter, so both kinds wait for it.
            match [self.earliest(false), self.earliest(dead)].into_iter().flatten().min() {
                Some(at) => {
                    let left = Duration::from_secs(at.saturating_sub(self.clock.now()).max(1));
                    // Woken or timed out: either way the next turn looks again.
                    let _ = tokio::time::timeout(left, changed).await;
                }
                None => changed.await,
            }
        }
    }

    /// Buries what was received too often, then takes the message that has been visible longest.
    fn take(&self, dead: bool) -> Option<Delivery> {
        let now = self.clock.now();
        let mut inner = self.lock();
        self.bury(&mut inner, now);
        let due =
            inner.messages.entries.iter().filter(|(_, entry)| entry.dead == dead && entry.visible_at <= now);
        let (number, entry) = due.min_by_key(|(number, entry)| (entry.visible_at, **number))?;
        let (number, mut entry) = (*number, entry.clone());
        entry.receive_count += 1;
        entry.visible_at = self.after(self.config.visibility_timeout);
        if let Err(error) = inner.apply(Record::Set(number, entry.clone())) {
            tracing::error!(%error, "the queue's journal cannot be written; no message is handed out");
            return None;
        }
        Some(delivery(number, entry))
    }

    fn bury(&self, inner: &mut Inner, now: u64) {
        let worn_out = |entry: &Entry| {
            !entry.dead && entry.visible_at <= now && entry.receive_count >= self.config.max_receives
        };
        let entries = inner.messages.entries.iter();
        let buried: Vec<_> =
            entries.filter(|(_, entry)| worn_out(entry)).map(|(n, e)| (*n, e.clone())).collect();
        for (number, entry) in buried {
            let entry = Entry { dead: true, ..entry };
            if let Err(error) = inner.apply(Record::Set(number, entry)) {
                tracing::error!(%error, "the queue's journal cannot be written; a dead letter stays for now");
            } else {
                self.changed.notify_waiters();
            }
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
        let body = serde_json::to_string(message).expect("a slice message is plain data");
        let entry = Entry { body, visible_at: self.after(delay), receive_count: 0, dead: false };
        let mut inner = self.lock();
        let number = inner.messages.next;
        inner.apply(Record::Set(number, entry)).map_err(|error| unwritable("send a message", &error))?;
        drop(inner);
        self.changed.notify_waiters();
        Ok(())
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
