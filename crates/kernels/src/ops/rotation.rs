//! Rotary position embedding (Su et al. 2021), half-split.

use crate::isa::for_each_isa;

for_each_isa! {
    /// Turns `heads` heads of `head_dim` values at the start of each row, in place; rows start `stride` values apart.
    ///
    /// Row r uses `cos` and `sin [rows, n]` of its position; channel `i < n` of a head pairs with channel `i + n`, those from
    /// 2n on are left alone. `direction` 1 turns, −1 turns back, which is also the gradient of turning.
    ///
    /// # Panics
    /// If a head is shorter than 2n or a row does not fit.
    pub fn rotate(
        x: &mut [f32],
        stride: usize,
        heads: usize,
        head_dim: usize,
        cos: &[f32],
        sin: &[f32],
        n: usize,
        direction: f32,
    ) {
        assert!(2 * n <= head_dim && heads * head_dim <= stride, "heads do not fit a row");
        for ((row, cos), sin) in x.chunks_mut(stride).zip(cos.chunks_exact(n)).zip(sin.chunks_exact(n)) {
            for head in row[..heads * head_dim].chunks_exact_mut(head_dim) {
                let (left, right) = head[..2 * n].split_at_mut(n);
                for i in 0..n {
                    let (a, b, s) = (left[i], right[i], direction * sin[i]);
                    left[i] = a.mul_add(cos[i], -b * s);
                    right[i] = b.mul_add(cos[i], a * s);
                }
            }
        }
    }
}
