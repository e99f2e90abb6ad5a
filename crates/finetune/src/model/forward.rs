//! The forward pass over one sequence `[t]`, with or without LoRA, with or without a key-value cache.
//!
//! There is no batch dimension: a record's gradient is the gradient of its own sequence, so each thread runs one
//! sequence and nothing is padded.

use candle_core::{Device, Tensor};

use super::{BaseModel, Layer, ModelError, Projection};
use crate::lora::{LoraTensors, TargetModule};
use crate::ops::{
    Heads, RopeTable, attention, cross_entropy, frozen_linear, low_rank, read, rms_norm, rope, swiglu,
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
        mut cache: Option<&mut KeyValueCache>,
    ) -> Result<Tensor, ModelError> {
        let first = cache.as_ref().map_or(0, |c| c.length);
        if first + tokens.len() > table.positions() {
            return Err(ModelError::SequenceTooLong {
                length: first + tokens.len(),
                limit: table.positions(),
            });
        }
        let config = &self.config;
        let heads = Heads {
            query: config.num_attention_heads,
            key_value: config.num_key_value_heads,
            dim: config.head_dim,
        };
        let context = Context { heads, epsilon: config.rms_norm_eps, table, first, lora };
        let ids = Tensor::from_slice(tokens, tokens.len(), &Device::Cpu)?;
        let mut x = self.embeddings.index_select(&ids, 0)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let slot = cache.as_mut().map(|c| &mut c.layers[index]);
            x = layer.forward(&x, index, &context, slot)?;
        }
        if let Some(cache) = cache {
            cache.length += tokens.len();
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
        Ok(Some(cross_entropy(&hidden, &self.head, &sequence[1..], weight)?))
    }

    /// Rotary table for sequences of up to `positions` tokens.
    pub(crate) fn rope_table(&self, positions: usize) -> RopeTable {
        RopeTable::new(&self.config, positions)
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
