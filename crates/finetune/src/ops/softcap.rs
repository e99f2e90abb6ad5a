//! Soft caps on logits (Bello et al. 2016; Gemma 2): `z ↦ c·tanh(z/c)`.

use super::RowLoss;

/// A loss of capped logits, as a loss of the logits before their cap; the loss itself without one.
pub(crate) struct Softcapped<'a, L> {
    pub(crate) loss: &'a L,
    pub(crate) cap: Option<f64>,
}

impl<L: RowLoss> RowLoss for Softcapped<'_, L> {
    /// `∂ℓ/∂z = ∂ℓ/∂(capped) · (1 − (capped/c)²)`
    fn replace(&self, row: &mut [f32], target: u32) -> f64 {
        let Some(cap) = self.cap else { return self.loss.replace(row, target) };
        softcap(row, self.cap);
        let slope = |capped: &f32| {
            let tanh = capped / cap as f32;
            1.0 - tanh * tanh
        };
        let slopes: Vec<f32> = row.iter().map(slope).collect();
        let loss = self.loss.replace(row, target);
        row.iter_mut().zip(slopes).for_each(|(gradient, slope)| *gradient *= slope);
        loss
    }
}

/// Caps every logit; leaves them alone without a cap.
pub(crate) fn softcap(row: &mut [f32], cap: Option<f64>) {
    let Some(cap) = cap.map(|cap| cap as f32) else { return };
    row.iter_mut().for_each(|z| *z = cap * (*z / cap).tanh());
}
