//! The rows that one step touches: their values at its start, and their gradients.

use crate::adamw::{AdamW, Step};
use crate::matrix::Matrix;

/// Rows between the one at work and the one asked for: at some 100 ns a row, this covers the wait for main memory.
const AHEAD: usize = 4;

/// The different rows of one matrix that a step touches, each in a slot of its own.
pub(crate) struct Batch<const W: usize> {
    /// The row in each slot.
    rows: Vec<u32>,
    /// The slot of each row; right only if that slot has the row.
    slots: Vec<u32>,
    values: Vec<[f32; W]>,
    gradients: Vec<[f32; W]>,
}

impl<const W: usize> Batch<W> {
    pub(crate) fn new(rows: usize) -> Self {
        Self { rows: Vec::new(), slots: vec![0; rows], values: Vec::new(), gradients: Vec::new() }
    }

    pub(crate) fn clear(&mut self) {
        self.rows.clear();
    }

    /// The slot of `row`, a new one if it has none yet.
    #[inline(always)]
    pub(crate) fn slot(&mut self, row: u32) -> u32 {
        let slot = self.slots[row as usize];
        if self.rows.get(slot as usize) == Some(&row) {
            return slot;
        }
        let slot = self.rows.len() as u32;
        self.slots[row as usize] = slot;
        self.rows.push(row);
        slot
    }

    /// Copies the values of all rows, brought up to `now`, and sets their gradients to 0.
    #[inline(always)]
    pub(crate) fn gather<const FMA: bool>(&mut self, matrix: &Matrix<W>, adamw: &AdamW, now: &Step) {
        let count = self.rows.len().max(self.values.len());
        self.values.resize(count, [0.0; W]);
        self.gradients.resize(count, [0.0; W]);
        for (place, values) in self.values[..self.rows.len()].iter_mut().enumerate() {
            if let Some(&row) = self.rows.get(place + AHEAD) {
                matrix.prefetch(row);
            }
            let mut row = matrix.lock(self.rows[place]);
            adamw.wake::<FMA, W>(&mut row, now);
            *values = row.values;
        }
        self.gradients[..self.rows.len()].fill([0.0; W]);
    }

    /// Updates all rows by their gradients, and brings their values into the region by `clip`.
    #[inline(always)]
    pub(crate) fn scatter<const FMA: bool>(
        &self,
        matrix: &Matrix<W>,
        adamw: &AdamW,
        now: &Step,
        clip: impl Fn(&mut [f32; W]),
    ) {
        for (place, gradient) in self.gradients[..self.rows.len()].iter().enumerate() {
            if let Some(&row) = self.rows.get(place + AHEAD) {
                matrix.prefetch(row);
            }
            let mut row = matrix.lock(self.rows[place]);
            adamw.update::<FMA, W>(&mut row, gradient, now);
            clip(&mut row.values);
        }
    }

    #[inline(always)]
    pub(crate) fn values(&self, slot: u32) -> &[f32; W] {
        &self.values[slot as usize]
    }

    #[inline(always)]
    pub(crate) fn gradient(&mut self, slot: u32) -> &mut [f32; W] {
        &mut self.gradients[slot as usize]
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
