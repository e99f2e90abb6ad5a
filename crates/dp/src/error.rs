//! What can be wrong with a privacy request.

/// A privacy parameter, plan or calibration target that cannot be honoured.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DpError {
    /// ε is not a finite number above zero.
    #[error("epsilon is {0}: give a finite number above 0, such as 8")]
    Epsilon(f64),
    /// δ is not strictly between zero and one.
    #[error("delta is {0}: give a number between 0 and 1, well below 1 / (number of records), such as 1e-5")]
    Delta(f64),
    /// There is nothing to train on.
    #[error("there are no records: give at least one")]
    NoRecords,
    /// The expected batch does not fit the data.
    #[error("the expected batch size is {expected_batch_size}: give 1 to {records}, the number of records")]
    BatchSize {
        /// The size asked for.
        expected_batch_size: usize,
        /// How many records there are.
        records: usize,
    },
    /// No step, or more steps than a run can have.
    #[error("the number of steps is {0}: give 1 to {max}", max = crate::plan::MAX_STEPS)]
    Steps(u64),
    /// The clipping norm is no length.
    #[error("max_grad_norm is {0}: give a finite number above 0, such as 1.0")]
    MaxGradNorm(f64),
    /// The noise multiplier is no finite positive number.
    #[error("the noise multiplier is {0}: give a finite number above 0, such as 1.0")]
    NoiseMultiplier(f64),
    /// The sampling rate is no probability above zero.
    #[error("the sampling rate is {0}: give a number above 0 and at most 1 (batch size / records)")]
    SamplingRate(f64),
    /// Even very large noise does not reach the target.
    #[error(
        "epsilon {target} at delta {delta} cannot be reached in {steps} steps with a sampling rate of {sampling_rate}: \
         take fewer steps, smaller batches or a larger epsilon"
    )]
    TargetTooSmall {
        /// The ε asked for.
        target: f64,
        /// The δ it is meant at.
        delta: f64,
        /// Steps of the run.
        steps: u64,
        /// Chance of a record to be in a batch.
        sampling_rate: f64,
    },
    /// The target is so large that it protects nothing.
    #[error(
        "epsilon {target} would leave a noise multiplier below {min_noise_multiplier}, which protects nothing: \
         take a smaller epsilon (1 to 10 is usual)"
    )]
    TargetTooLarge {
        /// The ε asked for.
        target: f64,
        /// The smallest multiplier that calibration gives.
        min_noise_multiplier: f64,
    },
    /// A randomised response over fewer than two items, or a set that leaves none outside.
    #[error("a set of {set_size} in a domain of {domain} hides nothing: give a set size of 1 to domain − 1")]
    SetSize {
        /// Items in each set.
        set_size: u32,
        /// Items in the domain.
        domain: u32,
    },
    /// The weights of a randomised response would not be exact integers.
    #[error(
        "epsilon {epsilon} with sets of {set_size} is too large for exact weights: take an epsilon of at most {max:.1}"
    )]
    EpsilonTooLarge {
        /// The ε asked for.
        epsilon: f64,
        /// Items in each set.
        set_size: u32,
        /// The largest ε for this set size.
        max: f64,
    },
    /// A secret seed that is not 64 hexadecimal digits. Its text is not repeated.
    #[error("the secret seed is not 64 hexadecimal digits")]
    Seed,
}
