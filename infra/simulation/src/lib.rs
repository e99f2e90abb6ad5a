//! The whole service in one process, under a scheduler that a seed decides: owners, the real API, the real job driver, a store and a queue with the
//! semantics of S3 and SQS, and every fault that they have.
//!
//! * [`world`]: the scheduler. Everything that happens is one of its choices: which task is polled, which write lands, when time passes, who dies.
//! * [`store`] and [`queue`]: what S3 and SQS promise, and no more. [`trainer`]: a trainer whose every step shows in its result.
//! * [`owner`]: what the service's users do. [`checks`]: what must hold after every write, and at the end.
//!
//! | fault | how |
//! |---|---|
//! | a process is killed between any two effects | its tasks are dropped at any await; their writes may still land, later |
//! | a request or an answer is lost, 503, throttling | a write fails before or after it landed; a read fails |
//! | a slow put | a write lands any number of choices later, also after its sender was told that it failed |
//! | a stale lease holder wakes up | a task that is not polled while time passes |
//! | duplicates, reordering, visibility that ends in mid-slice, dead letters | the queue |
//! | clocks that differ | every process has its own offset |
//!
//! The same seed gives the same run, poll by poll: [`run`] with a seed that failed is how it is replayed.

mod checks;
mod clock;
mod owner;
mod queue;
mod store;
mod trainer;
mod world;

pub use world::{Config, Ended, run};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

thread_local! {
    /// The run's choices. A run has one thread, and its futures must be `Send` for the traits they implement.
    static CHOICES: RefCell<ChaCha8Rng> = RefCell::new(ChaCha8Rng::seed_from_u64(0));
}

/// Who is told what happens, if anybody is.
type Listener = Box<dyn FnMut(&str)>;

thread_local! {
    /// Whether an effect came about since the scheduler last chose.
    static ACTED: Cell<bool> = const { Cell::new(false) };
    static LISTENER: RefCell<Option<Listener>> = const { RefCell::new(None) };
}

/// Runs a seed and tells `listener`, line by line, what happens.
///
/// # Panics
/// As [`run`].
pub fn replay(seed: u64, listener: impl FnMut(&str) + 'static) -> Ended {
    LISTENER.set(Some(Box::new(listener)));
    let ended = run(seed);
    LISTENER.set(None);
    ended
}

/// Tells the listener.
fn tell(line: impl FnOnce() -> String) {
    LISTENER.with_borrow_mut(|listener| {
        if let Some(listener) = listener {
            listener(&line());
        }
    });
}

/// Begins the choices of a run.
fn seed_choices(seed: u64) {
    CHOICES.with_borrow_mut(|choices| *choices = ChaCha8Rng::seed_from_u64(seed));
}

/// One of `0 .. below`.
fn pick(below: usize) -> usize {
    CHOICES.with_borrow_mut(|choices| choices.random_range(0..below))
}

/// True `per_mille` times in a thousand.
fn chance(per_mille: u32) -> bool {
    CHOICES.with_borrow_mut(|choices| choices.random_range(0..1000) < per_mille)
}

/// Bytes that nobody else has.
fn random_bytes(buffer: &mut [u8]) {
    CHOICES.with_borrow_mut(|choices| rand::Rng::fill_bytes(choices, buffer));
}

/// Lets the scheduler choose what happens next.
async fn elsewhere() {
    struct Once(bool);
    impl Future for Once {
        type Output = ();
        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            if std::mem::replace(&mut self.0, true) && !ACTED.replace(true) {
                return Poll::Ready(());
            }
            // For whoever runs several futures at once and asks only those that are ready; the scheduler itself polls whom it likes.
            context.waker().wake_by_ref();
            Poll::Pending
        }
    }
    Once(false).await;
}

/// Lets `work` go on by one effect at most, so that it may be killed between any two of those that it has under way at once.
fn poll<T>(work: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Poll<T> {
    ACTED.set(false);
    work.poll(&mut Context::from_waker(Waker::noop()))
}

#[cfg(test)]
mod tests;
