//! A trainer whose every step shows in its result: a chain of hashes over the job's seed and the steps made. A step that is left out, made twice, or
//! made from another checkpoint gives another adapter.

use crate::{chance, elsewhere, pick};
use bytes::Bytes;
use futures::TryStreamExt;
use jobs::{Shards, SliceBudget, SliceError, SliceResult, SliceRunner};
use protocol::state::{JobState, LossPoint, Progress, Report};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Files of an adapter; the first holds the end of the chain.
pub(crate) const ADAPTER: &str = "adapter_model.safetensors";

/// See the module's head.
#[derive(Default)]
pub(crate) struct SimTrainer {
    /// Leases that a slice was run under, by job and epoch.
    held: Mutex<BTreeSet<(String, u64)>>,
    /// Of a thousand slices, how many fail for now.
    pub(crate) faults: AtomicU32,
    /// While true, jobs with the suffix `unlucky` always fail for now.
    pub(crate) outage: AtomicBool,
}

/// The checkpoint after `step` steps of `job`.
pub(crate) fn flawless(job: &JobState, step: u64) -> Vec<u8> {
    let mut chain = first(job);
    for number in 0..step {
        chain = next(&chain, number);
    }
    written(step, &chain)
}

fn first(job: &JobState) -> String {
    hex::encode(Sha256::digest(serde_json::to_vec(&job.noise_seed).expect("a seed is plain data")))
}

fn next(chain: &str, step: u64) -> String {
    hex::encode(Sha256::digest(format!("{chain} {step}")))
}

fn written(step: u64, chain: &str) -> Vec<u8> {
    format!("{step} {chain}").into_bytes()
}

fn read(job: &JobState, checkpoint: Option<&Bytes>) -> (u64, String) {
    let Some(bytes) = checkpoint else { return (0, first(job)) };
    let text = std::str::from_utf8(bytes).expect("our own checkpoint");
    let (step, chain) = text.split_once(' ').expect("our own checkpoint");
    (step.parse().expect("our own checkpoint"), chain.to_owned())
}

fn shard_of(chain: &str, shard: u32) -> Vec<u8> {
    format!("{chain} shard {shard}").into_bytes()
}

fn ended(job: &JobState, from: u64, step: u64, chain: &str) -> SliceResult {
    let total_steps = job.protection.plan.steps();
    let progress = Progress { step, total_steps, epsilon_spent: step as f64, ..Progress::default() };
    let shown = job.protection.plan.loss_noise_multiplier().is_some();
    let point = |step: u64| LossPoint { step, steps: 1, loss: step as f64 };
    let losses = if shown { (from + 1..=step).map(point).collect() } else { Vec::new() };
    let report = Report { progress, losses };
    let checkpoint = written(step, chain);
    if step < total_steps {
        return SliceResult::Paused { checkpoint, report };
    }
    let files = vec![(ADAPTER.to_owned(), checkpoint), ("privacy.json".to_owned(), b"{}".to_vec())];
    SliceResult::Finished { files, report }
}

impl SimTrainer {
    fn fails(&self, job: &JobState) -> bool {
        let unlucky = job.spec.suffix.as_deref() == Some("unlucky") && self.outage.load(Ordering::Relaxed);
        unlucky || chance(self.faults.load(Ordering::Relaxed))
    }
}

#[async_trait::async_trait]
impl SliceRunner for SimTrainer {
    async fn run(
        &self,
        job: &JobState,
        checkpoint: Option<Bytes>,
        budget: SliceBudget,
    ) -> Result<SliceResult, SliceError> {
        let lease = (job.id.to_string(), job.lease.epoch);
        let fresh = self.held.lock().expect("one thread").insert(lease);
        assert!(fresh, "epoch {} of {} is held by two workers", job.lease.epoch, job.id);
        let (from, mut chain) = read(job, checkpoint.as_ref());
        let end = job.protection.plan.steps().min(from + 1 + pick(3) as u64);
        for step in from..end {
            chain = next(&chain, step);
            let (SliceResult::Paused { report, .. } | SliceResult::Finished { report, .. }) =
                ended(job, from, step + 1, &chain);
            budget.live.set(report);
            elsewhere().await;
            if budget.stop.is_raised() {
                return Ok(ended(job, from, step + 1, &chain));
            }
        }
        if self.fails(job) {
            return Err(SliceError::Retryable("an injected fault".into()));
        }
        Ok(ended(job, from, end, &chain))
    }

    async fn shard(
        &self,
        job: &JobState,
        checkpoint: Option<Bytes>,
        shard: u32,
        _: SliceBudget,
    ) -> Result<Vec<u8>, SliceError> {
        let (_, chain) = read(job, checkpoint.as_ref());
        for _ in 0..pick(3) {
            elsewhere().await;
        }
        if self.fails(job) {
            return Err(SliceError::Retryable("an injected fault".into()));
        }
        Ok(shard_of(&chain, shard))
    }

    async fn reduce(
        &self,
        job: &JobState,
        checkpoint: Option<Bytes>,
        shards: Shards<'_>,
    ) -> Result<SliceResult, SliceError> {
        let (step, chain) = read(job, checkpoint.as_ref());
        let wanted: Vec<_> = (0..job.spec.dp_lora.workers).map(|shard| shard_of(&chain, shard)).collect();
        let shards: Vec<_> = shards.try_collect().await?;
        assert_eq!(shards, wanted, "a step of {} was made from other shards than its own", job.id);
        elsewhere().await;
        Ok(ended(job, step, step + 1, &next(&chain, step)))
    }
}
