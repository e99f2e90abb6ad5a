//! What a perturbed file says about the channel that it passed.
//!
//! The manifest travels with the tokens. It lets the trainer correct its loss for the channel, and anyone check the claim:
//! ε, the exact integer weights, and the digests of the public vocabulary and table that were used.

use dp::{Contract, Delta, Epsilon, PrivacyUnit};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Channel, Mechanism, Needs, Sha256Digest};

const VERSION: u32 = 2;

/// The channel and the shape of the data behind a perturbed file. Only consistent ones can be made or deserialised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
#[non_exhaustive]
pub struct Manifest {
    /// Format version, 2.
    pub version: u32,
    /// The mechanism with its parameters.
    pub mechanism: Mechanism,
    /// The integer weights that a two-level mechanism drew with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Weights>,
    /// ε of one token, exact or rounded up.
    pub epsilon_per_token: Epsilon,
    /// The δ that ε is stated at; none where the guarantee is pure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<Delta>,
    /// The kind of guarantee.
    pub notion: Notion,
    /// What ε is stated for.
    pub channel_unit: ChannelUnit,
    /// Digest of what makes text into tokens: the tokenizer.json, or the vocabulary of words.
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
    /// The embedding, if the mechanism uses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<EmbeddingName>,
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

/// Which embedding a mechanism measured distances in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingName {
    /// Digest of its file without the trailer.
    pub sha256: Sha256Digest,
    /// Values of each vector, d: the sensitivity of vector noise depends on it.
    pub dimension: u32,
}

/// The kind of guarantee that ε states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Notion {
    /// Pure ε-local differential privacy.
    PureEpsilonLdp,
    /// (ε, δ)-local differential privacy.
    ApproximateLdp,
}

/// What passes the channel as one piece, with one ε.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ChannelUnit {
    /// A token of the model's vocabulary.
    Token,
    /// A word of a vocabulary of words.
    Word,
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
    /// Adds the counts of other records.
    pub fn merge(&mut self, other: Self) {
        self.records += other.records;
        self.tokens += other.tokens;
        self.max_tokens_in_a_record = self.max_tokens_in_a_record.max(other.max_tokens_in_a_record);
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
    #[error("the manifest must name the one table that its mechanism needs: perturb the text again")]
    Table,
    /// A kind of guarantee that the mechanism does not have.
    #[error("the manifest's guarantee or its delta is not that of its mechanism: perturb the text again")]
    Notion,
    /// Impossible counts.
    #[error("the manifest's counts of records, tokens or ids contradict one another: perturb the text again")]
    Counts,
}

impl Manifest {
    /// The manifest of records that passed `channel` in pieces of `channel_unit`.
    pub fn new(
        channel: &Channel,
        channel_unit: ChannelUnit,
        record_unit: PrivacyUnit,
        counts: Counts,
        model: Option<String>,
    ) -> Self {
        let domain = channel.domain();
        let mechanism = channel.mechanism();
        let weights = channel.response().map(|response| response.weights());
        let name =
            |e: &crate::Embedding| EmbeddingName { sha256: e.sha256(), dimension: e.dimension() as u32 };
        Self {
            version: VERSION,
            mechanism,
            weights: weights.map(|(hi, lo)| Weights { hi, lo }),
            epsilon_per_token: epsilon_of(&channel.contract()),
            delta: delta_of(mechanism),
            notion: notion_of(mechanism),
            channel_unit,
            tokenizer_sha256: domain.tokenizer_sha256(),
            domain_size: domain.len() as u32,
            domain_sha256: domain.sha256(),
            max_token_id: domain.max_id(),
            neighbour_table_sha256: channel.table().map(|table| table.sha256()),
            embedding: channel.embedding().map(name),
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

    /// ε of the longest record at [`delta`](Self::delta): its tokens compose.
    pub fn epsilon_of_longest_record(&self) -> f64 {
        self.epsilon_of(self.max_tokens_in_a_record)
    }

    /// ε of all records together at [`delta`](Self::delta), for a reader who wonders about the whole document.
    pub fn epsilon_of_document(&self) -> f64 {
        self.epsilon_of(self.tokens)
    }

    fn epsilon_of(&self, tokens: u64) -> f64 {
        // A manifest whose mechanism does not suit its dimension cannot be made or read; this is for one whose fields were changed.
        self.contract().map_or(f64::INFINITY, |contract| contract.epsilon(tokens))
    }

    fn contract(&self) -> Result<Contract, dp::DpError> {
        self.mechanism.contract(self.embedding.map_or(1, |embedding| embedding.dimension as usize))
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
        let needs = self.mechanism.needs();
        if self.neighbour_table_sha256.is_some() != (needs == Needs::Neighbours)
            || self.embedding.is_some() != (needs == Needs::Embedding)
        {
            return Err(ManifestError::Table);
        }
        if (self.notion, self.delta) != (notion_of(self.mechanism), delta_of(self.mechanism)) {
            return Err(ManifestError::Notion);
        }
        let (stated, mechanism) = (self.epsilon_per_token, epsilon_of(&self.contract()?));
        if stated != mechanism {
            return Err(ManifestError::Epsilon { stated: stated.get(), mechanism: mechanism.get() });
        }
        let response = self.mechanism.response(self.domain_size)?;
        if response.map(|response| response.weights()) != self.weights.map(|Weights { hi, lo }| (hi, lo)) {
            return Err(ManifestError::Weights);
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

fn epsilon_of(contract: &Contract) -> Epsilon {
    // A contract's ε is finite and above 0; should it ever not be, the largest number errs on the safe side.
    Epsilon::try_from(contract.epsilon_per_token())
        .unwrap_or_else(|_| Epsilon::try_from(f64::MAX).expect("the largest f64 is finite and above zero"))
}

fn delta_of(mechanism: Mechanism) -> Option<Delta> {
    match mechanism {
        Mechanism::Gaussian { delta, .. } => Some(delta),
        _ => None,
    }
}

fn notion_of(mechanism: Mechanism) -> Notion {
    match mechanism {
        Mechanism::Gaussian { .. } => Notion::ApproximateLdp,
        _ => Notion::PureEpsilonLdp,
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
