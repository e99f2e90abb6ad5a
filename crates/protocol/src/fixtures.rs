//! A plan, a job and a certificate, for tests.

use crate::certificate::{CERTIFICATE_VERSION, Certificate, Hashes, LocalGuarantee, TrainingGuarantee};
use crate::hyperparameters::{DpLora, DpLoraRequest};
use crate::id::{FileId, JobId, ModelId, TenantId};
use crate::state::{JobSpec, JobState, Protection};
use dp::{Budget, Clipping, Delta, DpSgdPlan, Epsilon, PrivacyUnit, SecretSeed};
use std::sync::OnceLock;

pub(crate) fn settings(loss_curve: bool) -> DpLora {
    let request = DpLoraRequest { steps: Some(10), loss_curve: Some(loss_curve), ..DpLoraRequest::default() };
    request.validate().unwrap()
}

pub(crate) fn protection(loss_curve: bool) -> Protection {
    // Calibrated once: property tests ask for it again and again.
    static PLANS: [OnceLock<DpSgdPlan>; 2] = [const { OnceLock::new() }; 2];
    let plan = PLANS[usize::from(loss_curve)]
        .get_or_init(|| settings(loss_curve).plan(1024, PrivacyUnit::Line).unwrap());
    Protection {
        plan: plan.clone(),
        dataset: "ab".repeat(32),
        budget: Budget { epsilon: Epsilon::try_from(20.0).unwrap(), delta: Delta::try_from(1e-5).unwrap() },
    }
}

/// A queued job of ten steps.
pub(crate) fn queued_job(loss_curve: bool) -> JobState {
    let spec = JobSpec {
        model: ModelId::parse("demo").unwrap(),
        training_file: FileId::from_entropy([1; 12]),
        suffix: None,
        dp_lora: settings(loss_curve),
        metadata: Default::default(),
    };
    JobState::new(
        JobId::from_entropy([2; 12]),
        TenantId::parse("acme").unwrap(),
        spec,
        protection(loss_curve),
        SecretSeed::from_bytes([7; 32]),
        100,
    )
}

pub(crate) fn certificate(local: Option<LocalGuarantee>) -> Certificate {
    let protection = protection(false);
    Certificate {
        version: CERTIFICATE_VERSION,
        created_at: 1_790_000_000,
        job: Some(JobId::from_entropy([1; 12])),
        base_model: "demo".into(),
        training: TrainingGuarantee::of(&protection.plan, Clipping::Flat, "0.1.0"),
        local,
        dataset_budget: Some(protection.budget),
        hyperparameters: settings(false),
        hashes: Hashes {
            training_file: "00".into(),
            base_model: Default::default(),
            adapter: Default::default(),
            initial_adapter: Default::default(),
        },
        code_version: "0.1.0".into(),
        signature: None,
    }
}

pub(crate) fn local_guarantee() -> LocalGuarantee {
    LocalGuarantee {
        notion: "pure-epsilon-ldp".into(),
        delta: None,
        unit: "token".into(),
        mechanism: serde_json::json!({"type": "set-rr", "epsilon": 8.0, "neighbours": 16}),
        epsilon_per_token: 8.0,
        epsilon_of_longest_record: 800.0,
        max_tokens_in_a_record: 100,
        tokens: 5000,
        domain_size: 4096,
        domain_sha256: "11".into(),
        neighbour_table_sha256: None,
        embedding_sha256: None,
    }
}
