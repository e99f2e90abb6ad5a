//! The processor's peak: multiply-adds on registers alone.

use std::hint::black_box;
use std::time::Instant;

use crate::Isa;
use crate::isa::Kind;
use crate::tile::scalar::Scalar;
use crate::tile::{Operands, Tile};
#[cfg(target_arch = "x86_64")]
use crate::tile::{avx2::Avx2, avx512::Avx512, bf16::Bf16};

/// GFLOP/s of multiply-adds whose operands never leave the first-level cache, on `threads` threads at a time: what a trainer's
/// own rate is a share of.
pub fn peak(isa: Isa, bf16: bool, threads: usize) -> f64 {
    match (isa.0, bf16) {
        #[cfg(target_arch = "x86_64")]
        (Kind::Avx2, _) => run::<Avx2>(threads, 1),
        #[cfg(target_arch = "x86_64")]
        (Kind::Avx512Bf16, true) => run::<Bf16>(threads, 2),
        #[cfg(target_arch = "x86_64")]
        (Kind::Avx512 | Kind::Avx512Bf16, _) => run::<Avx512>(threads, 1),
        #[cfg(target_arch = "aarch64")]
        (Kind::Neon, _) => run::<crate::tile::neon::Neon>(threads, 1),
        (Kind::Scalar, _) => run::<Scalar>(threads, 1),
    }
}

/// A tile of which every row of A and of B is the same, so that its operands are a few cache lines; `values` in each word.
fn run<T: Tile>(threads: usize, values: usize) -> f64 {
    const ROUNDS: usize = 5;
    let rates = (0..ROUNDS).map(|_| round::<T>(threads, values));
    // Whatever else the machine did took from some rounds; none of them was faster than it is.
    rates.fold(0.0, f64::max)
}

#[allow(clippy::disallowed_methods, reason = "a measurement of the machine, which reads its clock")]
fn round<T: Tile>(threads: usize, values: usize) -> f64 {
    const DEPTH: usize = 100_000;
    const REPEATS: usize = 20;
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let (a, b) = (vec![0.0f32; T::ROWS], vec![0.0f32; T::COLUMNS]);
                let mut c = vec![0.0f32; T::ROWS * T::COLUMNS];
                for _ in 0..REPEATS {
                    let operands = Operands {
                        k: black_box(DEPTH),
                        a: a.as_ptr(),
                        a_row: 1,
                        a_column: 0,
                        b: b.as_ptr(),
                        b_row: 0,
                        c: c.as_mut_ptr(),
                        c_row: T::COLUMNS,
                        add: false,
                    };
                    // SAFETY: strides of 0 keep every step on the same ROWS words of A and COLUMNS words of B; C has ROWS
                    // rows of COLUMNS values; `Isa` vouches for the instructions.
                    unsafe { T::run(T::ROWS, T::COLUMNS, operands) }
                    black_box(&c);
                }
            });
        }
    });
    let flops = 2 * values * T::ROWS * T::COLUMNS * DEPTH * REPEATS * threads;
    flops as f64 / start.elapsed().as_secs_f64() / 1e9
}
