//! Which message of a [`LocalQueue`](super::LocalQueue) comes next: its messages in order of visibility, so that thousands of them cost no
//! more than a few comparisons each.

use super::journal::{Entry, Messages};
use std::collections::BTreeSet;

/// When a message is visible (Unix seconds), then its number: the order in which messages are handed out.
type Place = (u64, u64);

/// The messages of one kind, in order.
pub(super) type Line = BTreeSet<Place>;

/// Every message stands in exactly one line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Order {
    max_receives: u32,
    /// May be received.
    pub(super) live: Line,
    /// Received as often as is allowed; once visible again, they become dead letters.
    pub(super) worn: Line,
    /// Dead letters.
    pub(super) dead: Line,
}

impl Order {
    /// The order of `messages`, each of which may be received `max_receives` times.
    pub(super) fn of(messages: &Messages, max_receives: u32) -> Self {
        let mut order = Self { max_receives, live: Line::new(), worn: Line::new(), dead: Line::new() };
        messages.entries.iter().for_each(|(number, entry)| order.insert(*number, entry));
        order
    }

    /// Puts a message in its line.
    pub(super) fn insert(&mut self, number: u64, entry: &Entry) {
        self.line(entry).insert((entry.visible_at, number));
    }

    /// Takes a message out of the line that it stands in; `entry` is what is known of it so far.
    pub(super) fn remove(&mut self, number: u64, entry: &Entry) {
        self.line(entry).remove(&(entry.visible_at, number));
    }

    fn line(&mut self, entry: &Entry) -> &mut Line {
        match entry {
            Entry { dead: true, .. } => &mut self.dead,
            Entry { receive_count, .. } if *receive_count >= self.max_receives => &mut self.worn,
            _ => &mut self.live,
        }
    }
}

/// The number of the first message in `line`, if it is visible at `now`.
pub(super) fn due(line: &Line, now: u64) -> Option<u64> {
    line.first().filter(|(visible_at, _)| *visible_at <= now).map(|(_, number)| *number)
}

/// How many messages in `line` are visible at `now`.
pub(super) fn due_count(line: &Line, now: u64) -> usize {
    line.range(..=(now, u64::MAX)).count()
}

/// When the first message in `line` is visible.
pub(super) fn earliest(line: &Line) -> Option<u64> {
    line.first().map(|(visible_at, _)| *visible_at)
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
