use super::*;
use crate::clock::ManualClock;
use protocol::id::{JobId, TenantId};

const CONFIG: LocalQueueConfig =
    LocalQueueConfig { visibility_timeout: Duration::from_secs(60), max_receives: 3 };

fn message(slice: u64) -> SliceMessage {
    SliceMessage::whole(&TenantId::parse("acme").unwrap(), &JobId::from_entropy([1; 12]), slice)
}

fn slice(delivery: &Delivery) -> u64 {
    serde_json::from_str::<SliceMessage>(&delivery.body).unwrap().slice
}

fn queue() -> (Arc<ManualClock>, LocalQueue) {
    let clock = Arc::new(ManualClock::new(1_000));
    (clock.clone(), LocalQueue::in_memory(CONFIG, clock))
}

async fn send(queue: &LocalQueue, number: u64, delay: u64) {
    queue.send(&message(number), Duration::from_secs(delay)).await.unwrap();
}

#[tokio::test]
async fn a_message_is_hidden_while_held_and_gone_once_acknowledged() {
    let (clock, queue) = queue();
    send(&queue, 4, 0).await;
    let first = queue.try_receive().unwrap();
    assert_eq!((slice(&first), first.receive_count), (4, 1));
    assert_eq!(queue.try_receive(), None);
    clock.advance(Duration::from_secs(60));
    let second = queue.try_receive().unwrap();
    assert_eq!((second.message_id.clone(), second.receive_count), (first.message_id.clone(), 2));
    queue.ack(&first.receipt).unwrap();
    assert_eq!(queue.len(), 1, "the first delivery's receipt is void");
    queue.ack(&second.receipt).unwrap();
    assert!(queue.is_empty());
    queue.ack(&second.receipt).unwrap();
}

#[tokio::test]
async fn delays_are_kept_and_order_is_that_of_visibility() {
    let (clock, queue) = queue();
    send(&queue, 1, 10).await;
    send(&queue, 2, 5).await;
    send(&queue, 3, 0).await;
    assert_eq!(slice(&queue.try_receive().unwrap()), 3);
    assert_eq!(queue.try_receive(), None);
    assert_eq!(queue.next_visible_at(), Some(1_005));
    clock.advance(Duration::from_secs(12));
    assert_eq!(slice(&queue.try_receive().unwrap()), 2);
    assert_eq!(slice(&queue.try_receive().unwrap()), 1);
}

#[tokio::test]
async fn a_message_given_back_comes_after_its_delay_rounded_up() {
    let (clock, queue) = queue();
    send(&queue, 1, 0).await;
    let delivery = queue.try_receive().unwrap();
    queue.nack(&delivery.receipt, Duration::from_millis(1_001)).unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(queue.try_receive(), None);
    clock.advance(Duration::from_secs(1));
    assert_eq!(queue.try_receive().unwrap().receive_count, 2);
}

#[tokio::test]
async fn a_message_received_too_often_becomes_a_dead_letter() {
    let (_clock, queue) = queue();
    send(&queue, 9, 0).await;
    for count in 1..=3 {
        let delivery = queue.try_receive().unwrap();
        assert_eq!(delivery.receive_count, count);
        queue.nack(&delivery.receipt, Duration::ZERO).unwrap();
    }
    assert_eq!(queue.try_receive(), None);
    let dead = queue.try_receive_dead_letter().unwrap();
    assert_eq!(slice(&dead), 9);
    assert_eq!((queue.len(), queue.dead_letters()), (0, 1));
    assert_eq!(queue.try_receive_dead_letter(), None, "hidden while held");
    queue.nack(&dead.receipt, Duration::ZERO).unwrap();
    let again = queue.receive_dead_letter().await;
    queue.ack(&again.receipt).unwrap();
    assert_eq!(queue.try_receive_dead_letter(), None);
}

#[tokio::test]
async fn everything_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.jsonl");
    let clock = Arc::new(ManualClock::new(1_000));
    let open = || LocalQueue::open(&path, CONFIG, clock.clone()).unwrap();
    let before = open();
    for number in 0..3 {
        send(&before, number, 0).await;
    }
    before.ack(&before.try_receive().unwrap().receipt).unwrap();
    let held = before.try_receive().unwrap();
    drop(before);
    let after = open();
    assert_eq!(after.len(), 2);
    assert_eq!(slice(&after.try_receive().unwrap()), 2, "the held one stays hidden");
    clock.advance(Duration::from_secs(60));
    let again = after.try_receive().unwrap();
    assert_eq!((slice(&again), again.receive_count, &again.message_id), (1, 2, &held.message_id));
}

#[tokio::test]
async fn an_unwritable_journal_is_an_error_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no-such-folder/queue.jsonl");
    let clock = Arc::new(ManualClock::new(1_000));
    assert!(LocalQueue::open(&missing, CONFIG, clock).is_err());
}

#[tokio::test]
async fn waiting_receivers_wake_when_a_message_comes() {
    let (_clock, queue) = queue();
    let queue = Arc::new(queue);
    let receivers: Vec<_> = (0..4)
        .map(|_| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move { slice(&queue.receive().await) })
        })
        .collect();
    tokio::task::yield_now().await;
    for number in 0..4 {
        send(&queue, number, 0).await;
    }
    let mut got = Vec::new();
    for receiver in receivers {
        got.push(receiver.await.unwrap());
    }
    got.sort_unstable();
    assert_eq!(got, [0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_receiver_wakes_when_a_delay_ends() {
    /// Shows tokio's own time, which the paused runtime moves on by itself when all tasks wait.
    struct RuntimeClock(tokio::time::Instant);
    #[async_trait::async_trait]
    impl Clock for RuntimeClock {
        fn now(&self) -> u64 {
            1_000 + self.0.elapsed().as_secs()
        }
        fn monotonic(&self) -> Duration {
            self.0.elapsed()
        }
        async fn sleep(&self, duration: Duration) {
            tokio::time::sleep(duration).await;
        }
    }
    let clock = Arc::new(RuntimeClock(tokio::time::Instant::now()));
    let queue = LocalQueue::in_memory(CONFIG, clock.clone());
    send(&queue, 5, 7).await;
    assert_eq!(slice(&queue.receive().await), 5);
    assert_eq!(clock.now(), 1_007);
    assert_eq!(queue.receive().await.receive_count, 2);
    assert_eq!(clock.now(), 1_067, "not acknowledged, it comes again after the visibility timeout");
}

#[tokio::test]
async fn dead_letters_come_back_as_new_messages_that_no_old_receipt_names() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1_000));
    let open = || LocalQueue::open(&folder.path().join("journal"), CONFIG, clock.clone()).unwrap();
    let queue = open();
    send(&queue, 9, 0).await;
    let first = queue.try_receive().unwrap();
    queue.nack(&first.receipt, Duration::ZERO).unwrap();
    for _ in 2..=3 {
        queue.nack(&queue.try_receive().unwrap().receipt, Duration::ZERO).unwrap();
    }
    assert_eq!(queue.redrive(), Ok(1), "what is worn out needs no receiver to be a dead letter");
    assert_eq!((queue.len(), queue.visible(), queue.dead_letters()), (1, 1, 0));
    drop(queue);
    let queue = open();
    let back = queue.try_receive().unwrap();
    assert_eq!((slice(&back), back.receive_count), (9, 1));
    assert_ne!(back.message_id, first.message_id);
    queue.ack(&first.receipt).unwrap();
    assert_eq!(queue.len(), 1, "the first delivery of long ago is void");
}

#[tokio::test]
async fn a_dead_letter_that_is_held_is_not_moved() {
    let (_clock, queue) = queue();
    send(&queue, 9, 0).await;
    for _ in 1..=3 {
        queue.nack(&queue.try_receive().unwrap().receipt, Duration::ZERO).unwrap();
    }
    let dead = queue.try_receive_dead_letter().unwrap();
    assert_eq!((queue.redrive(), queue.dead_letters(), queue.visible_dead_letters()), (Ok(0), 1, 0));
    queue.ack(&dead.receipt).unwrap();
    assert_eq!(queue.dead_letters(), 0);
}
