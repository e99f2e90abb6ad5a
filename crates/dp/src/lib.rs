//! Differential-privacy mechanisms, noise from a CSPRNG, accountants and calibration.
//!
//! Two guarantees are served. The trainer needs (ε, δ)-DP of a long run of noisy gradient sums: [`DpSgdPlan`] ties
//! the Poisson sampler, the clipping norm, the noise and the accounting event together, so that no caller can hold four
//! settings that do not belong to one another. The page needs pure ε-LDP of one token: [`SetRandomizedResponse`] and
//! [`KaryRandomizedResponse`] draw it exactly, in integers.
//!
//! Randomness is always an argument, of a cryptographic generator. Everything that turns into a promise is rounded so
//! that the stated ε or δ never errs low.
//!
//! Reading order: [`Epsilon`], [`Delta`], [`PrivacyUnit`] → [`SecretSeed`] → [`gaussian`], [`poisson`] →
//! [`accountant`], [`calibration`] → [`DpSgdPlan`]; [`SetRandomizedResponse`] stands alone.

pub mod accountant;
pub mod calibration;
mod error;
pub mod gaussian;
mod neighboring;
mod parameters;
mod plan;
pub mod poisson;
mod randomized_response;
mod seed;
#[cfg(test)]
mod test_statistics;

pub use accountant::Accountant;
pub use error::DpError;
pub use neighboring::{NeighboringRelation, PrivacyUnit};
pub use parameters::{Delta, Epsilon, default_delta};
pub use plan::{DpSgdPlan, MAX_STEPS, PlanParameters, PlanRequest};
pub use randomized_response::{KaryRandomizedResponse, SetRandomizedResponse};
pub use seed::{Purpose, SecretSeed};
