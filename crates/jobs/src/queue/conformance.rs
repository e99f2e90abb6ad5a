//! What every queue must do, as checks that any implementation can be put through.
//!
//! The queue under test must be empty, as must be its dead letters; the suite leaves both empty.

use super::{DeadLetters, Delivery, Queue, QueueConsumer};
use crate::clock::ManualClock;
use protocol::id::{JobId, TenantId};
use protocol::message::SliceMessage;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How time passes for the queue.
#[derive(Clone)]
pub enum Time {
    /// It shows this clock's time.
    Manual(Arc<ManualClock>),
    /// It shows the time of another process: the suite waits for it.
    Real,
}

/// A queue under test.
#[derive(Clone)]
pub struct Subject {
    /// The sender's side.
    pub queue: Arc<dyn Queue>,
    /// The receiver's side.
    pub consumer: Arc<dyn QueueConsumer>,
    /// What was received too often.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// How long a received message is hidden, in whole seconds.
    pub visibility_timeout: Duration,
    /// A message received this often becomes a dead letter; at least 3.
    pub max_receives: u32,
    /// How time passes.
    pub time: Time,
}

/// Puts the queue through the whole contract.
///
/// # Panics
/// When a check fails; the message says which.
pub async fn run(subject: &Subject) {
    messages_arrive_unchanged(subject).await;
    a_received_message_is_hidden_and_comes_again(subject).await;
    a_void_receipt_changes_nothing(subject).await;
    what_is_given_back_comes_after_its_delay(subject).await;
    what_is_sent_with_a_delay_comes_after_it(subject).await;
    a_waiting_receiver_gets_what_is_sent(subject).await;
    held_messages_have_one_receiver_each(subject).await;
    two_hundred_messages_reach_eight_receivers(subject).await;
    what_was_received_too_often_is_a_dead_letter(subject).await;
    dead_letters_can_be_sent_again(subject).await;
}

/// How long the suite waits for a message that must come. A queue in this process has it at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time is known in whole seconds to some queues, so that a second may be the next moment.
const SECOND: Duration = Duration::from_secs(1);

impl Subject {
    async fn send(&self, message: &SliceMessage) {
        self.queue.send(message, Duration::ZERO).await.expect("a message is sent");
    }

    /// The next message, which must be there.
    async fn receive(&self) -> Delivery {
        let received = self.consumer.receive(self.patience()).await.expect("a queue that can be reached");
        received.expect("a message that is visible is received")
    }

    /// Nothing is visible now.
    async fn assert_nothing(&self, why: &str) {
        let received = self.consumer.receive(Duration::ZERO).await.expect("a queue that can be reached");
        assert_eq!(received, None, "{why}");
    }

    async fn ack(&self, delivery: &Delivery) {
        self.consumer.ack(&delivery.receipt).await.expect("a message is acknowledged");
    }

    async fn nack(&self, delivery: &Delivery, delay: Duration) {
        self.consumer.nack(&delivery.receipt, delay).await.expect("a message is given back");
    }

    fn patience(&self) -> Duration {
        if matches!(self.time, Time::Real) { PATIENCE } else { Duration::ZERO }
    }

    async fn elapse(&self, duration: Duration) {
        match &self.time {
            Time::Manual(clock) => clock.advance(duration),
            // What is under test is this very timeout, in a process with a clock of its own.
            Time::Real => tokio::time::sleep(duration).await,
        }
    }

    /// Lets `delivery` become a dead letter, and takes it there.
    async fn wear_out(&self, message: &SliceMessage) -> Delivery {
        self.send(message).await;
        for _ in 0..self.max_receives {
            let delivery = self.receive().await;
            assert_eq!(read(&delivery), *message);
            self.nack(&delivery, Duration::ZERO).await;
        }
        self.assert_nothing("a message is received no more often than is allowed").await;
        let dead = self.dead_letters.receive(self.patience()).await.expect("a queue that can be reached");
        dead.expect("a message that was received too often is a dead letter")
    }
}

/// A message of its own for each number; every third asks for a shard.
fn message(number: u64) -> SliceMessage {
    let tenant = TenantId::parse("acme").expect("a valid name");
    let job = JobId::from_entropy([(number % 251) as u8; 12]);
    match number % 3 {
        2 => SliceMessage::shard(&tenant, &job, number, (number % 7) as u32),
        _ => SliceMessage::whole(&tenant, &job, number),
    }
}

fn read(delivery: &Delivery) -> SliceMessage {
    serde_json::from_str(&delivery.body).expect("the body is the message that was sent")
}

async fn messages_arrive_unchanged(subject: &Subject) {
    subject.assert_nothing("the queue is empty at first").await;
    for number in [0, 2] {
        subject.send(&message(number)).await;
        let delivery = subject.receive().await;
        let sent = serde_json::to_string(&message(number)).expect("a message is plain data");
        assert_eq!(delivery.body, sent, "a message arrives as it was sent");
        assert_eq!(delivery.receive_count, 1, "the first delivery counts as 1");
        subject.ack(&delivery).await;
        subject.assert_nothing("what was acknowledged is gone").await;
    }
}

async fn a_received_message_is_hidden_and_comes_again(subject: &Subject) {
    subject.send(&message(10)).await;
    let mut last: Option<Delivery> = None;
    // Twice only: it must not be worn out by this.
    for count in 1..=2 {
        let delivery = subject.receive().await;
        assert_eq!(read(&delivery), message(10), "what was acknowledged never comes again");
        assert_eq!(delivery.receive_count, count, "each delivery counts one more");
        if let Some(last) = last {
            assert_eq!(delivery.message_id, last.message_id, "a message keeps its name");
            assert_ne!(delivery.receipt, last.receipt, "each delivery has a receipt of its own");
        }
        subject.assert_nothing("a received message is hidden").await;
        subject.elapse(subject.visibility_timeout + SECOND).await;
        last = Some(delivery);
    }
    subject.ack(&subject.receive().await).await;
    subject.elapse(subject.visibility_timeout + SECOND).await;
    subject.assert_nothing("what was acknowledged never comes again").await;
}

async fn a_void_receipt_changes_nothing(subject: &Subject) {
    subject.send(&message(20)).await;
    let first = subject.receive().await;
    subject.nack(&first, Duration::ZERO).await;
    let second = subject.receive().await;
    subject.nack(&first, Duration::ZERO).await;
    subject.assert_nothing("giving back an older delivery shows no message").await;
    subject.ack(&first).await;
    subject.nack(&second, Duration::ZERO).await;
    let third = subject.receive().await;
    assert_eq!(read(&third), message(20), "acknowledging an older delivery deletes nothing");
    subject.ack(&third).await;
    subject.ack(&third).await;
    subject.nack(&third, Duration::ZERO).await;
    subject.assert_nothing("what is deleted cannot be given back").await;
}

async fn what_is_given_back_comes_after_its_delay(subject: &Subject) {
    subject.send(&message(30)).await;
    let delay = Duration::from_secs(2);
    subject.nack(&subject.receive().await, delay).await;
    subject.assert_nothing("what is given back is hidden for the delay").await;
    subject.elapse(delay + SECOND).await;
    let again = subject.receive().await;
    assert_eq!(again.receive_count, 2, "what was given back counts as received");
    subject.ack(&again).await;
}

async fn what_is_sent_with_a_delay_comes_after_it(subject: &Subject) {
    let delay = Duration::from_secs(2);
    subject.queue.send(&message(40), delay).await.expect("a message is sent");
    subject.assert_nothing("a message that is sent with a delay is hidden at first").await;
    subject.send(&message(41)).await;
    let prompt = subject.receive().await;
    assert_eq!(read(&prompt), message(41), "a delayed message holds up no other");
    subject.ack(&prompt).await;
    subject.elapse(delay + SECOND).await;
    let late = subject.receive().await;
    assert_eq!((read(&late), late.receive_count), (message(40), 1));
    subject.ack(&late).await;
}

async fn a_waiting_receiver_gets_what_is_sent(subject: &Subject) {
    let (sent, received) = tokio::join!(async { subject.send(&message(50)).await }, async {
        subject.consumer.receive(PATIENCE).await
    },);
    let ((), received) = (sent, received.expect("a queue that can be reached"));
    let delivery = received.expect("a receiver that waits gets what is sent meanwhile");
    assert_eq!(read(&delivery), message(50));
    subject.ack(&delivery).await;
}

/// Receives this many messages at once; few enough for one connection pool.
const RECEIVERS: u64 = 8;

async fn held_messages_have_one_receiver_each(subject: &Subject) {
    for number in 0..RECEIVERS {
        subject.send(&message(60 + number)).await;
    }
    let mut receivers = tokio::task::JoinSet::new();
    for _ in 0..RECEIVERS {
        let subject = subject.clone();
        receivers.spawn(async move { subject.receive().await });
    }
    let held = receivers.join_all().await;
    let slices: BTreeSet<u64> = held.iter().map(|delivery| read(delivery).slice).collect();
    assert!(slices.into_iter().eq(60..60 + RECEIVERS), "each of the receivers holds another message");
    subject.assert_nothing("messages that are held have no further receiver").await;
    for delivery in &held {
        subject.ack(delivery).await;
    }
}

async fn two_hundred_messages_reach_eight_receivers(subject: &Subject) {
    const MESSAGES: u64 = 200;
    let mut tasks = tokio::task::JoinSet::new();
    for first in 0..RECEIVERS {
        let subject = subject.clone();
        tasks.spawn(async move {
            for number in (first..MESSAGES).step_by(RECEIVERS as usize) {
                subject.send(&message(100 + number)).await;
            }
        });
    }
    tasks.join_all().await;
    let mut receivers = tokio::task::JoinSet::new();
    for _ in 0..RECEIVERS {
        receivers.spawn(drain(subject.clone()));
    }
    let mut slices: Vec<u64> = receivers.join_all().await.into_iter().flatten().collect();
    slices.sort_unstable();
    assert!(slices.into_iter().eq(100..100 + MESSAGES), "each of many messages is received once");
}

/// Receives and acknowledges until nothing comes; returns the slices that were asked for.
async fn drain(subject: Subject) -> Vec<u64> {
    let mut slices = Vec::new();
    let wait = if matches!(subject.time, Time::Real) { SECOND } else { Duration::ZERO };
    while let Some(delivery) = subject.consumer.receive(wait).await.expect("a queue that can be reached") {
        slices.push(read(&delivery).slice);
        subject.ack(&delivery).await;
    }
    slices
}

async fn what_was_received_too_often_is_a_dead_letter(subject: &Subject) {
    let dead = subject.wear_out(&message(71)).await;
    let sent = serde_json::to_string(&message(71)).expect("a message is plain data");
    assert_eq!(dead.body, sent, "a dead letter is the message that was sent");
    let hidden = subject.dead_letters.receive(Duration::ZERO).await.expect("a queue that can be reached");
    assert_eq!(hidden, None, "a received dead letter is hidden");
    subject.dead_letters.nack(&dead.receipt, Duration::ZERO).await.expect("it is given back");
    let again = subject.dead_letters.receive(subject.patience()).await.expect("a queue that can be reached");
    let again = again.expect("a dead letter comes again, too");
    assert_eq!(again.body, sent);
    subject.dead_letters.ack(&again.receipt).await.expect("it is acknowledged");
    let none = subject.dead_letters.receive(Duration::ZERO).await.expect("a queue that can be reached");
    assert_eq!(none, None, "an acknowledged dead letter is gone");
}

async fn dead_letters_can_be_sent_again(subject: &Subject) {
    let dead = subject.wear_out(&message(80)).await;
    subject.dead_letters.nack(&dead.receipt, Duration::ZERO).await.expect("it is given back");
    assert_eq!(subject.dead_letters.redrive().await, Ok(1), "the one dead letter is moved");
    let back = subject.receive().await;
    assert_eq!(back.body, dead.body, "it is the same message");
    assert_eq!(back.receive_count, 1, "it may be received as often as a new one");
    let none = subject.dead_letters.receive(Duration::ZERO).await.expect("a queue that can be reached");
    assert_eq!(none, None, "what was moved is no dead letter any more");
    subject.ack(&back).await;
    assert_eq!(subject.dead_letters.redrive().await, Ok(0), "nothing is left to move");
    subject.assert_nothing("the queue is empty at last").await;
}

#[cfg(test)]
#[path = "conformance_tests.rs"]
mod tests;
