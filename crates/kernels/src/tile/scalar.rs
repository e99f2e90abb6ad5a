//! The tile of every processor: plain Rust, and the reference that the other tiles are tested against.

use super::{Operands, Tile};

pub(crate) struct Scalar;

impl Tile for Scalar {
    const ROWS: usize = 4;
    const COLUMNS: usize = 16;

    unsafe fn run(rows: usize, columns: usize, o: Operands) {
        for i in 0..rows {
            let mut sums = [0.0f32; Self::COLUMNS];
            for l in 0..o.k {
                // SAFETY: `i < rows`, `l < k`: inside of A by the trait's contract.
                let a = unsafe { *o.a.add(i * o.a_row + l * o.a_column) };
                for (j, sum) in sums.iter_mut().enumerate().take(columns) {
                    // SAFETY: `j < columns`, `l < k`: inside of B by the trait's contract.
                    *sum += a * unsafe { *o.b.add(l * o.b_row + j) };
                }
            }
            for (j, sum) in sums.iter().enumerate().take(columns) {
                // SAFETY: `i < rows`, `j < columns`: inside of C by the trait's contract.
                let c = unsafe { &mut *o.c.add(i * o.c_row + j) };
                *c = if o.add { *c + sum } else { *sum };
            }
        }
    }
}
