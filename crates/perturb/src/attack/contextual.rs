//! The attack with a language model, in steps that a page's worker can report and stop.
//!
//! ```text
//! begin(sample, likelihood, prior, model, options) → step(tokens) … → finish → Report
//! ```
//! Dropping it in between is cancelling.

use super::bayes::guess;
use super::beam::{Beam, Extension, best_extensions, likeliest_item};
use super::candidates::Candidates;
use super::error::check_items;
use super::report::{Counts, Report};
use super::{AttackError, ContextModel, Likelihood, LikelihoodRow, Prior, Sample};

/// Each beam costs a forward pass a token; the gain from 4 to 16 was one per cent of the tokens on the bundled example.
const DEFAULT_BEAM_WIDTH: usize = 4;
/// On the bundled example, whose words a public model does not expect, 0.2 to 0.8 recovered most at every ε from 4 to 10.
const DEFAULT_PRIOR_WEIGHT: f64 = 0.5;
/// More would take longer than anyone waits, and a typing error should not.
const MAX_BEAM_WIDTH: usize = 64;

/// How hard the attack tries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttackOptions {
    /// Guesses of the record that are followed, 1 to 64. 1 is greedy.
    pub beam_width: usize,
    /// Inputs considered at each token: the likeliest by likelihood times prior; `None` for all, which costs nothing over a
    /// model's own tokens. For words, 16 to 64.
    pub candidates: Option<usize>,
    /// Weight λ, 0 ≤ λ < 1, of the prior beside the model: p(x) = (1 − λ)·p(x | context) + λ·π(x). A public model does not know
    /// the words of this author; a prior that was estimated from the output does.
    pub prior_weight: f64,
}

impl Default for AttackOptions {
    fn default() -> Self {
        Self { beam_width: DEFAULT_BEAM_WIDTH, candidates: None, prior_weight: DEFAULT_PRIOR_WEIGHT }
    }
}

impl AttackOptions {
    fn check(&self) -> Result<(), AttackError> {
        let option = |name, value, range| Err(AttackError::Option { name, value, range });
        if !(1..=MAX_BEAM_WIDTH).contains(&self.beam_width) {
            return option("the beam width", self.beam_width as f64, "1 to 64");
        }
        if self.candidates == Some(0) {
            return option("the number of candidates", 0.0, "at least 1");
        }
        if !(0.0..1.0).contains(&self.prior_weight) {
            return option("the prior's weight", self.prior_weight, "at least 0 and below 1");
        }
        Ok(())
    }
}

/// How far an attack is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttackProgress {
    /// Tokens attacked.
    pub done: usize,
    /// Tokens in the sample; never 0.
    pub total: usize,
}

/// An attack under way. Holds the original text, so it never leaves the owner's machine.
pub struct Attack<L, M: ContextModel> {
    sample: Sample,
    likelihood: L,
    prior: Prior,
    model: M,
    options: AttackOptions,
    counts: Counts,
    record: usize,
    /// The record under attack; `None` before its first token.
    walk: Option<Walk<M::State>>,
}

/// A record's guesses, and the model reading the record itself.
struct Walk<S> {
    position: usize,
    beams: Vec<Beam<S>>,
    truth: S,
}

impl<L, M: ContextModel> std::fmt::Debug for Attack<L, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attack").field("progress", &self.progress()).finish_non_exhaustive()
    }
}

impl<L: Likelihood, M: ContextModel> Attack<L, M> {
    /// Puts the parts together and checks that they speak of the same vocabulary.
    ///
    /// # Errors
    /// An [`AttackError`] that names the part or the option.
    pub fn begin(
        sample: Sample,
        likelihood: L,
        prior: Prior,
        model: M,
        options: AttackOptions,
    ) -> Result<Self, AttackError> {
        let items = likelihood.items();
        options.check()?;
        sample.check(items)?;
        prior.check(items)?;
        check_items("language model's vocabulary", model.items(), items)?;
        Ok(Self {
            sample,
            likelihood,
            prior,
            model,
            options,
            counts: Counts::default(),
            record: 0,
            walk: None,
        })
    }

    /// Attacks the next `tokens` tokens; nothing if all are done.
    ///
    /// # Errors
    /// What the model says, or [`AttackError::Likelihood`]; the attack cannot go on then.
    pub fn step(&mut self, tokens: usize) -> Result<AttackProgress, AttackError> {
        for _ in 0..tokens {
            if self.is_done() {
                break;
            }
            self.attack_token()?;
        }
        Ok(self.progress())
    }

    fn attack_token(&mut self) -> Result<(), AttackError> {
        let mut walk = match self.walk.take() {
            Some(walk) => walk,
            None => self.begin_record()?,
        };
        let record = &self.sample.records()[self.record];
        let (original, output) = (record.original()[walk.position], record.observed()[walk.position]);
        let is_last = walk.position + 1 == record.len();
        let row = self.likelihood.row(output).checked(output, self.likelihood.items())?;
        self.counts.token(original, output, guess(output, &row, &self.prior));
        let blind = likeliest_in_context(&mut self.model, &walk.truth, &self.prior, &self.options)?;
        self.counts.context_alone(original, blind);
        let candidates = Candidates::new(&row, &self.prior, self.options.candidates);
        let (best, at_once) = walk.guess(&mut self.model, &candidates, &self.prior, &self.options)?;
        self.counts.at_once(original, at_once);
        if is_last {
            self.counts.in_hindsight(record.original(), &walk.guesses(best[0]));
            self.record += 1;
        } else {
            walk.extend(&mut self.model, &best, original)?;
            self.walk = Some(walk);
        }
        Ok(())
    }

    fn begin_record(&mut self) -> Result<Walk<M::State>, AttackError> {
        let state = self.model.start()?;
        let beam = Beam { score: 0.0, guesses: Vec::new(), state: state.clone() };
        Ok(Walk { position: 0, beams: vec![beam], truth: state })
    }

    /// What all of it came to.
    ///
    /// # Errors
    /// [`AttackError::Unfinished`] while there are tokens left.
    pub fn finish(self) -> Result<Report, AttackError> {
        let AttackProgress { done, total } = self.progress();
        if done < total {
            return Err(AttackError::Unfinished { left: total - done });
        }
        Ok(self.counts.with_context(&self.sample))
    }
}

impl<L, M: ContextModel> Attack<L, M> {
    /// Whether every token was attacked.
    pub fn is_done(&self) -> bool {
        self.record == self.sample.records().len()
    }

    /// How far it is.
    pub fn progress(&self) -> AttackProgress {
        AttackProgress { done: self.counts.tokens(), total: self.sample.tokens() }
    }
}

impl<S: Clone> Walk<S> {
    /// The best extensions of the beams, at least one, and the item that all beams together hold for the likeliest.
    fn guess<M: ContextModel<State = S>>(
        &self,
        model: &mut M,
        candidates: &Candidates,
        prior: &Prior,
        options: &AttackOptions,
    ) -> Result<(Vec<Extension>, u32), AttackError> {
        let states: Vec<&S> = self.beams.iter().map(|beam| &beam.state).collect();
        let mut ln_context = model.log_probabilities(&states, &candidates.items)?;
        mix(&mut ln_context, &candidates.items, prior, options.prior_weight);
        let scores: Vec<f64> = self.beams.iter().map(|beam| beam.score).collect();
        let best = best_extensions(&scores, candidates, &ln_context, options.beam_width);
        Ok((best, likeliest_item(&scores, candidates, &ln_context)))
    }

    /// The whole guess that an extension ends.
    fn guesses(&self, extension: Extension) -> Vec<u32> {
        [self.beams[extension.beam].guesses.as_slice(), &[extension.item]].concat()
    }

    /// Lets the model read each guess, and the true item behind the truth.
    fn extend<M: ContextModel<State = S>>(
        &mut self,
        model: &mut M,
        best: &[Extension],
        original: u32,
    ) -> Result<(), AttackError> {
        let mut steps = vec![(&self.truth, original)];
        steps.extend(best.iter().map(|extension| (&self.beams[extension.beam].state, extension.item)));
        let mut states = model.extend(&steps)?.into_iter();
        let truth = states.next().unwrap_or_else(|| self.truth.clone());
        let extended = best.iter().zip(states);
        self.beams = extended
            .map(|(&extension, state)| Beam {
                score: extension.score,
                guesses: self.guesses(extension),
                state,
            })
            .collect();
        (self.truth, self.position) = (truth, self.position + 1);
        Ok(())
    }
}

/// The likeliest item after the true ones before it, its own output unseen.
fn likeliest_in_context<M: ContextModel>(
    model: &mut M,
    truth: &M::State,
    prior: &Prior,
    options: &AttackOptions,
) -> Result<u32, AttackError> {
    let unseen = LikelihoodRow { likely: (&[]).into(), others: 0.0 };
    let candidates = Candidates::new(&unseen, prior, options.candidates);
    let ln_context = model.log_probabilities(&[truth], &candidates.items)?;
    let best = best_extensions(&[0.0], &candidates, &ln_context, 1);
    Ok(best[0].item)
}

/// ln p → ln((1 − λ)·p + λ·π), candidate by candidate.
fn mix(ln_context: &mut [f64], candidates: &[u32], prior: &Prior, weight: f64) {
    if weight == 0.0 {
        return;
    }
    let of_prior: Vec<f64> = candidates.iter().map(|&item| weight * prior.ln(item).exp()).collect();
    for ln_context in ln_context.chunks_mut(candidates.len()) {
        for (ln, of_prior) in ln_context.iter_mut().zip(&of_prior) {
            *ln = ((1.0 - weight) * ln.exp() + of_prior).ln();
        }
    }
}

#[cfg(test)]
#[path = "contextual_tests.rs"]
mod tests;
