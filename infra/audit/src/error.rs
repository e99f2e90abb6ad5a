//! Why an audit cannot be run.

/// A failure of the audit itself, not of the trainer under audit.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The privacy plan cannot be made.
    #[error(transparent)]
    Plan(#[from] dp::DpError),
    /// The canaries cannot be made into records.
    #[error(transparent)]
    Records(#[from] finetune::DataError),
    /// The trainer stopped.
    #[error(transparent)]
    Train(#[from] finetune::TrainError),
    /// The trained adapter cannot be evaluated.
    #[error(transparent)]
    Evaluate(#[from] finetune::AdapterError),
    /// The claim cannot be exceeded by any number of right guesses, so the audit could catch nothing.
    #[error(
        "{canaries} canaries can show an epsilon of at most {largest:.2}, but the claim is {claim:.2}: \
         take more canaries or a smaller target epsilon"
    )]
    Powerless {
        /// Canaries of the audit.
        canaries: usize,
        /// The largest bound that they can give.
        largest: f64,
        /// ε that the plan claims.
        claim: f64,
    },
    /// Every epoch must have whole batches, or the deck of the shuffled trainer would not repeat.
    #[error("{records} records do not divide into batches of {batch_size}: choose sizes that do")]
    UnevenBatches {
        /// Records of the run.
        records: usize,
        /// Size of a batch.
        batch_size: usize,
    },
}
