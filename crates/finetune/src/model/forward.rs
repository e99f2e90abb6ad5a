//! The forward pass over one sequence `[t]`, with or without LoRA, with or without a key-value cache.
//!
//! It follows the description in [`super::architecture`] line by line and asks for nothing else.
//!
//! There is no batch dimension: a record's gradient is the gradient of its own sequence, so each thread runs one
//! sequence and nothing is padded.

use candle_core::{Device, Tensor};

use super::architecture::{ModelConfig, Stage};
use super::{BaseModel, Block, ModelError, Normalisation};
use crate::lora::LoraTensors;
use crate::ops::{
    AttentionOptions, CrossEntropy, Heads, RopeTable, RowLoss, Softcapped, activate, attention,
    frozen_linear, gate, head_loss, layer_norm, low_rank, map_logits, read, rms_norm, rope, softcap,
};
use crate::records::Chunk;

/// Keys and values of the tokens seen so far, one pair for each layer.
pub(crate) struct KeyValueCache {
    layers: Vec<Option<(Tensor, Tensor)>>,
    length: usize,
}

impl KeyValueCache {
    pub(crate) fn new(model: &BaseModel) -> Self {
        Self { layers: vec![None; model.config.num_hidden_layers], length: 0 }
    }
}

/// Everything a block needs besides its input and weights.
struct Context<'a> {
    config: &'a ModelConfig,
    table: &'a RopeTable,
    /// Position of the first row.
    first: usize,
    lora: Option<&'a LoraTensors>,
}

impl BaseModel {
    /// Hidden states `[t, hidden]` after the final norm. Tokens continue those already in `cache`.
    pub(crate) fn hidden_states(
        &self,
        tokens: &[u32],
        table: &RopeTable,
        lora: Option<&LoraTensors>,
        cache: Option<&mut KeyValueCache>,
    ) -> Result<Tensor, ModelError> {
        let first = cache.as_ref().map_or(0, |c| c.length);
        check_positions(first + tokens.len(), table)?;
        self.hidden_states_of(self.embed(tokens)?, table, lora, cache)
    }

    /// Embeddings `[t, hidden]` of tokens, as they are stored.
    pub(crate) fn embed(&self, tokens: &[u32]) -> Result<Tensor, ModelError> {
        let ids = Tensor::from_slice(tokens, tokens.len(), &Device::Cpu)?;
        Ok(self.plain()?.embeddings.index_select(&ids, 0)?)
    }

    /// Hidden states `[t, hidden]` after the final norm, of embeddings `[t, hidden]` as they are stored.
    pub(crate) fn hidden_states_of(
        &self,
        embeddings: Tensor,
        table: &RopeTable,
        lora: Option<&LoraTensors>,
        mut cache: Option<&mut KeyValueCache>,
    ) -> Result<Tensor, ModelError> {
        let first = cache.as_ref().map_or(0, |c| c.length);
        let length = embeddings.dim(0)?;
        check_positions(first + length, table)?;
        let mut x = self.place(embeddings, first)?;
        let context = Context { config: &self.config, table, first, lora };
        for (index, block) in self.plain()?.blocks.iter().enumerate() {
            let slot = cache.as_mut().map(|c| &mut c.layers[index]);
            x = block.forward(&x, index, &context, slot)?;
        }
        if let Some(cache) = cache {
            cache.length += length;
        }
        self.plain()?.final_norm.of(&x)
    }

    /// Embeddings times their scale, plus learned positions from `first` on.
    fn place(&self, embeddings: Tensor, first: usize) -> Result<Tensor, ModelError> {
        let length = embeddings.dim(0)?;
        let x = match self.config.embedding_scale {
            1.0 => embeddings,
            scale => (embeddings * scale)?,
        };
        let Some(positions) = &self.plain()?.positions else { return Ok(x) };
        let limit = self.config.max_position_embeddings;
        if first + length > limit {
            return Err(ModelError::SequenceTooLong { length: first + length, limit });
        }
        Ok((x + positions.narrow(0, first, length)?)?)
    }

    /// Logits `[t, vocabulary]` of hidden states `[t, hidden]`.
    pub(crate) fn logits(&self, hidden: &Tensor) -> Result<Tensor, ModelError> {
        let logits = frozen_linear(hidden, &self.plain()?.head)?;
        match self.config.logit_softcap {
            Some(cap) => Ok(((logits / cap)?.tanh()? * cap)?),
            None => Ok(logits),
        }
    }

    /// Logits `[vocabulary]` of the token after `tokens`, which continue those in `cache`.
    pub(crate) fn next_token_logits(
        &self,
        tokens: &[u32],
        table: &RopeTable,
        lora: Option<&LoraTensors>,
        cache: &mut KeyValueCache,
    ) -> Result<Vec<f32>, ModelError> {
        let hidden = self.hidden_states(tokens, table, lora, Some(cache))?;
        let last = hidden.narrow(0, tokens.len() - 1, 1)?;
        Ok(read(&self.logits(&last)?, <[f32]>::to_vec)?)
    }

    /// `weight · Σ −log p(target)` over the targets of a chunk that count, a scalar; `None` where there is none.
    pub(crate) fn weighted_loss(
        &self,
        chunk: &Chunk,
        weight: f32,
        table: &RopeTable,
        lora: Option<&LoraTensors>,
    ) -> Result<Option<Tensor>, ModelError> {
        if chunk.counted_targets() == 0 {
            return Ok(None);
        }
        let hidden = self.hidden_states(chunk.inputs(), table, lora, None)?;
        self.head_loss(&hidden, chunk, weight, &CrossEntropy).map(Some)
    }

    /// `weight · Σ loss of each target that counts`, a scalar, of hidden states `[t, hidden]` of the chunk's inputs.
    pub(crate) fn head_loss(
        &self,
        hidden: &Tensor,
        chunk: &Chunk,
        weight: f32,
        row_loss: &impl RowLoss,
    ) -> Result<Tensor, ModelError> {
        let row_loss = &Softcapped { loss: row_loss, cap: self.config.logit_softcap };
        let counted = chunk.targets().enumerate().filter_map(|(row, target)| Some((row as u32, target?)));
        let (rows, targets): (Vec<u32>, Vec<u32>) = counted.unzip();
        if rows.len() == hidden.dim(0)? {
            return Ok(head_loss(hidden, &self.plain()?.head, &targets, weight, row_loss)?);
        }
        // The other rows never reach the head: they cost nothing there, and their gradient is zero.
        let rows = Tensor::from_slice(&rows, rows.len(), &Device::Cpu)?;
        Ok(head_loss(&hidden.index_select(&rows, 0)?, &self.plain()?.head, &targets, weight, row_loss)?)
    }

    /// Embeddings `[t, hidden]`, averaged with the weights that `replace` makes of each row of logits.
    pub(crate) fn map_logits_to_embeddings(
        &self,
        hidden: &Tensor,
        replace: &mut dyn FnMut(&mut [f32], usize),
    ) -> Result<Tensor, ModelError> {
        let (width, cap) = (self.config.hidden_size, self.config.logit_softcap);
        let mut replace = |row: &mut [f32], index: usize| {
            softcap(row, cap);
            replace(row, index);
        };
        let mixed =
            map_logits(hidden, &self.plain()?.head, Some((&self.plain()?.embeddings, width)), &mut replace)?;
        Ok(Tensor::from_vec(mixed, hidden.dims2()?, &Device::Cpu)?)
    }

    /// Rotary tables for sequences of up to `positions` tokens.
    pub(crate) fn rope_table(&self, positions: usize) -> RopeTable {
        RopeTable::new(&self.config, positions)
    }
}

fn check_positions(length: usize, table: &RopeTable) -> Result<(), ModelError> {
    match table.positions() {
        limit if length > limit => Err(ModelError::SequenceTooLong { length, limit }),
        _ => Ok(()),
    }
}

impl Block {
    fn forward(
        &self,
        x: &Tensor,
        index: usize,
        context: &Context<'_>,
        cache: Option<&mut Option<(Tensor, Tensor)>>,
    ) -> Result<Tensor, ModelError> {
        let attended = self.attend(&self.input_norm.of(x)?, index, context, cache)?;
        let x = (x + optional(&self.attention_post_norm, attended)?)?;
        let fed = self.feed_forward(&self.feed_forward_norm.of(&x)?, index, context)?;
        Ok((x + optional(&self.feed_forward_post_norm, fed)?)?)
    }

    fn attend(
        &self,
        x: &Tensor,
        index: usize,
        context: &Context<'_>,
        cache: Option<&mut Option<(Tensor, Tensor)>>,
    ) -> Result<Tensor, ModelError> {
        let config = context.config;
        let (query, key) = (config.query_width(), config.key_value_width());
        let qkv = self.stage(x, Stage::QueryKeyValue, index, context)?;
        let mut q = optional(&self.query_norm, columns(&qkv, 0, query)?)?;
        let mut k = optional(&self.key_norm, columns(&qkv, query, key)?)?;
        let mut v = columns(&qkv, query + key, key)?;
        let kind = config.attention[index];
        if let Some(which) = kind.rope {
            let turn = |x| rope(x, context.table, which, context.first);
            (q, k) = (turn(&q)?, turn(&k)?);
        }
        if let Some(slot) = cache {
            if let Some((past_k, past_v)) = slot.as_ref() {
                k = Tensor::cat(&[past_k, &k], 0)?;
                v = Tensor::cat(&[past_v, &v], 0)?;
            }
            *slot = Some((k.clone(), v.clone()));
        }
        let options = AttentionOptions {
            heads: Heads {
                query: config.num_attention_heads,
                key_value: config.num_key_value_heads,
                dim: config.head_dim,
            },
            scale: config.attention_scale as f32,
            softcap: config.attention_softcap.map(|cap| cap as f32),
            window: kind.window,
        };
        self.stage(&attention(&q, &k, &v, options)?, Stage::AttentionOutput, index, context)
    }

    fn feed_forward(&self, x: &Tensor, index: usize, context: &Context<'_>) -> Result<Tensor, ModelError> {
        let config = context.config;
        let up = self.stage(x, Stage::Up, index, context)?;
        let inner = config.intermediate_size;
        let active = match config.gated {
            true => gate(&columns(&up, 0, inner)?, &columns(&up, inner, inner)?, config.activation)?,
            false => activate(&up, config.activation)?,
        };
        self.stage(&active, Stage::Down, index, context)
    }

    /// `x·Wᵀ + b`, plus `scaling · (x·Aᵀ)·Bᵀ` in the columns of each module that has an adapter. The frozen path is
    /// never scaled.
    fn stage(
        &self,
        x: &Tensor,
        stage: Stage,
        layer: usize,
        context: &Context<'_>,
    ) -> Result<Tensor, ModelError> {
        let linear = &self.stages[stage as usize];
        let mut y = frozen_linear(x, &linear.weight)?;
        if let Some(bias) = &linear.bias {
            y = y.broadcast_add(bias)?;
        }
        let Some(lora) = context.lora else { return Ok(y) };
        let modules = || context.config.stage_modules(stage);
        if modules().all(|(index, _)| lora.pair(layer, index).is_none()) {
            return Ok(y);
        }
        let updates = modules()
            .map(|(index, module)| match lora.pair(layer, index) {
                Some((a, b)) => low_rank(&(low_rank(x, a)? * lora.scaling())?, b),
                None => Tensor::zeros((x.dim(0)?, module.output), x.dtype(), x.device()),
            })
            .collect::<candle_core::Result<Vec<_>>>()?;
        Ok((y + Tensor::cat(&updates, 1)?)?)
    }
}

impl Normalisation {
    /// Normalises each stretch of as many values as there are gains: a row, or each head of a row.
    fn of(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        Ok(match &self.bias {
            Some(bias) => layer_norm(x, &self.gain, bias, self.epsilon)?,
            None => rms_norm(x, &self.gain, self.epsilon)?,
        })
    }
}

fn optional(norm: &Option<Normalisation>, x: Tensor) -> Result<Tensor, ModelError> {
    match norm {
        Some(norm) => norm.of(&x),
        None => Ok(x),
    }
}

/// `width` columns of `x` from `first` on.
fn columns(x: &Tensor, first: usize, width: usize) -> Result<Tensor, ModelError> {
    Ok(x.narrow(1, first, width)?.contiguous()?)
}
