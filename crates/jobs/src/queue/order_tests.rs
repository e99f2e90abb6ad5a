use super::*;

fn entry(visible_at: u64, receive_count: u32, dead: bool) -> Entry {
    Entry { body: String::new(), visible_at, receive_count, dead }
}

#[test]
fn messages_come_in_order_of_visibility_then_of_sending() {
    let mut order = Order::of(&Messages::default(), 3);
    for (number, visible_at) in [(0, 9), (1, 5), (2, 5)] {
        order.insert(number, &entry(visible_at, 0, false));
    }
    assert_eq!((due(&order.live, 4), earliest(&order.live)), (None, Some(5)));
    assert_eq!(due(&order.live, 5), Some(1));
    assert_eq!([4, 5, 9].map(|now| due_count(&order.live, now)), [0, 2, 3]);
    order.remove(1, &entry(5, 0, false));
    assert_eq!(due(&order.live, 5), Some(2));
    order.remove(2, &entry(5, 0, false));
    assert_eq!((due(&order.live, 8), due(&order.live, 9)), (None, Some(0)));
}

#[test]
fn a_message_stands_in_the_line_of_its_kind() {
    let mut messages = Messages::default();
    for (number, entry) in [entry(1, 2, false), entry(1, 3, false), entry(1, 3, true)].into_iter().enumerate()
    {
        messages.entries.insert(number as u64, entry);
    }
    let mut order = Order::of(&messages, 3);
    assert_eq!((due(&order.live, 1), due(&order.worn, 1), due(&order.dead, 1)), (Some(0), Some(1), Some(2)));
    for (number, entry) in &messages.entries {
        order.remove(*number, entry);
    }
    assert_eq!(order, Order::of(&Messages::default(), 3));
}
