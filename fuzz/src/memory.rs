//! How much memory a parser holds at most: libFuzzer's own limit on an allocation needs a sanitizer, this one works on stable
//! Rust and in the replay alike.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    // Without a destructor and with a constant value, so that reading one allocates nothing.
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// What every input may take: tables of a fixed size, whatever the input says.
const FIXED: usize = 64 << 20;
/// Bytes for each byte of input: a byte of JSON can become an object, a record or a token with its strings.
const PER_BYTE: usize = 2048;

/// The system's allocator with a count of the bytes that each thread holds.
#[derive(Debug)]
pub struct Counting;

fn count(bytes: isize) {
    let held = HELD.get() + bytes;
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

// SAFETY: every call goes to `System` with the arguments as they came; counting touches two cells of the thread alone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Runs `work` on an input of `input` bytes.
///
/// # Panics
/// If this thread held more at any time than an input of that size may take: 64 MiB and 2 KiB for each byte.
pub fn bounded<T>(input: usize, work: impl FnOnce() -> T) -> T {
    within(FIXED + PER_BYTE * input, work)
}

/// Runs `work`.
///
/// # Panics
/// If this thread held more than `limit` bytes more at any time than before.
pub fn within<T>(limit: usize, work: impl FnOnce() -> T) -> T {
    let before = HELD.get();
    PEAK.set(before);
    let result = work();
    let taken = (PEAK.get() - before).max(0) as usize;
    assert!(taken <= limit, "{taken} bytes of memory were taken, over {limit}");
    result
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
