//! A step in shards: each on a machine of its own, put together by one more.
//!
//! ```text
//!                 ┌─ shard(0, K) ─┐
//! checkpoint t ───┼─ …            ├──▶ apply_shards ──▶ checkpoint t + 1
//!                 └─ shard(K−1, K)┘
//! ```
//!
//! Every trainer in it is resumed from the same checkpoint. A shard's file holds sums that were noised where
//! they were taken, so nothing without noise passes between the machines; what the noise of all together
//! amounts to, and why, is the plan's: [`dp::shards`].

use dp::{ShardCount, ShardError, ShardId};

use super::super::mechanism::{Limiter, PoissonGaussian};
use super::super::shard_file::{self, Origin};
use super::{TrainError, Trainer};

impl Trainer {
    /// Computes shard `index` of `count` of the next step, and leaves the run where it is. The same bytes
    /// whenever it is run again (on the same kind of processor: the matrix products pick their instructions
    /// by it).
    ///
    /// The file is a release of this shard's records with about 1/√`count` of the plan's noise: keep it as
    /// private as a checkpoint. Where it was written once it stays: another processor may make one whose
    /// gradient differs in its last bits under the very same noise.
    ///
    /// # Errors
    /// [`TrainError::NotSharded`] without a privacy plan, [`TrainError::Shard`] if the step has no such shard
    /// or the plan too little noise to be split so, [`TrainError::Finished`] after the last step, or a
    /// failure of the model.
    pub fn shard(&self, index: u32, count: ShardCount) -> Result<Vec<u8>, TrainError> {
        let mechanism = self.sharded()?;
        let step = self.next_step()?;
        let shard = mechanism.plan.shard(ShardId { step, index, count })?;
        let (mut sum, mut limiter) = (shard.sum(self.layout.parameters()), Limiter::new(mechanism));
        self.for_each_gradient(&shard.batch(&mechanism.seed), |gradient, loss| {
            sum.add(limiter.limit(gradient), loss);
        })?;
        Ok(shard_file::write(&sum.release(&mechanism.seed), &self.origin()))
    }

    /// Makes the next step from all its shards' files, taken one by one in any order: no more than one is held
    /// beside their sum. After an error the run stands where it stood before.
    ///
    /// The result depends on the number of shards, which is a run's for good: a step that is made once with K
    /// shards and once with another number, or undivided, is released twice.
    ///
    /// # Errors
    /// [`TrainError::CorruptShard`], [`TrainError::ShardMismatch`] for a shard of another run or state,
    /// [`TrainError::Shard`] for one that is missing, given twice or of another step, and as of
    /// [`step`](Self::step).
    pub fn apply_shards<File: AsRef<[u8]>>(
        &mut self,
        shards: impl IntoIterator<Item = File>,
    ) -> Result<(), TrainError> {
        let mechanism = self.sharded()?;
        let step = self.next_step()?;
        let origin = self.origin();
        // The first says how many there are, and the plan finds what is missing.
        let mut shards = shards.into_iter().peekable();
        let first = shards.peek().ok_or(ShardError::Count(0))?;
        let count = shard_file::id(first.as_ref(), step, &origin)?.count;
        let shards = shards.map(|bytes| shard_file::read(bytes.as_ref(), step, &origin));
        let released = mechanism.plan.combine(step, count, self.layout.parameters(), shards)?;
        self.update(released)
    }

    fn sharded(&self) -> Result<&PoissonGaussian, TrainError> {
        self.mechanism.poisson_gaussian().ok_or(TrainError::NotSharded)
    }

    fn origin(&self) -> Origin {
        Origin::new(&self.state.parameters, &self.identity)
    }
}

#[cfg(test)]
#[path = "fan_out_tests.rs"]
mod tests;
