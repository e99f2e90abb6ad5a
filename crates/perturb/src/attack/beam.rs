//! The beam: the best few guesses of a record's beginning.

use super::candidates::Candidates;

/// One guess of the record so far.
#[derive(Clone)]
pub(super) struct Beam<S> {
    /// Σ ln P(y | x̂) + ln p(x̂ | x̂ before).
    pub(super) score: f64,
    pub(super) guesses: Vec<u32>,
    pub(super) state: S,
}

/// A beam made longer by one item, before the model has read it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Extension {
    pub(super) score: f64,
    pub(super) beam: usize,
    pub(super) item: u32,
}

/// The `width` best extensions, best first, one at least if there are beams and candidates; among equals the earlier beam, then the earlier candidate. `ln_context` has ln p of
/// each candidate after each beam, beam by beam.
pub(super) fn best_extensions(
    scores: &[f64],
    candidates: &Candidates,
    ln_context: &[f64],
    width: usize,
) -> Vec<Extension> {
    let mut best: Vec<Extension> = Vec::with_capacity(width + 1);
    for ((beam, &so_far), ln_context) in
        scores.iter().enumerate().zip(ln_context.chunks(candidates.items.len()))
    {
        let places = candidates.items.iter().zip(&candidates.ln_likelihood).zip(ln_context);
        for ((&item, ln_likelihood), ln_context) in places {
            let score = so_far + ln_likelihood + ln_context;
            if best.len() == width && score <= best[width - 1].score {
                continue;
            }
            let place = best.partition_point(|other| other.score >= score);
            best.insert(place, Extension { score, beam, item });
            best.truncate(width);
        }
    }
    best
}

/// The item that is likeliest at this position over all beams together: argmaxₓ Σ_b exp(score_b)·P(y | x)·p(x | b). Among equals the
/// earlier candidate, of which there must be one.
pub(super) fn likeliest_item(scores: &[f64], candidates: &Candidates, ln_context: &[f64]) -> u32 {
    let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut weights = vec![0.0; candidates.items.len()];
    for (score, ln_context) in scores.iter().zip(ln_context.chunks(candidates.items.len())) {
        let of_beam = (score - best).exp();
        for (weight, ln_context) in weights.iter_mut().zip(ln_context) {
            *weight += of_beam * ln_context.exp();
        }
    }
    let posterior = |index: &usize| candidates.ln_likelihood[*index] + f64::ln(weights[*index]);
    let first_best = |a: &usize, b: &usize| posterior(a).total_cmp(&posterior(b)).then(b.cmp(a));
    candidates.items[(0..weights.len()).max_by(first_best).unwrap_or(0)]
}

#[cfg(test)]
#[path = "beam_tests.rs"]
mod tests;
