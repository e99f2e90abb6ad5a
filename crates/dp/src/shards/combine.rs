//! The shards of a step, added up to what the step releases.

use super::{NoisyShard, ShardCount, ShardError, ShardId};
use crate::plan::MAX_LOSS;
use crate::sums::BatchSums;
use crate::{DpSgdPlan, Released};

impl DpSgdPlan {
    /// Puts the shards of one step together, in any order: the same bits for the same shards. They may be
    /// read one by one; the first error ends it.
    ///
    /// # Errors
    /// [`ShardError`] unless each of the `count` shards of `step` is there once, with `dimension` values and
    /// a loss where the plan pays for one; and whatever error `shards` yields.
    pub fn combine<E: From<ShardError>>(
        &self,
        step: u64,
        count: ShardCount,
        dimension: usize,
        shards: impl IntoIterator<Item = Result<NoisyShard, E>>,
    ) -> Result<Released, E> {
        // Checks step and count, and knows the lattices.
        let lattices = self.shard(ShardId { step, index: 0, count })?;
        let lattices = BatchSums::new(0, self.max_grad_norm(), lattices.noise);
        let mut total = Total::new(step, count, dimension, lattices.losses.is_some());
        for shard in shards {
            total.add(shard?)?;
        }
        let (gradient, loss) = total.finish()?;
        let batch = self.expected_batch_size() as f64;
        let scale = lattices.gradients.step() / batch;
        Ok(Released {
            gradient: gradient.iter().map(|&noisy| (noisy as f64 * scale) as f32).collect(),
            loss: lattices.losses.map(|losses| MAX_LOSS / 2.0 + loss as f64 * losses.step() / batch),
        })
    }
}

/// Whole-number sums of the shards so far.
struct Total {
    step: u64,
    count: ShardCount,
    with_loss: bool,
    gradient: Vec<i64>,
    loss: i64,
    seen: Vec<bool>,
}

impl Total {
    fn new(step: u64, count: ShardCount, dimension: usize, with_loss: bool) -> Self {
        let (gradient, seen) = (vec![0; dimension], vec![false; count.get() as usize]);
        Self { step, count, with_loss, gradient, loss: 0, seen }
    }

    fn add(&mut self, shard: NoisyShard) -> Result<(), ShardError> {
        let id = shard.id;
        self.take_place(id)?;
        let (found, wanted) = (shard.gradient.len(), self.gradient.len());
        if found != wanted {
            return Err(ShardError::Dimension { id, found, wanted });
        }
        if shard.loss.is_some() != self.with_loss {
            return Err(ShardError::Loss(id));
        }
        let losses = [(&mut self.loss, shard.loss.unwrap_or(0))];
        for (total, value) in self.gradient.iter_mut().zip(shard.gradient).chain(losses) {
            *total = total.checked_add(value).ok_or(ShardError::Overflow(id))?;
        }
        Ok(())
    }

    fn take_place(&mut self, id: ShardId) -> Result<(), ShardError> {
        let (step, count) = (self.step, self.count.get());
        if (id.step, id.count) != (step, self.count) {
            return Err(ShardError::OtherStep { found: id, step, count });
        }
        match self.seen.get_mut(id.index as usize) {
            None => Err(ShardError::Index { index: id.index, count }),
            Some(seen) if *seen => Err(ShardError::Twice(id)),
            Some(seen) => {
                *seen = true;
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<(Vec<i64>, i64), ShardError> {
        match self.count.of_step(self.step).zip(&self.seen).find(|(_, seen)| !**seen) {
            Some((missing, _)) => Err(ShardError::Missing(missing)),
            None => Ok((self.gradient, self.loss)),
        }
    }
}
