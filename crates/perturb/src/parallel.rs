//! Work on all cores, where there are any.

/// Runs the jobs on all cores; each core takes the next one when it is free.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn for_each<T: Send>(jobs: Vec<T>, work: impl Fn(T) + Sync) {
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let queue = std::sync::Mutex::new(jobs.into_iter());
    // A panic in one thread poisons the lock; the iterator behind it stays whole, and `scope` passes the panic on.
    let next = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(job) = next() {
                    work(job);
                }
            });
        }
    });
}

/// WASM has no threads here.
#[cfg(target_arch = "wasm32")]
pub(crate) fn for_each<T>(jobs: Vec<T>, work: impl Fn(T)) {
    jobs.into_iter().for_each(work);
}

#[cfg(test)]
#[path = "parallel_tests.rs"]
mod tests;
