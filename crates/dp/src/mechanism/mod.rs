//! Local mechanisms for tokens, each with its contract.
//!
//! A token is perturbed on its owner's machine, on its own. Any two tokens are neighbours. What a mechanism promises
//! for one, and for a record or document of n that may all differ, is its [`Contract`]:
//!
//! | mechanism | input | notion | sensitivity | n tokens |
//! |---|---|---|---|---|
//! | [`SetRandomizedResponse`](crate::SetRandomizedResponse) | item and its public set | pure ε-LDP | any two items | n·ε |
//! | [`KaryRandomizedResponse`](crate::KaryRandomizedResponse) | item | pure ε-LDP | any two items | n·ε |
//! | [`ExponentialMechanism`] | distances to all items | pure ε-LDP | the largest distance | n·ε |
//! | [`VectorLaplace`] | vector in the ball or box | pure ε-LDP, and metric | L1: 2√d or 2d | n·ε |
//! | [`VectorGaussian`] | vector in the ball or box | (ε, δ)-LDP | L2: 2 or 2√d | exact, at one δ |
//!
//! The pure ones choose by integers alone, so their ratios hold to the last bit, not only in real arithmetic. The
//! Gaussian has the error of [`rounded_gaussian`](crate::noise::rounded_gaussian), far below any δ.

mod contract;
mod exponential;
mod region;
mod vector_gaussian;
mod vector_laplace;

pub use contract::{Contract, Notion, Sensitivity};
pub use exponential::{Envelope, ExponentialMechanism, ExponentialRow, Proposal};
pub use region::Region;
pub use vector_gaussian::{VectorGaussian, classical_epsilon};
pub use vector_laplace::VectorLaplace;
