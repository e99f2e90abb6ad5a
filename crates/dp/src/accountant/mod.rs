//! How much privacy a run has spent.
//!
//! An accountant composes what was released, told to it as [`Event`]s, into one (ε, δ).

mod event;
pub mod gaussian;
pub mod pld;
mod quadrature;
pub mod rdp;

pub use event::{Event, EventKind};

use serde::{Deserialize, Serialize};

/// The method that turned a run into (ε, δ); a certificate names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Accountant {
    /// Rényi differential privacy of the subsampled Gaussian: see [`rdp`].
    Rdp,
    /// Privacy loss distributions, discretised from above and composed by FFT.
    Pld,
}
