//! A text's ids on their way through the channel, piece by piece.

use dp::PrivacyUnit;
use rand::CryptoRng;

use crate::drawing::Drawing;
use crate::perturber::{PerturbError, PerturbedText};
use crate::reading::cut;
use crate::tokens::Part;
use crate::{Counts, Encoded, Manifest, Perturber};

/// Rough nanoseconds of work between two reports: short enough for a page to hear "cancel" at once.
const STEP_NANOSECONDS: usize = 50_000_000;

/// One pass of all ids through a channel. See [`Reading`](crate::Reading) for the whole way.
pub struct Run {
    unit: PrivacyUnit,
    lengths: Vec<u32>,
    counts: Counts,
    drawing: Drawing,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Part of the ids are still the original ones.
        f.debug_struct("Run").field("drawn", &self.drawn()).finish_non_exhaustive()
    }
}

impl Run {
    /// Starts a pass with draws of its own.
    pub fn begin(encoded: &Encoded, perturber: &Perturber) -> Self {
        let drawing = Drawing::new(perturber.channel(), encoded.ids.clone());
        Self { unit: encoded.unit, lengths: encoded.lengths.clone(), counts: encoded.counts, drawing }
    }

    /// Perturbs the next ids, some tens of milliseconds of work.
    pub fn step(&mut self, perturber: &Perturber, rng: &mut impl CryptoRng) {
        self.drawing.step(perturber.channel(), rng, STEP_NANOSECONDS);
    }

    /// Ids that passed the channel, and all ids.
    pub fn drawn(&self) -> (u64, u64) {
        (self.drawing.done() as u64, self.counts.tokens)
    }

    /// Whether all ids have passed.
    pub fn is_done(&self) -> bool {
        self.drawing.is_done()
    }

    /// The perturbed records with their manifest.
    ///
    /// # Errors
    /// [`PerturbError::Unfinished`] while there is work left.
    pub fn finish(self, perturber: &Perturber, model: Option<String>) -> Result<PerturbedText, PerturbError> {
        if !self.is_done() {
            return Err(PerturbError::Unfinished);
        }
        let lexicon = perturber.lexicon();
        let manifest = Manifest::new(perturber.channel(), lexicon.unit(), self.unit, self.counts, model);
        let ids = self.drawing.into_ids();
        Ok(PerturbedText { manifest, records: lexicon.payload(cut(&ids, &self.lengths)) })
    }

    /// The perturbed records as one of several parts of a file: see [`tokens::join`](crate::tokens::join).
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn finish_part(self, perturber: &Perturber) -> Result<Part, PerturbError> {
        let counts = self.counts;
        self.finish(perturber, None).map(|text| Part { counts, body: text.records.body() })
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
