//! Differential-privacy mechanisms, noise from a CSPRNG, accountants and calibration.
//!
//! Two guarantees are served. The trainer needs (ε, δ)-DP of a long run of noisy gradient sums: [`DpSgdPlan`] ties
//! the Poisson sampler, the clipping norm, the noise and the accounting event together, so that no caller can hold four
//! settings that do not belong to one another, and a [`Ledger`] adds up what several runs on one data set release. The page needs
//! local differential privacy of one token: [`SetRandomizedResponse`], [`KaryRandomizedResponse`] and the mechanisms of [`mechanism`],
//! each with its [`Contract`].
//!
//! Randomness is always an argument, of a cryptographic generator. Everything that turns into a promise is rounded so
//! that the stated ε or δ never errs low.
//!
//! Reading order: [`Epsilon`], [`Delta`], [`PrivacyUnit`] → [`SecretSeed`] → [`noise`], [`clipping`], [`ClippedSum`], [`poisson`] →
//! [`accountant`], [`calibration`] → [`DpSgdPlan`] → [`shards`], [`Ledger`]; [`mechanism`] stands alone.

pub mod accountant;
pub mod calibration;
mod clipped_sum;
pub mod clipping;
mod error;
mod ledger;
pub mod mechanism;
mod neighboring;
pub mod noise;
mod parameters;
mod plan;
pub mod poisson;
mod randomized_response;
mod seed;
pub mod shards;
mod sums;
#[cfg(test)]
mod test_statistics;

pub use accountant::{Accountant, Event, EventKind};
pub use clipped_sum::ClippedSum;
pub use clipping::{Clipper, Clipping};
pub use error::DpError;
pub use ledger::{Budget, Charge, ChargeState, Ledger, LedgerError};
pub use mechanism::{Contract, Notion, Sensitivity};
pub use neighboring::{NeighboringRelation, PrivacyUnit};
pub use parameters::{Delta, Epsilon, default_delta};
pub use plan::{DpSgdPlan, MAX_LOSS, MAX_STEPS, PlanParameters, PlanRequest, Released, StepSum};
pub use randomized_response::{KaryRandomizedResponse, SetRandomizedResponse};
pub use seed::{Purpose, SecretSeed};
pub use shards::{MAX_SHARDS, NoisyShard, Shard, ShardCount, ShardError, ShardId, ShardSum};
