//! Noise whose outcomes are integers, drawn exactly from a cryptographic generator.
//!
//! A floating-point sampler reaches only some of the doubles, and which ones depends on the value that the noise
//! hides: the low bits of a release can tell it (Mironov 2012). Here values are first put on a lattice that does not
//! depend on the data, and noise is a whole number of its steps; no floating-point number decides an outcome.
//!
//! [`rounded_gaussian`] serves [`ClippedSum`](crate::ClippedSum) and
//! [`VectorGaussian`](crate::mechanism::VectorGaussian), [`DiscreteLaplace`] serves
//! [`VectorLaplace`](crate::mechanism::VectorLaplace).

mod discrete_laplace;
mod fixed_point;
#[cfg(test)]
pub(crate) mod golden;
pub mod rounded_gaussian;
mod uniform;
mod words;
mod ziggurat;

pub use discrete_laplace::DiscreteLaplace;
pub(crate) use uniform::uniform_below;
