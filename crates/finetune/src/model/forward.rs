//! The forward pass over one sequence `[t]`, with or without LoRA, with or without a key-value cache.
//!
//! There is no batch dimension: a record's gradient is the gradient of its own sequence, so each thread runs one
//! sequence and nothing is padded.

use candle_core::{Device, Tensor};

use super::{BaseModel, Layer, ModelError, Projection};
use crate::lora::{LoraTensors, TargetModule};
use crate::ops::{
    CrossEntropy, Heads, RopeTable, RowLoss, attention, frozen_linear, head_loss, low_rank, map_logits, read,
    rms_norm, rope, swiglu,
};

/// Keys and values of the tokens seen so far, one pair for each layer.
pub(crate) struct KeyValueCache {
    layers: Vec<Option<(Tensor, Tensor)>>,
    length: usize,
}

impl KeyValueCache {
    pub(crate) fn new(model: &BaseModel) -> Self {
        Self { layers: vec![None; model.layers.len()], length: 0 }
    }
}

/// Everything a layer needs besides its input and weights.
struct Context<'a> {
    heads: Heads,
    epsilon: f64,
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

    /// Embeddings `[t, hidden]` of tokens.
    pub(crate) fn embed(&self, tokens: &[u32]) -> Result<Tensor, ModelError> {
        let ids = Tensor::from_slice(tokens, tokens.len(), &Device::Cpu)?;
        Ok(self.embeddings.index_select(&ids, 0)?)
    }

    /// Hidden states `[t, hidden]` after the final norm, of embeddings `[t, hidden]`.
    pub(crate) fn hidden_states_of(
        &self,
        mut x: Tensor,
        table: &RopeTable,
        lora: Option<&LoraTensors>,
        mut cache: Option<&mut KeyValueCache>,
    ) -> Result<Tensor, ModelError> {
        let first = cache.as_ref().map_or(0, |c| c.length);
        let length = x.dim(0)?;
        check_positions(first + length, table)?;
        let config = &self.config;
        let heads = Heads {
            query: config.num_attention_heads,
            key_value: config.num_key_value_heads,
            dim: config.head_dim,
        };
        let context = Context { heads, epsilon: config.rms_norm_eps, table, first, lora };
        for (index, layer) in self.layers.iter().enumerate() {
            let slot = cache.as_mut().map(|c| &mut c.layers[index]);
            x = layer.forward(&x, index, &context, slot)?;
        }
        if let Some(cache) = cache {
            cache.length += length;
        }
        Ok(rms_norm(&x, &self.final_norm, context.epsilon)?)
    }

    /// Logits `[t, vocabulary]` of hidden states `[t, hidden]`.
    pub(crate) fn logits(&self, hidden: &Tensor) -> Result<Tensor, ModelError> {
        Ok(frozen_linear(hidden, &self.head)?)
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

    /// `weight · Σ −log p(next token)` over a sequence, a scalar; `None` where there is no next token.
    pub(crate) fn weighted_loss(
        &self,
        sequence: &[u32],
        weight: f32,
        table: &RopeTable,
        lora: Option<&LoraTensors>,
    ) -> Result<Option<Tensor>, ModelError> {
        let [inputs @ .., _] = sequence else { return Ok(None) };
        if inputs.is_empty() {
            return Ok(None);
        }
        let hidden = self.hidden_states(inputs, table, lora, None)?;
        Ok(Some(head_loss(&hidden, &self.head, &sequence[1..], weight, &CrossEntropy)?))
    }

    /// `weight · Σ loss of each target`, a scalar, of hidden states `[t, hidden]`.
    pub(crate) fn head_loss(
        &self,
        hidden: &Tensor,
        targets: &[u32],
        weight: f32,
        row_loss: &impl RowLoss,
    ) -> Result<Tensor, ModelError> {
        Ok(head_loss(hidden, &self.head, targets, weight, row_loss)?)
    }

    /// Embeddings `[t, hidden]`, averaged with the weights that `replace` makes of each row of logits.
    pub(crate) fn map_logits_to_embeddings(
        &self,
        hidden: &Tensor,
        replace: &mut dyn FnMut(&mut [f32], usize),
    ) -> Result<Tensor, ModelError> {
        let width = self.config.hidden_size;
        let mixed = map_logits(hidden, &self.head, Some((&self.embeddings, width)), replace)?;
        Ok(Tensor::from_vec(mixed, hidden.dims2()?, &Device::Cpu)?)
    }

    /// Rotary table for sequences of up to `positions` tokens.
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

impl Layer {
    fn forward(
        &self,
        x: &Tensor,
        index: usize,
        context: &Context<'_>,
        cache: Option<&mut Option<(Tensor, Tensor)>>,
    ) -> Result<Tensor, ModelError> {
        let normed = rms_norm(x, &self.input_norm, context.epsilon)?;
        let x = (x + self.attend(&normed, index, context, cache)?)?;
        let normed = rms_norm(&x, &self.post_attention_norm, context.epsilon)?;
        Ok((&x + self.feed_forward(&normed, index, context)?)?)
    }

    fn attend(
        &self,
        x: &Tensor,
        index: usize,
        context: &Context<'_>,
        cache: Option<&mut Option<(Tensor, Tensor)>>,
    ) -> Result<Tensor, ModelError> {
        let project = |module| self.project(x, module, index, context);
        let q = rope(&project(TargetModule::QProj)?, context.table, context.first)?;
        let mut k = rope(&project(TargetModule::KProj)?, context.table, context.first)?;
        let mut v = project(TargetModule::VProj)?;
        if let Some(slot) = cache {
            if let Some((past_k, past_v)) = slot.as_ref() {
                k = Tensor::cat(&[past_k, &k], 0)?;
                v = Tensor::cat(&[past_v, &v], 0)?;
            }
            *slot = Some((k.clone(), v.clone()));
        }
        self.project(&attention(&q, &k, &v, context.heads)?, TargetModule::OProj, index, context)
    }

    fn feed_forward(&self, x: &Tensor, index: usize, context: &Context<'_>) -> Result<Tensor, ModelError> {
        let gate = self.project(x, TargetModule::GateProj, index, context)?;
        let up = self.project(x, TargetModule::UpProj, index, context)?;
        self.project(&swiglu(&gate, &up)?, TargetModule::DownProj, index, context)
    }

    /// `x·Wᵀ + b`, plus `alpha/rank · (x·Aᵀ)·Bᵀ` where the module has an adapter. The frozen path is never scaled.
    fn project(
        &self,
        x: &Tensor,
        module: TargetModule,
        layer: usize,
        context: &Context<'_>,
    ) -> Result<Tensor, ModelError> {
        let Projection { weight, bias } = &self.projections[module as usize];
        let mut y = frozen_linear(x, weight)?;
        if let Some(bias) = bias {
            y = y.broadcast_add(bias)?;
        }
        match context.lora.and_then(|lora| lora.pair(layer, module).map(|pair| (pair, lora.scaling()))) {
            None => Ok(y),
            Some(((a, b), scaling)) => {
                let update = low_rank(&(low_rank(x, a)? * scaling)?, b)?;
                Ok((y + update)?)
            }
        }
    }
}
