use super::{event, settle};
use jobs::{LocalQueue, LocalQueueConfig, ManualClock, Queue};
use protocol::id::{JobId, TenantId};
use protocol::message::SliceMessage;
use std::sync::Arc;
use std::time::Duration;

async fn queue_with_a_message() -> (LocalQueue, Arc<ManualClock>, SliceMessage) {
    let clock = Arc::new(ManualClock::new(1_000));
    let config = LocalQueueConfig { visibility_timeout: Duration::from_secs(600), max_receives: 5 };
    let queue = LocalQueue::in_memory(config, clock.clone());
    let message = SliceMessage::whole(&TenantId::parse("t").unwrap(), &JobId::from_entropy([1; 12]), 3);
    queue.send(&message, Duration::ZERO).await.unwrap();
    (queue, clock, message)
}

#[tokio::test]
async fn a_delivery_becomes_the_event_that_sqs_sends() {
    let (queue, _, message) = queue_with_a_message().await;
    let delivery = queue.receive().await;
    let event = event(&delivery);
    let record = &event.records[0];
    let body: SliceMessage = serde_json::from_str(record.body.as_deref().unwrap()).unwrap();
    assert_eq!((event.records.len(), body), (1, message));
    assert_eq!(record.attributes["ApproximateReceiveCount"], "1");
    assert_eq!(record.message_id.as_ref(), Some(&delivery.message_id));
    // The event must survive the form in which Lambda passes it.
    let text = serde_json::to_string(&event).unwrap();
    let read: aws_lambda_events::sqs::SqsEvent = serde_json::from_str(&text).unwrap();
    assert_eq!(read.records[0].body, record.body);
}

#[tokio::test]
async fn what_failed_comes_again_later_each_time_and_what_succeeded_never() {
    let (queue, clock, _) = queue_with_a_message().await;
    for tries in 1..=3_u64 {
        let delivery = queue.try_receive().expect("the message is visible");
        settle(&queue, &delivery, true).await;
        assert_eq!(queue.next_visible_at(), Some(jobs::Clock::now(&*clock) + 10 * tries));
        clock.advance(Duration::from_secs(10 * tries));
    }
    let delivery = queue.try_receive().expect("the message is visible");
    settle(&queue, &delivery, false).await;
    assert!(queue.is_empty());
}
