//! What a perturbed file says about the channel that it passed.
//!
//! The manifest travels with the tokens. It lets the trainer correct its loss for the channel, and anyone check the claim:
//! ε, the exact integer weights, and the digests of the public vocabulary and table that were used.

use dp::{Epsilon, PrivacyUnit};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Channel, Mechanism, Sha256Digest};

const VERSION: u32 = 1;

/// The channel and the shape of the data behind a perturbed file. Only consistent ones can be made or deserialised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
#[non_exhaustive]
pub struct Manifest {
    /// Format version, 1.
    pub version: u32,
    /// The mechanism with its parameters.
    pub mechanism: Mechanism,
    /// The integer weights that the mechanism drew with.
    pub weights: Weights,
    /// ε of one token.
    pub epsilon_per_token: Epsilon,
    /// The kind of guarantee.
    pub notion: Notion,
    /// What ε is stated for.
    pub channel_unit: ChannelUnit,
    /// Digest of the tokenizer.json.
    pub tokenizer_sha256: Sha256Digest,
    /// Items that the channel works on, V.
    pub domain_size: u32,
    /// Digest of the items' ids: see [`crate::Domain::sha256`].
    pub domain_sha256: Sha256Digest,
    /// The largest id that a token can have.
    pub max_token_id: u32,
    /// Digest of the neighbour table, if the mechanism uses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighbour_table_sha256: Option<Sha256Digest>,
    /// What one record is.
    pub record_unit: PrivacyUnit,
    /// How many records there are.
    pub records: u64,
    /// Tokens in all of them.
    pub tokens: u64,
    /// Tokens in the longest.
    pub max_tokens_in_a_record: u64,
    /// The model whose tokenizer it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Integer weights of set randomised response: P(y | x) ∝ `hi` inside B(x), `lo` outside; `hi` / `lo` ≤ e^ε.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// Weight of an item of the set.
    pub hi: u64,
    /// Weight of any other.
    pub lo: u64,
}

/// The kind of guarantee that ε states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Notion {
    /// Pure ε-local differential privacy.
    PureEpsilonLdp,
}

/// What passes the channel as one piece, with one ε.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ChannelUnit {
    /// A token of the model's vocabulary.
    Token,
}

/// How much data there is: counts of perturbed records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records.
    pub records: u64,
    /// Tokens in all of them.
    pub tokens: u64,
    /// Tokens in the longest.
    pub max_tokens_in_a_record: u64,
}

impl Counts {
    /// Counts records of token ids.
    pub fn of(records: &[Vec<u32>]) -> Self {
        let mut counts = Self::default();
        records.iter().for_each(|record| counts.add(record.len()));
        counts
    }

    pub(crate) fn add(&mut self, tokens: usize) {
        let tokens = tokens as u64;
        self.records += 1;
        self.tokens += tokens;
        self.max_tokens_in_a_record = self.max_tokens_in_a_record.max(tokens);
    }
}

/// Why a manifest cannot be trusted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Of a later format.
    #[error("the manifest has version {0}, and this program reads {VERSION}: perturb the text again")]
    Version(u32),
    /// ε appears twice, differently.
    #[error(
        "the manifest states epsilon {stated} a token, and its mechanism has {mechanism}: perturb the text again"
    )]
    Epsilon {
        /// The stated one.
        stated: f64,
        /// The mechanism's.
        mechanism: f64,
    },
    /// Weights that the mechanism does not have.
    #[error(
        "the manifest's weights are not those of its mechanism: perturb the text again with this version"
    )]
    Weights,
    /// A mechanism that does not suit the domain.
    #[error("the manifest's mechanism is not valid: {0}")]
    Mechanism(#[from] dp::DpError),
    /// A table without need, or a need without table.
    #[error("the manifest must name a neighbour table for set-rr, and none for other mechanisms")]
    Table,
    /// Impossible counts.
    #[error("the manifest's counts of records, tokens or ids contradict one another: perturb the text again")]
    Counts,
}

impl Manifest {
    /// The manifest of records that passed `channel`.
    pub fn new(channel: &Channel, record_unit: PrivacyUnit, counts: Counts, model: Option<String>) -> Self {
        let (hi, lo) = channel.response().weights();
        let domain = channel.domain();
        Self {
            version: VERSION,
            mechanism: channel.mechanism(),
            weights: Weights { hi, lo },
            epsilon_per_token: channel.mechanism().epsilon(),
            notion: Notion::PureEpsilonLdp,
            channel_unit: ChannelUnit::Token,
            tokenizer_sha256: domain.tokenizer_sha256(),
            domain_size: domain.len() as u32,
            domain_sha256: domain.sha256(),
            max_token_id: domain.max_id(),
            neighbour_table_sha256: channel.table().map(|table| table.sha256()),
            record_unit,
            records: counts.records,
            tokens: counts.tokens,
            max_tokens_in_a_record: counts.max_tokens_in_a_record,
            model,
        }
    }

    /// Records and tokens.
    pub fn counts(&self) -> Counts {
        let Self { records, tokens, max_tokens_in_a_record, .. } = *self;
        Counts { records, tokens, max_tokens_in_a_record }
    }

    /// ε of the longest record: its tokens compose.
    pub fn epsilon_of_longest_record(&self) -> f64 {
        self.epsilon_per_token.get() * self.max_tokens_in_a_record as f64
    }

    /// Whether the manifest contradicts itself. Deserialising checks this already; writing checks it again, since the
    /// fields are public.
    ///
    /// # Errors
    /// A [`ManifestError`] that names the contradiction.
    pub fn check(&self) -> Result<(), ManifestError> {
        if self.version != VERSION {
            return Err(ManifestError::Version(self.version));
        }
        if self.epsilon_per_token != self.mechanism.epsilon() {
            let (stated, mechanism) = (self.epsilon_per_token.get(), self.mechanism.epsilon().get());
            return Err(ManifestError::Epsilon { stated, mechanism });
        }
        let Weights { hi, lo } = self.weights;
        if self.mechanism.response(self.domain_size)?.weights() != (hi, lo) {
            return Err(ManifestError::Weights);
        }
        let needs_table = matches!(self.mechanism, Mechanism::SetRr { .. });
        if self.neighbour_table_sha256.is_some() != needs_table {
            return Err(ManifestError::Table);
        }
        if !self.counts_agree() {
            return Err(ManifestError::Counts);
        }
        Ok(())
    }

    fn counts_agree(&self) -> bool {
        let Counts { records, tokens, max_tokens_in_a_record: longest } = self.counts();
        let all_longest = u128::from(records) * u128::from(longest);
        longest <= tokens
            && u128::from(tokens) <= all_longest
            && self.domain_size <= self.max_token_id.saturating_add(1)
    }
}

impl Serialize for Manifest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The derived function of the same name: `remote = "Self"` makes it inherent, so that the check can stand around it.
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Manifest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let manifest = Self::deserialize(deserializer)?;
        manifest.check().map_err(de::Error::custom)?;
        Ok(manifest)
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
