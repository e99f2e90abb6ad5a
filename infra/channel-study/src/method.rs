//! The ways to train that are compared.

use std::fmt;
use std::str::FromStr;

use finetune::{Context, Correction};
use serde::{Deserialize, Serialize};

/// A way to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// No training: what a user has who keeps the text.
    Base,
    /// Takes the received tokens for the owner's.
    Naive,
    /// Forward-corrected loss; the context is what was received.
    Loss,
    /// The same with posterior-mean embeddings under a uniform prior as context.
    PosteriorMean,
    /// The same with the model's own prediction as the prior, in one pass.
    Denoised,
    /// In three passes.
    Denoised3,
    /// On the text in clear: what no method can beat.
    Clean,
}

impl Method {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 7] = [
        Self::Base,
        Self::Naive,
        Self::Loss,
        Self::PosteriorMean,
        Self::Denoised,
        Self::Denoised3,
        Self::Clean,
    ];

    /// What the trainer is told.
    pub fn correction(self) -> Correction {
        let forward = |context| Correction::Forward { context };
        match self {
            Self::Base | Self::Naive | Self::Clean => Correction::Off,
            Self::Loss => forward(Context::Received),
            Self::PosteriorMean => forward(Context::PosteriorMean),
            Self::Denoised => forward(Context::Denoised { passes: 1 }),
            Self::Denoised3 => forward(Context::Denoised { passes: 3 }),
        }
    }

    /// In words, for tables and legends.
    pub fn label(self) -> &'static str {
        match self {
            Self::Base => "base, no training",
            Self::Naive => "naive",
            Self::Loss => "corrected loss",
            Self::PosteriorMean => "corrected loss, posterior-mean context",
            Self::Denoised => "corrected loss, denoised context",
            Self::Denoised3 => "corrected loss, denoised context, 3 passes",
            Self::Clean => "clean text",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base => "base",
            Self::Naive => "naive",
            Self::Loss => "loss",
            Self::PosteriorMean => "posterior-mean",
            Self::Denoised => "denoised",
            Self::Denoised3 => "denoised3",
            Self::Clean => "clean",
        })
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|method| method.to_string() == name);
        found.ok_or_else(|| {
            format!("`{name}` is no method: give one of {}", Self::ALL.map(|m| m.to_string()).join(", "))
        })
    }
}
