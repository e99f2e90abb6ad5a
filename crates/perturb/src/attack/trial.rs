//! The attacks on a text of the owner, put together: what page and command line call before anything is sent.

use std::sync::Arc;

use rand::CryptoRng;

use super::{
    Attack, AttackError, AttackOptions, AttackProgress, Likelihood, Prior, Record, Report, Sample,
    TokenContext, WordContext, distances, without_context,
};
use crate::language_model::LanguageModel;
use crate::{Encoded, Lexicon, Perturber, Tokenizer};

/// Candidates of a channel over words: each costs a reading of its own.
const WORD_CANDIDATES: usize = 24;
/// Perturbed items that the attacker learns the author's frequencies from, at most.
const PRIOR_ITEMS: usize = 200_000;

type SharedLikelihood = Arc<dyn Likelihood + Send + Sync>;

/// A language model with the tokenizer that it was trained with: what an attacker has who can download models.
#[derive(Debug, Clone)]
pub struct Reader {
    /// The model.
    pub model: Arc<LanguageModel>,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
}

/// The attacks under way. Holds some of the original text, so it never leaves the owner's machine.
#[derive(Debug)]
pub struct Trial(Stage);

enum Stage {
    Tokens(Attack<SharedLikelihood, TokenContext>),
    Words(Attack<SharedLikelihood, WordContext>),
    Done(Report),
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tokens(_) => "Tokens",
            Self::Words(_) => "Words",
            Self::Done(_) => "Done",
        })
    }
}

impl Trial {
    /// Perturbs a sample of at most `tokens` items of the text, by draws that are thrown away afterwards, and gets ready to
    /// attack it: with a language model, or without any.
    ///
    /// The attacker's prior is what the perturbed text itself betrays of its frequencies where the mechanism has exact likelihoods, and
    /// uniform otherwise.
    ///
    /// # Errors
    /// An [`AttackError`] if the text is empty, or the model's tokenizer is not its own.
    pub fn begin(
        encoded: &Encoded,
        perturber: &Perturber,
        reader: Option<&Reader>,
        tokens: usize,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, AttackError> {
        let (channel, domain) = (perturber.channel(), perturber.channel().domain());
        let likelihood = distances::of_channel(channel);
        let prior = prior(&likelihood, encoded, perturber, rng)?;
        let records: Vec<&[u32]> = encoded.records().collect();
        // The sample's own generator: drawing a record borrows the other one.
        let mut picks = picks_from(rng);
        let sample = Sample::draw(records.len(), tokens, &mut picks, |index| {
            let original = &records[index][..records[index].len().min(tokens)];
            Record::from_ids(domain, original, &channel.perturb_tokens(original, rng))
        })?;
        let options = AttackOptions::default();
        let stage = match (reader, perturber.lexicon()) {
            (None, _) => Stage::Done(without_context(&sample, &likelihood, &prior)?),
            (Some(reader), Lexicon::Tokens(_)) => {
                let context = TokenContext::new(reader.model.clone(), domain)?;
                Stage::Tokens(Attack::begin(sample, likelihood, prior, context, options)?)
            }
            (Some(reader), Lexicon::Words(vocabulary)) => {
                let words: Vec<&str> = domain.ids().iter().map(|&id| vocabulary.word(id)).collect();
                let context = WordContext::new(reader.model.clone(), &reader.tokenizer, &words)?;
                let options = AttackOptions { candidates: Some(WORD_CANDIDATES), ..options };
                Stage::Words(Attack::begin(sample, likelihood, prior, context, options)?)
            }
        };
        Ok(Self(stage))
    }

    /// Attacks the next few tokens.
    ///
    /// # Errors
    /// What the language model says.
    pub fn step(&mut self, tokens: usize) -> Result<AttackProgress, AttackError> {
        match &mut self.0 {
            Stage::Tokens(attack) => attack.step(tokens),
            Stage::Words(attack) => attack.step(tokens),
            Stage::Done(report) => {
                let total = report.tokens as usize;
                Ok(AttackProgress { done: total, total })
            }
        }
    }

    /// What was recovered.
    ///
    /// # Errors
    /// [`AttackError`] while there is work left.
    pub fn finish(self) -> Result<Report, AttackError> {
        match self.0 {
            Stage::Tokens(attack) => attack.finish(),
            Stage::Words(attack) => attack.finish(),
            Stage::Done(report) => Ok(report),
        }
    }
}

fn prior(
    likelihood: &SharedLikelihood,
    encoded: &Encoded,
    perturber: &Perturber,
    rng: &mut impl CryptoRng,
) -> Result<Prior, AttackError> {
    let channel = perturber.channel();
    match perturber.lexicon() {
        // How often words are in a public text: better than what little this one betrays.
        Lexicon::Words(vocabulary) => {
            let counts: Vec<u64> =
                channel.domain().ids().iter().map(|&id| u64::from(vocabulary.count(id))).collect();
            Ok(Prior::from_counts(&counts))
        }
        Lexicon::Tokens(_) if channel.response().is_none() => Ok(Prior::uniform(likelihood.items())),
        Lexicon::Tokens(_) => {
            let ids = &encoded.ids()[..encoded.ids().len().min(PRIOR_ITEMS)];
            let outputs = channel.perturb_tokens(ids, rng);
            // Outputs are of the domain.
            let items = outputs.iter().filter_map(|&id| channel.domain().index(id));
            Prior::from_outputs(likelihood, items)
        }
    }
}

/// A generator seeded by another, for draws that only choose which records are looked at.
fn picks_from<R: CryptoRng>(rng: &mut R) -> impl rand::Rng + use<R> {
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    dp::SecretSeed::from_bytes(seed).stream(dp::Purpose::Perturbation, 0)
}

#[cfg(test)]
#[path = "trial_tests.rs"]
mod tests;
