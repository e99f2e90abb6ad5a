//! The way back through a block.

use kernels::ops;

use super::{Block, Buffers, Tape, sized};
use crate::engine::packed::PackedNorm;
use crate::model::architecture::Stage;

impl Block<'_> {
    /// Replaces dx, the gradient of the block's output, by that of its input, and adds the adapters' gradients to `gradient`;
    /// stops, with dx undefined, at the first stage below which nothing is trained. The tape is used up.
    pub(crate) fn backward(&self, dx: &mut [f32], tape: &mut Tape, b: &mut Buffers, gradient: &mut [f32]) {
        if self.feed_forward_backward(dx, tape, b, gradient) {
            self.attention_backward(dx, tape, b, gradient);
        }
    }

    /// Whether the way back goes on below this half.
    fn feed_forward_backward(
        &self,
        dx: &mut [f32],
        tape: &mut Tape,
        b: &mut Buffers,
        gradient: &mut [f32],
    ) -> bool {
        let (config, isa) = (&self.model.config, self.model.format.isa);
        let t = dx.len() / config.hidden_size;
        let (up, down) = (Stage::Up as usize, Stage::Down as usize);
        let norm = self.frozen.feed_forward_post_norm.as_ref();
        let dy = self.through_post_norm(norm, dx, &tape.feed_forward_output, &mut b.normed);
        if !self.adapters[down].is_empty() {
            self.activate(&tape.inner, sized(&mut b.wide, t * config.intermediate_size));
        }
        let d_inner = sized(&mut b.d_rows, t * config.intermediate_size);
        let wanted = self.lowest != Some(down);
        self.adapters[down].backward(
            isa,
            &self.frozen.stages[down],
            &b.wide,
            &tape.h[down],
            dy,
            wanted.then_some(&mut *d_inner),
            gradient,
            &mut b.stage,
        );
        if !wanted {
            return false;
        }
        match config.gated {
            true => {
                let (activation, width) = (self.model.config.activation, config.intermediate_size);
                ops::gate_backward(isa, activation, &mut tape.inner, width, d_inner);
            }
            false => ops::activate_backward(isa, self.model.config.activation, &mut tape.inner, d_inner),
        }
        if !self.adapters[up].is_empty() {
            self.frozen.feed_forward_norm.forward(isa, &tape.middle, sized(&mut b.normed, dx.len()));
        }
        let d_normed = sized(&mut b.narrow, dx.len());
        let wanted = self.lowest != Some(up);
        self.adapters[up].backward(
            isa,
            &self.frozen.stages[up],
            &b.normed,
            &tape.h[up],
            &tape.inner,
            wanted.then_some(&mut *d_normed),
            gradient,
            &mut b.stage,
        );
        if wanted {
            self.frozen.feed_forward_norm.backward(isa, &tape.middle, d_normed, dx);
        }
        wanted
    }

    fn attention_backward(&self, dx: &mut [f32], tape: &mut Tape, b: &mut Buffers, gradient: &mut [f32]) {
        let (config, isa) = (&self.model.config, self.model.format.isa);
        let t = dx.len() / config.hidden_size;
        let (rows, output) = (Stage::QueryKeyValue as usize, Stage::AttentionOutput as usize);
        let norm = self.frozen.attention_post_norm.as_ref();
        let dy = self.through_post_norm(norm, dx, &tape.attention_output, &mut b.normed);
        let d_attended = sized(&mut b.narrow, t * config.query_width());
        let wanted = self.lowest != Some(output);
        self.adapters[output].backward(
            isa,
            &self.frozen.stages[output],
            &tape.attended,
            &tape.h[output],
            dy,
            wanted.then_some(&mut *d_attended),
            gradient,
            &mut b.stage,
        );
        if !wanted {
            return;
        }
        let d_rows = sized(&mut b.d_rows, tape.rows.len());
        let saved = (tape.attended.as_slice(), tape.log_sums.as_slice());
        self.attention.backward(&tape.rows, saved, d_attended, d_rows, &mut b.attention);
        self.unplace(tape, d_rows, &mut b.wide);
        if !self.adapters[rows].is_empty() {
            self.frozen.input_norm.forward(isa, &tape.x, sized(&mut b.normed, dx.len()));
        }
        let d_normed = sized(&mut b.narrow, dx.len());
        let wanted = self.lowest != Some(rows);
        self.adapters[rows].backward(
            isa,
            &self.frozen.stages[rows],
            &b.normed,
            &tape.h[rows],
            d_rows,
            wanted.then_some(&mut *d_normed),
            gradient,
            &mut b.stage,
        );
        if wanted {
            self.frozen.input_norm.backward(isa, &tape.x, d_normed, dx);
        }
    }

    /// The way back through [`place`](Self::place), in place.
    fn unplace(&self, tape: &Tape, d_rows: &mut [f32], scratch: &mut Vec<f32>) {
        let (config, isa) = (&self.model.config, self.model.format.isa);
        let (q, kv) = (config.query_width(), config.key_value_width());
        let width = q + 2 * kv;
        if let Some(rotary) = self.rotary {
            rotary.turn(isa, d_rows, width, self.turned_heads(), config.head_dim, -1.0);
        }
        if let (Some(query), Some(key)) = (&self.frozen.query_norm, &self.frozen.key_norm) {
            for (row, unnormed) in d_rows.chunks_exact_mut(width).zip(tape.unnormed.chunks_exact(q + kv)) {
                let d = sized(scratch, q + kv);
                d.fill(0.0);
                query.backward(isa, &unnormed[..q], &row[..q], &mut d[..q]);
                key.backward(isa, &unnormed[q..], &row[q..q + kv], &mut d[q..]);
                row[..q + kv].copy_from_slice(d);
            }
        }
    }

    /// The gradient of a half's output before its norm: dx itself where it has none.
    fn through_post_norm<'b>(
        &self,
        norm: Option<&PackedNorm>,
        dx: &'b [f32],
        kept: &[f32],
        scratch: &'b mut Vec<f32>,
    ) -> &'b [f32] {
        let Some(norm) = norm else { return dx };
        let dy = sized(scratch, dx.len());
        dy.fill(0.0);
        norm.backward(self.model.format.isa, kept, dx, dy);
        dy
    }
}
