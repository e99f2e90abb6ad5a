//! A new job's privacy plan, and its charge to the account of its training file.
//!
//! The plan is made once, here, from the settings and the number of records, and everything later works with this very plan: the worker, the
//! certificate, the ledger. So what was charged is what is run.

use crate::error::{Answer, Failure, sentence};
use crate::training_file::TrainingFile;
use crate::{ApiState, Planning};
use dp::accountant::pld;
use dp::{Budget, DpError, DpSgdPlan, Event, Ledger, LedgerError, ShardCount, ShardId, default_delta};
use jobs::LedgerStoreError;
use protocol::error::ApiError;
use protocol::hyperparameters::DpLora;
use protocol::id::{JobId, TenantId};
use protocol::state::Protection;

/// Steps of a job that several workers share, at most: each is a slice of its own, and a job may have 10,000.
const MAX_SHARED_STEPS: u64 = 9_999;

/// Plans a job and charges it. After an error nothing is charged, or what is will be given back.
///
/// # Errors
/// 400 when no plan meets the target; 409 when the file's budget does not allow it, with what is left.
pub(crate) async fn plan_and_charge(
    state: &ApiState,
    tenant: &TenantId,
    job: &JobId,
    settings: &DpLora,
    file: &TrainingFile,
) -> Answer<Protection> {
    let (wanted, records, unit) = (settings.clone(), file.records, file.unit);
    let plan = move || wanted.plan(records, unit);
    let planned = match state.config.planning {
        Planning::Inline => plan(),
        Planning::OffThread => tokio::task::spawn_blocking(plan).await.map_err(|_| ApiError::internal())?,
    };
    let plan = planned.map_err(|error| impossible(&error))?;
    check_workers(&plan, settings)?;
    let (dataset, now) = (file.sha256.clone(), state.clock.now());
    let known = state.ledgers.reconcile(tenant, &dataset, now).await?;
    let opening = Budget { epsilon: state.config.dataset_epsilon, delta: default_delta(file.records) };
    match state.ledgers.charge(tenant, &dataset, opening, job, plan.event(), now).await {
        // An earlier job, or a rival first one, may have opened the ledger with another budget, which it keeps.
        Ok(ledger) => Ok(Protection { plan, dataset, budget: ledger.budget() }),
        Err(LedgerStoreError::Refused(LedgerError::OverBudget { total, spent, limit })) => {
            let ledger = known.unwrap_or_else(|| Ledger::new(opening));
            Err(over_budget(&ledger, &plan, total, spent, limit))
        }
        Err(LedgerStoreError::Refused(LedgerError::OtherCharge(_))) => Err(Failure::key_reused()),
        Err(error) => Err(error.into()),
    }
}

/// Whether each step of `plan` can be shared among the workers asked for.
fn check_workers(plan: &DpSgdPlan, settings: &DpLora) -> Answer<()> {
    if settings.workers == 1 {
        return Ok(());
    }
    let invalid = |message: String| Failure::invalid("invalid_hyperparameter", Some("workers"), message);
    if plan.steps() > MAX_SHARED_STEPS {
        let message = format!(
            "A job of several `workers` may have at most {MAX_SHARED_STEPS} steps; this one has {}. Ask for a larger `batch_size`, or for one worker.",
            plan.steps()
        );
        return Err(invalid(message));
    }
    let shared = ShardCount::try_from(settings.workers)
        .and_then(|count| plan.shard(ShardId { step: 0, index: 0, count }).map(|_| ()));
    shared.map_err(|error| invalid(sentence(&error.to_string())))
}

fn impossible(error: &DpError) -> Failure {
    Failure::invalid("invalid_hyperparameter", Some("method"), sentence(&error.to_string()))
}

fn over_budget(ledger: &Ledger, plan: &DpSgdPlan, total: f64, spent: f64, limit: f64) -> Failure {
    let left = match affordable(ledger, plan) {
        Some(epsilon) => format!(
            "A job with these steps and this batch size may still have an `epsilon` of at most {epsilon}."
        ),
        None => "Nothing is left for a job with these steps and this batch size.".to_owned(),
    };
    let message = format!(
        "This training file may spend epsilon = {limit} in all, at delta = {delta:e}. Jobs before have spent {spent:.2}; with this one it would be \
         {total:.2}. {left} What was released cannot be taken back, so only another text has a budget of its own.",
        delta = ledger.budget().delta.get(),
    );
    ApiError::conflict("privacy_budget_exceeded", message).into()
}

/// The largest ε, in hundredths, that a job of the same shape can still have; none below a hundredth.
fn affordable(ledger: &Ledger, plan: &DpSgdPlan) -> Option<f64> {
    let noise = ledger.affordable_noise(plan.sampling_rate(), plan.steps())?;
    let event = Event::subsampled_gaussian(noise, plan.sampling_rate(), plan.steps()).ok()?;
    let epsilon = (pld::epsilon(&[event], plan.delta()) * 100.0).floor() / 100.0;
    (epsilon >= 0.01).then_some(epsilon)
}

#[cfg(test)]
#[path = "protection_tests.rs"]
mod tests;
