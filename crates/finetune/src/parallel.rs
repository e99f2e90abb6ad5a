//! Work on several threads whose results are consumed in order.
//!
//! Floating-point addition is not associative, so a sum over records has the same bits for every number of threads
//! only if it is taken in record order. Workers draw tickets, compute freely, and hand results over; whoever completes
//! the next one in order consumes it and all that already wait behind it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Results that may wait for an earlier one, for each thread: bounds memory when one record is far slower than others.
pub(crate) const WINDOW_PER_THREAD: usize = 2;

struct State<T, E, C> {
    /// Index of the next result to consume.
    next: usize,
    waiting: BTreeMap<usize, T>,
    consume: C,
    failure: Option<E>,
    stopped: bool,
}

struct Shared<T, E, C> {
    state: Mutex<State<T, E, C>>,
    moved: Condvar,
}

/// Calls `produce(0 .. count)` on `threads` threads and `consume` with each result in the order of the indices.
///
/// # Errors
/// One error of `produce`; later indices may then not have been produced or consumed.
pub(crate) fn for_each_in_order<T: Send, E: Send>(
    count: usize,
    threads: usize,
    produce: impl Fn(usize) -> Result<T, E> + Sync,
    consume: impl FnMut(T) + Send,
) -> Result<(), E> {
    let state = State { next: 0, waiting: BTreeMap::new(), consume, failure: None, stopped: false };
    let shared = Shared { state: Mutex::new(state), moved: Condvar::new() };
    let tickets = AtomicUsize::new(0);
    let window = threads.max(1) * WINDOW_PER_THREAD;
    let worker = || shared.work(&tickets, count, window, &produce);
    std::thread::scope(|scope| {
        for _ in 1..threads.min(count) {
            scope.spawn(worker);
        }
        worker();
    });
    match shared.state.into_inner().unwrap_or_else(PoisonError::into_inner).failure {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

impl<T, E, C: FnMut(T)> Shared<T, E, C> {
    fn lock(&self) -> MutexGuard<'_, State<T, E, C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(
        &self,
        tickets: &AtomicUsize,
        count: usize,
        window: usize,
        produce: &impl Fn(usize) -> Result<T, E>,
    ) {
        let _stop = StopOnPanic(self);
        loop {
            let index = tickets.fetch_add(1, Ordering::Relaxed);
            if index >= count || !self.wait_for_turn(index, window) {
                return;
            }
            match produce(index) {
                Ok(result) => self.hand_over(index, result),
                Err(error) => return self.stop(Some(error)),
            }
        }
    }

    /// Holds a thread back that is too far ahead; false once the work has been stopped.
    fn wait_for_turn(&self, index: usize, window: usize) -> bool {
        let mut state = self.lock();
        while !state.stopped && index >= state.next + window {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.stopped
    }

    fn hand_over(&self, index: usize, result: T) {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.waiting.insert(index, result);
        while let Some(result) = state.waiting.remove(&state.next) {
            (state.consume)(result);
            state.next += 1;
        }
        drop(guard);
        self.moved.notify_all();
    }

    fn stop(&self, failure: Option<E>) {
        let mut state = self.lock();
        state.stopped = true;
        state.failure = state.failure.take().or(failure);
        drop(state);
        self.moved.notify_all();
    }
}

/// Without this, a panic in one worker would leave the others waiting for its result for ever.
struct StopOnPanic<'a, T, E, C: FnMut(T)>(&'a Shared<T, E, C>);

impl<T, E, C: FnMut(T)> Drop for StopOnPanic<'_, T, E, C> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop(None);
        }
    }
}

#[cfg(test)]
#[path = "parallel_tests.rs"]
mod tests;
