//! Matrix products and elementwise kernels of the trainer, in f32 and bf16, for the instruction set that the processor
//! has: one binary runs on AVX2 and AVX-512 hosts and on arm64.
//!
//! ```text
//! Isa::detect ─▶ Panels::pack(frozen weight) ─▶ Panels::multiply        C (+)= A · W
//!            └─▶ matmul                                                   C (+)= A · B, small strided matrices
//!            └─▶ ops::…                                                   norms, softmax, activations, rotation
//! ```
//!
//! # Where the unsafe code is
//! `tile` holds one register tile for each instruction set, all with the contract of [`tile::Tile`]; `panels` and `matmul`
//! check every bound before they call one. The kernels of [`ops`] are plain safe Rust that the compiler vectorises, compiled
//! once for each instruction set; only the call into a function with more instructions than the caller's is unsafe, and it is
//! guarded by [`Isa`], whose values exist only for what the processor has.
//!
//! Everything runs on the calling thread. Results depend on the instruction set (orders of summation differ), and on nothing
//! else.

mod isa;
mod matmul;
pub mod ops;
mod panels;
mod peak;
mod tile;

pub use isa::Isa;
pub use matmul::{Matrix, MatrixMut, Write, matmul};
pub use panels::{Panels, Scratch, round};
pub use peak::peak;
