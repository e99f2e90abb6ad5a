//! What the processor and the kernels reach, in GFLOP/s: `rates [THREADS]`.
//!
//! For each instruction set: multiply-adds that touch no memory (the peak), and products by packed frozen weights of the
//! shapes of a small and a larger model.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark reads the clock and prints")]

use std::hint::black_box;
use std::time::Instant;

use kernels::{Isa, Matrix, MatrixMut, Panels, Scratch, Write, peak};

fn main() {
    let threads = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1);
    for isa in Isa::available().into_iter().skip(1) {
        for bf16 in [false, true] {
            if bf16 && !isa.has_bf16() {
                continue;
            }
            let format = if bf16 { "bf16" } else { "f32" };
            print!("{:12} {format:5} peak {:6.1}", isa.name(), peak(isa, bf16, threads));
            for (rows, k, n) in [(128, 288, 864), (128, 576, 3072), (64, 288, 32000), (64, 32000, 288)] {
                print!("  {rows}x{k}x{n} {:6.1}", rate(isa, bf16, threads, (rows, k, n)));
            }
            println!();
        }
    }
}

/// GFLOP/s of one product by packed weights, on every thread at a time.
fn rate(isa: Isa, bf16: bool, threads: usize, (rows, k, n): (usize, usize, usize)) -> f64 {
    let weight = vec![0.5; k * n];
    let packed = Panels::pack(isa, Matrix::new(&weight, k, n), bf16);
    let repeats = (4e9 / (2.0 * (rows * k * n) as f64)).ceil() as usize;
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let (a, mut c) = (vec![0.25; rows * k], vec![0.0; rows * n]);
                let mut scratch = Scratch::default();
                for _ in 0..repeats {
                    let a = Matrix::new(black_box(&a), rows, k);
                    packed.multiply(a, MatrixMut::new(&mut c, rows, n), Write::Replace, &mut scratch);
                    black_box(&c);
                }
            });
        }
    });
    (2 * rows * k * n * repeats * threads) as f64 / start.elapsed().as_secs_f64() / 1e9
}
