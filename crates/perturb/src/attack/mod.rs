//! What an attacker could recover of the owner's own text, counted before anything is sent.
//!
//! ε bounds every attack, but says little to an owner. Here the owner's machine, which has both the text and its perturbed form,
//! plays the attacker on a sample and counts the tokens that it guesses right:
//!
//! ```text
//! records ─ Sample ──┐
//! Channel ─ Likelihood ─┼─▶ Attack::begin → step … step → finish ─▶ Report (counts and shares, no text)
//! Prior ─────────────┤
//! LanguageModel ─ ContextModel ─┘
//! ```
//!
//! - *unchanged*: takes every token as it came out;
//! - *token by token* (Bayes without context): x̂ = argmax ln P(y | x) + ln π(x), π uniform, public, or estimated from the
//!   perturbed text itself;
//! - *with context*: a beam search for the record x̂ that maximises Σ ln P(yₜ | x̂ₜ) + ln p(x̂ₜ | x̂₁ … x̂ₜ₋₁), with p a language model
//!   mixed with π. Each token is guessed twice, from all beams when it is reached and from the best beam in the end; the first
//!   recovers more at a small ε and the second at a large one, and the better one is reported, on the attacker's side;
//! - *context alone*: argmax p(x | the true tokens before it), never looking at yₜ. Not an attack on the channel: what the
//!   language gives away if all the rest is known.
//!
//! # Contract
//! The shares are of these attacks alone. A better model, more context or knowledge of the author recovers more; only ε bounds
//! them all. The attacker knows the channel with all its parameters (Kerckhoffs). A report is exact about the owner's text
//! and is meant for the owner: it is not private, and nothing here sends it.
//!
//! Reading order: [`Likelihood`] → [`Prior`] → [`Sample`] → [`without_context`] → [`ContextModel`] → [`Attack`] → [`Report`]; [`Trial`] puts them together.

mod bayes;
mod beam;
mod candidates;
mod context;
mod contextual;
pub mod distances;
mod error;
mod likelihood;
mod prior;
mod reading;
pub mod report;
mod sample;
#[cfg(test)]
mod test_models;
mod trial;
mod words;

pub use bayes::without_context;
pub use context::{ContextModel, TokenContext};
pub use contextual::{Attack, AttackOptions, AttackProgress};
pub use error::AttackError;
pub use likelihood::{ChannelLikelihood, FnLikelihood, Likelihood, LikelihoodRow};
pub use prior::Prior;
pub use reading::Reading;
pub use report::{Report, Share};
pub use sample::{Record, Sample};
pub use trial::{Reader, Trial};
pub use words::WordContext;
