//! Runs steps on all threads, for the width and the processor at hand.
//!
//! Rows are padded to a power of two of [`LANES`], so that every loop over a row has a length the compiler knows. Threads take
//! short runs of steps off a counter; with one thread, steps run in order and the same seed gives the same bits.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::Config;
use crate::adamw::Row;
use crate::clip;
use crate::corpus::Corpus;
use crate::matrix::Matrix;
use crate::random::Stream;
use crate::skip_gram::{Model, Plan, Scratch};

/// Steps that a thread takes at once: some milliseconds of work.
const STEPS_AT_ONCE: usize = 32;

/// A model of some width.
pub(crate) trait Engine: Send + Sync {
    /// Does the steps `steps` of the run, numbered from 0; calls `progress` with the number done every now and then.
    fn run(&self, corpus: &Corpus, plan: &Plan, steps: Range<usize>, progress: &(dyn Fn(u64) + Sync));

    /// Applies what sleeping input rows still owe after `steps` steps, in place.
    fn settle(&self, plan: &Plan, steps: usize);

    /// Calls `visit` for each row, inputs first, with its values, moments and last step.
    fn rows(&self, visit: &mut dyn FnMut(RowParts<'_>));

    /// Puts back one row as [`rows`](Self::rows) counted them.
    fn restore(&self, plan: &Plan, place: usize, parts: RowParts<'_>);
}

/// The first `dim` values of a row and of its moments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowParts<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) first: &'a [f32],
    pub(crate) second: &'a [f32],
    pub(crate) step: u32,
}

/// Steps of one epoch.
pub(crate) fn steps_per_epoch(config: &Config, corpus: &Corpus) -> usize {
    corpus.ids().len().div_ceil(config.step_words)
}

/// A new model with random inputs and zero outputs.
pub(crate) fn new(plan: &Plan, words: usize) -> Box<dyn Engine> {
    match plan.config.dim {
        ..=16 => Box::new(Padded::<16>::new(plan, words)),
        17..=32 => Box::new(Padded::<32>::new(plan, words)),
        33..=64 => Box::new(Padded::<64>::new(plan, words)),
        65..=128 => Box::new(Padded::<128>::new(plan, words)),
        129..=256 => Box::new(Padded::<256>::new(plan, words)),
        _ => Box::new(Padded::<512>::new(plan, words)),
    }
}

struct Padded<const W: usize> {
    model: Model<W>,
    dim: usize,
}

impl<const W: usize> Padded<W> {
    fn new(plan: &Plan, words: usize) -> Self {
        let dim = plan.config.dim;
        // Step numbers start at 1, so stream 0 is the start values' own.
        let mut random = Stream::new(plan.config.seed, 0);
        let inputs = Matrix::random(words, dim, 0.5 / dim as f32, &mut random, &plan.adamw);
        let outputs = Matrix::random(words, dim, 0.0, &mut random, &plan.adamw);
        Self { model: Model { inputs, outputs }, dim }
    }

    /// Takes runs of steps off `next` until there are no more.
    #[inline(always)]
    fn work<const FMA: bool>(&self, work: &Work<'_>) {
        let ids = work.corpus.ids();
        let size = work.plan.config.step_words;
        let per_epoch = steps_per_epoch(&work.plan.config, work.corpus);
        let mut scratch = Scratch::new(self.model.inputs.len());
        loop {
            let first = work.next.fetch_add(STEPS_AT_ONCE, Ordering::Relaxed);
            let steps = first..(first + STEPS_AT_ONCE).min(work.end);
            if steps.is_empty() {
                return;
            }
            let count = steps.len() as u64;
            for step in steps {
                let start = step % per_epoch * size;
                let ids = &ids[start..(start + size).min(ids.len())];
                scratch.step::<FMA>(&self.model, work.plan, step as u32 + 1, ids);
            }
            (work.progress)(work.done.fetch_add(count, Ordering::Relaxed) + count);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
    fn work_avx512(&self, work: &Work<'_>) {
        self.work::<true>(work);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn work_avx2(&self, work: &Work<'_>) {
        self.work::<true>(work);
    }

    fn work_widest(&self, work: &Work<'_>) {
        #[cfg(target_arch = "x86_64")]
        {
            let fused = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let wide = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl");
            if fused && wide {
                // SAFETY: the processor has all the features that the function is compiled for, as the lines above asked it.
                return unsafe { self.work_avx512(work) };
            }
            if fused {
                // SAFETY: as above, for these two features.
                return unsafe { self.work_avx2(work) };
            }
        }
        self.work::<false>(work);
    }

    fn matrix(&self, place: usize) -> (&Matrix<W>, u32) {
        let words = self.model.inputs.len();
        let matrix = if place < words { &self.model.inputs } else { &self.model.outputs };
        (matrix, (place % words) as u32)
    }
}

/// What the threads of one call share.
struct Work<'a> {
    corpus: &'a Corpus,
    plan: &'a Plan,
    next: AtomicUsize,
    end: usize,
    done: AtomicU64,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl<const W: usize> Engine for Padded<W> {
    fn run(&self, corpus: &Corpus, plan: &Plan, steps: Range<usize>, progress: &(dyn Fn(u64) + Sync)) {
        let next = AtomicUsize::new(steps.start);
        let work = Work { corpus, plan, next, end: steps.end, done: AtomicU64::new(0), progress };
        std::thread::scope(|scope| {
            for _ in 1..plan.config.threads {
                scope.spawn(|| self.work_widest(&work));
            }
            self.work_widest(&work);
        });
    }

    fn settle(&self, plan: &Plan, steps: usize) {
        let now = plan.adamw.step(steps as u32);
        for place in 0..self.model.inputs.len() as u32 {
            let mut row = self.model.inputs.lock(place);
            plan.adamw.wake::<false, W>(&mut row, &now);
            clip::apply::<false, W>(plan.config.clip, &mut row.values);
        }
    }

    fn rows(&self, visit: &mut dyn FnMut(RowParts<'_>)) {
        for place in 0..2 * self.model.inputs.len() {
            let (matrix, row) = self.matrix(place);
            let Row { values, first, second, last } = &*matrix.lock(row);
            let dim = ..self.dim;
            visit(RowParts {
                values: &values[dim],
                first: &first[dim],
                second: &second[dim],
                step: last.number,
            });
        }
    }

    fn restore(&self, plan: &Plan, place: usize, parts: RowParts<'_>) {
        let (matrix, row) = self.matrix(place);
        let mut row = matrix.lock(row);
        row.values[..self.dim].copy_from_slice(parts.values);
        row.first[..self.dim].copy_from_slice(parts.first);
        row.second[..self.dim].copy_from_slice(parts.second);
        row.last = plan.adamw.step(parts.step);
    }
}
