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
    /// The noise multiplier does not fit the noise lattice.
    #[error("the noise multiplier is {noise_multiplier}: give a number from {min} to {max}, such as 1.0")]
    NoiseMultiplierRange {
        /// The multiplier asked for.
        noise_multiplier: f64,
        /// The least that fits.
        min: f64,
        /// The largest that fits.
        max: f64,
    },
    /// The clipping norm does not fit vectors of f32.
    #[error("the clipping norm is {0}: give a number from 1.2e-38 to 3.4e38, such as 1.0")]
    MaxNorm(f64),
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
    /// A vector mechanism for vectors of no coordinate, or of too many.
    #[error("the vectors have {0} coordinates: give 1 to 2^31")]
    Dimension(usize),
    /// Noise that does not fit the lattice of the vector mechanisms.
    #[error(
        "the standard deviation is {standard_deviation}: give a number from {min:e} to {max}, such as 0.1"
    )]
    StandardDeviation {
        /// The standard deviation asked for.
        standard_deviation: f64,
        /// The least that fits.
        min: f64,
        /// The largest that fits.
        max: f64,
    },
    /// Laplace noise would leave the range of its integers.
    #[error("epsilon {epsilon} takes more noise than can be drawn exactly: give at least {min:e}")]
    EpsilonTooSmall {
        /// The ε asked for.
        epsilon: f64,
        /// The smallest ε that can be had.
        min: f64,
    },
    /// A domain in which nothing can be hidden.
    #[error("a domain of {0} hides nothing: give at least 2 items")]
    DomainSize(u32),
    /// The largest distance is no distance.
    #[error("the largest distance is {0}: give a finite number above 0")]
    MaxDistance(f64),
    /// The weights of the exponential mechanism would be too coarse.
    #[error("epsilon {epsilon} is too large for exact weights over {domain} items: take at most {max:.1}")]
    ExponentialEpsilon {
        /// The ε asked for.
        epsilon: f64,
        /// Items in the domain.
        domain: u32,
        /// The largest ε for this domain.
        max: f64,
    },
    /// A secret seed that is not 64 hexadecimal digits. Its text is not repeated.
    #[error("the secret seed is not 64 hexadecimal digits")]
    Seed,
}
