//! The rows of a matrix, shared by all threads.
//!
//! Each row has its own lock, held while the row is copied or updated and never together with another one: nothing waits in
//! a circle, no update is lost, and threads meet only at the few rows that both need at the same moment.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::adamw::{AdamW, Row};
use crate::random::Stream;

pub(crate) struct Matrix<const W: usize> {
    rows: Vec<Mutex<Row<W>>>,
}

impl<const W: usize> Matrix<W> {
    /// Rows whose first `dim` values are uniform in ±`spread`.
    pub(crate) fn random(rows: usize, dim: usize, spread: f32, random: &mut Stream, adamw: &AdamW) -> Self {
        let row = |_| {
            let mut values = [0.0; W];
            values[..dim].fill_with(|| (2.0 * random.unit() - 1.0) * spread);
            let (first, second) = ([0.0; W], [0.0; W]);
            Mutex::new(Row { values, first, second, last: adamw.step(0) })
        };
        Self { rows: (0..rows).map(row).collect() }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Asks for a row that will be locked soon: most rows lie in main memory, and a lock waits for what it guards.
    #[inline(always)]
    pub(crate) fn prefetch(&self, row: u32) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let start = (&raw const self.rows[row as usize]).cast::<i8>();
            for line in (0..size_of::<Mutex<Row<W>>>()).step_by(64) {
                // SAFETY: a prefetch reads and writes nothing that the program can see, at any address.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(line)) };
            }
        }
    }

    #[inline(always)]
    pub(crate) fn lock(&self, row: u32) -> MutexGuard<'_, Row<W>> {
        // A thread that panicked leaves numbers behind, and the scope that runs the threads passes its panic on.
        self.rows[row as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
