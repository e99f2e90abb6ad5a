//! A training run that can stop after any part and go on later, elsewhere.

use std::ops::Range;

use crate::adamw::AdamW;
use crate::checkpoint::{self, Identity};
use crate::corpus::Corpus;
use crate::engine::{self, Engine};
use crate::sampling::{Negatives, keep_thresholds};
use crate::skip_gram::Plan;
use crate::{Config, Word2VecError, WordVectors};

/// How far a run has come, in words of the numbered text times epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Words done since the run began, resumed parts included.
    pub words: u64,
    /// Words of the whole run.
    pub total: u64,
}

/// A run: the text, the model and how far it has come.
pub struct Trainer {
    corpus: Corpus,
    plan: Plan,
    engine: Box<dyn Engine>,
    /// Steps done, and steps of the whole run.
    done: usize,
    steps: usize,
}

impl std::fmt::Debug for Trainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainer")
            .field("config", &self.plan.config)
            .field("progress", &self.progress())
            .finish()
    }
}

impl Trainer {
    /// A run from its start.
    ///
    /// # Errors
    /// [`Word2VecError::TooLong`] if the run has more than 2³² − 2 steps.
    pub fn new(config: Config, corpus: Corpus) -> Result<Self, Word2VecError> {
        let (words, epochs) = (corpus.ids().len(), config.epochs);
        let steps = engine::steps_per_epoch(&config, &corpus).checked_mul(epochs as usize);
        let steps = steps.and_then(|steps| u32::try_from(steps).ok()).filter(|&steps| steps < u32::MAX);
        let steps = steps.ok_or(Word2VecError::TooLong { words, epochs })?;
        let counts = corpus.vocabulary().counts();
        let (keep, negatives) = (keep_thresholds(counts, config.sample), Negatives::new(counts));
        let plan = Plan { adamw: AdamW::new(&config, steps), keep, negatives, config };
        let engine = engine::new(&plan, corpus.vocabulary().len());
        Ok(Self { corpus, plan, engine, done: 0, steps: steps as usize })
    }

    /// Goes on from a checkpoint of a run with the same text and settings; only the number of threads may differ.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`Word2VecError::CorruptCheckpoint`] or
    /// [`CheckpointMismatch`](Word2VecError::CheckpointMismatch).
    pub fn resume(config: Config, corpus: Corpus, checkpoint: &[u8]) -> Result<Self, Word2VecError> {
        let mut trainer = Self::new(config, corpus)?;
        let (rows, dim) = (2 * trainer.corpus.vocabulary().len(), trainer.plan.config.dim);
        let state = checkpoint::read(checkpoint, &trainer.identity(), rows, dim, trainer.steps)?;
        for (place, row) in state.rows().enumerate() {
            trainer.engine.restore(&trainer.plan, place, row.parts());
        }
        trainer.done = state.done;
        Ok(trainer)
    }

    /// The state, from which [`resume`](Self::resume) goes on; equal states give equal bytes.
    pub fn checkpoint(&self) -> Vec<u8> {
        checkpoint::write(&self.identity(), self.engine.as_ref(), self.done)
    }

    fn identity(&self) -> Identity {
        Identity::new(&self.plan.config, &self.corpus)
    }

    /// How far the run has come.
    pub fn progress(&self) -> Progress {
        self.progress_at(self.done)
    }

    fn progress_at(&self, done: usize) -> Progress {
        let per_epoch = engine::steps_per_epoch(&self.plan.config, &self.corpus).max(1);
        let words = self.corpus.ids().len();
        let within = (done % per_epoch * self.plan.config.step_words).min(words);
        let total = words as u64 * u64::from(self.plan.config.epochs);
        Progress { words: words as u64 * (done / per_epoch) as u64 + within as u64, total }
    }

    /// Whether nothing is left to do.
    pub fn is_finished(&self) -> bool {
        self.done == self.steps
    }

    /// Trains on the next `words` words of the text, rounded up to whole steps, or up to the end; says whether the run is
    /// finished. `progress` is called from all threads, some times a second.
    ///
    /// With one thread the parts that a run is cut into do not change its result.
    pub fn run_part(&mut self, words: u64, progress: &(dyn Fn(Progress) + Sync)) -> bool {
        let steps = usize::try_from(words.div_ceil(self.plan.config.step_words as u64)).unwrap_or(usize::MAX);
        let part: Range<usize> = self.done..self.done.saturating_add(steps).min(self.steps);
        let report = |done: u64| progress(self.progress_at(self.done + done as usize));
        self.engine.run(&self.corpus, &self.plan, part.clone(), &report);
        self.done = part.end;
        self.is_finished()
    }

    /// Trains up to the end.
    pub fn run(&mut self, progress: &(dyn Fn(Progress) + Sync)) {
        self.run_part(u64::MAX, progress);
    }

    /// The vectors as they are now: after the last part, the result.
    pub fn into_vectors(self) -> WordVectors {
        self.engine.settle(&self.plan, self.done);
        let words = self.corpus.vocabulary().len();
        let mut rows = Vec::with_capacity(words * self.plan.config.dim);
        let mut seen = 0;
        self.engine.rows(&mut |row| {
            if seen < words {
                rows.extend_from_slice(row.values);
            }
            seen += 1;
        });
        let (words, counts) = self.corpus.into_vocabulary().into_parts();
        WordVectors { words, counts, dim: self.plan.config.dim, rows }
    }
}

#[cfg(test)]
#[path = "trainer_tests.rs"]
mod tests;
