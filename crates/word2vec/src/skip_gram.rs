//! One step of skip-gram with negative sampling (Mikolov et al. 2013b, equation 4).
//!
//! A step takes some words of the text. Each of those that sub-sampling leaves is a centre: with its contexts c (window drawn
//! from 1 to the largest) as inputs, and the centre w and negatives n as outputs, the step lowers
//!
//! ```text
//! Σ_c [ −ln σ(o_w · i_c) − Σ_n ln σ(−o_n · i_c) ]
//! ```
//!
//! All contexts of a centre share its negatives, so that a centre is a product of two small matrices (Ji et al. 2016,
//! "Parallelizing Word2Vec in Shared and Distributed Memory", section 3). All gradients are taken at the values from before the
//! step; then each touched row gets one AdamW update.

use std::ops::Range;

use crate::adamw::{AdamW, Step};
use crate::batch::Batch;
use crate::corpus::LINE_END;
use crate::lanes::{LANES, add_scaled, dot, exp};
use crate::matrix::Matrix;
use crate::random::Stream;
use crate::sampling::Negatives;
use crate::{Config, clip};

/// The matrices: the published vectors and their partners.
pub(crate) struct Model<const W: usize> {
    pub(crate) inputs: Matrix<W>,
    pub(crate) outputs: Matrix<W>,
}

/// What all steps of a run share.
pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) adamw: AdamW,
    pub(crate) keep: Vec<u64>,
    pub(crate) negatives: Negatives,
}

/// One thread's working memory.
pub(crate) struct Scratch<const W: usize> {
    inputs: Batch<W>,
    outputs: Batch<W>,
    centres: Vec<Centre>,
}

/// A word that sub-sampling left, or the end of a line.
struct Centre {
    input: u32,
    /// Slots of the word itself and of its negatives; a negative that is the word itself does not count.
    outputs: [u32; LANES],
    reach: usize,
    line_end: bool,
}

impl<const W: usize> Scratch<W> {
    pub(crate) fn new(words: usize) -> Self {
        Self { inputs: Batch::new(words), outputs: Batch::new(words), centres: Vec::new() }
    }

    /// Does step `now` with the words `ids`.
    #[inline(always)]
    pub(crate) fn step<const FMA: bool>(&mut self, model: &Model<W>, plan: &Plan, now: u32, ids: &[u32]) {
        self.sample(plan, ids, &mut Stream::new(plan.config.seed, u64::from(now)));
        let now: Step = plan.adamw.step(now);
        self.inputs.gather::<FMA>(&model.inputs, &plan.adamw, &now);
        self.outputs.gather::<FMA>(&model.outputs, &plan.adamw, &now);
        for centre in 0..self.centres.len() {
            self.learn::<FMA>(centre, 1 + plan.config.negative);
        }
        let region = plan.config.clip;
        self.inputs
            .scatter::<FMA>(&model.inputs, &plan.adamw, &now, |row| clip::apply::<FMA, W>(region, row));
        self.outputs.scatter::<FMA>(&model.outputs, &plan.adamw, &now, |_| ());
    }

    /// Draws the centres, their reaches and their negatives.
    #[inline(always)]
    fn sample(&mut self, plan: &Plan, ids: &[u32], random: &mut Stream) {
        self.inputs.clear();
        self.outputs.clear();
        self.centres.clear();
        for &id in ids {
            let mut centre = Centre { input: 0, outputs: [0; LANES], reach: 0, line_end: id == LINE_END };
            if !centre.line_end {
                if random.next() >> 32 >= plan.keep[id as usize] {
                    continue;
                }
                centre.reach = 1 + random.below(plan.config.window) as usize;
                centre.input = self.inputs.slot(id);
                centre.outputs[0] = self.outputs.slot(id);
                for slot in &mut centre.outputs[1..=plan.config.negative] {
                    *slot = self.outputs.slot(plan.negatives.draw(random));
                }
            }
            self.centres.push(centre);
        }
    }

    /// The centres around `place` that are its contexts, itself included.
    #[inline(always)]
    fn contexts(&self, place: usize) -> Range<usize> {
        let reach = self.centres[place].reach;
        let before = self.centres[..place].iter().rev().take(reach).take_while(|c| !c.line_end).count();
        let after = self.centres[place + 1..].iter().take(reach).take_while(|c| !c.line_end).count();
        place - before..place + after + 1
    }

    /// Adds the gradients of one centre. `count` is the number of outputs.
    #[inline(always)]
    fn learn<const FMA: bool>(&mut self, place: usize, count: usize) {
        if self.centres[place].line_end {
            return;
        }
        let slots = self.centres[place].outputs;
        for context in self.contexts(place) {
            if context == place {
                continue;
            }
            let slot = self.centres[context].input;
            let input = *self.inputs.values(slot);
            let mut logits = [0.0; LANES];
            for (logit, &output) in logits.iter_mut().zip(&slots[..count]) {
                *logit = dot::<FMA>(&input, self.outputs.values(output));
            }
            let errors = errors::<FMA>(&logits, &slots);
            let mut gradient = *self.inputs.gradient(slot);
            for (&error, &output) in errors.iter().zip(&slots[..count]) {
                add_scaled::<FMA, W>(&mut gradient, error, self.outputs.values(output));
                add_scaled::<FMA, W>(self.outputs.gradient(output), error, &input);
            }
            *self.inputs.gradient(slot) = gradient;
        }
    }
}

/// σ(logit) − label, the loss's derivative by each logit: the first output is true, the others are false unless they are the
/// same word.
#[inline(always)]
fn errors<const FMA: bool>(logits: &[f32; LANES], slots: &[u32; LANES]) -> [f32; LANES] {
    let mut errors = exp::<FMA, LANES>(logits.map(|logit| -logit)).map(|power| 1.0 / (1.0 + power));
    errors[0] -= 1.0;
    for lane in 1..LANES {
        if slots[lane] == slots[0] {
            errors[lane] = 0.0;
        }
    }
    errors
}

#[cfg(test)]
#[path = "skip_gram_tests.rs"]
mod tests;
