use super::*;
use crate::store::{FailingStore, FaultPlan, MemoryStore};
use crate::test_jobs::{CREATED, protection, queued};
use protocol::state::{CheckpointRef, Report};
use protocol::transition::{Change, transition};

struct World {
    store: Arc<dyn Store>,
    ledgers: LedgerStore,
}

impl World {
    fn new() -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        Self { ledgers: LedgerStore::new(store.clone()), store }
    }

    async fn charge(&self, job: &JobState) -> Result<Ledger, LedgerStoreError> {
        let Budget { epsilon, delta } = job.protection.budget;
        let budget = Budget { epsilon, delta };
        self.ledgers
            .charge(&job.tenant, &job.protection.dataset, budget, &job.id, job.charge(), CREATED)
            .await
    }

    async fn ledger(&self) -> Ledger {
        let job = queued(1);
        self.ledgers.load(&job.tenant, &job.protection.dataset).await.unwrap().unwrap()
    }

    async fn store_job(&self, job: &JobState) {
        JobStore::new(self.store.clone()).create(job).await.unwrap();
    }

    async fn reconcile(&self, now: u64) -> Ledger {
        let job = queued(1);
        self.ledgers.reconcile(&job.tenant, &job.protection.dataset, now).await.unwrap().unwrap()
    }
}

/// The job number `number`, brought to its end by `changes`.
fn ended(number: u8, changes: Vec<Change>) -> JobState {
    let acquire = Change::Acquire { slice: 0, until: CREATED + 60 };
    let all = std::iter::once(acquire).chain(changes);
    all.fold(queued(number), |job, change| transition(&job, change, CREATED).unwrap())
}

#[tokio::test]
async fn a_charge_is_kept_once_and_a_ledger_keeps_its_own_budget() {
    let world = World::new();
    let job = queued(1);
    let charged = world.charge(&job).await.unwrap();
    assert_eq!(world.charge(&job).await.unwrap(), charged);
    let mut richer = queued(2);
    richer.protection.budget.epsilon = dp::Epsilon::try_from(1000.0).unwrap();
    let ledger = world.charge(&richer).await;
    assert!(ledger.as_ref().map_or(true, |ledger| ledger.budget() == protection().budget), "{ledger:?}");
    assert_eq!(world.ledger().await.charges()[0], charged.charges()[0]);
}

#[tokio::test]
async fn of_jobs_that_race_for_the_last_budget_only_as_many_win_as_fit() {
    let alone = World::new();
    let mut fits = 0;
    while alone.charge(&queued(fits)).await.is_ok() {
        fits += 1;
    }
    assert!(fits > 0 && fits < 8, "{fits}");
    for seed in 0..20 {
        let plan = FaultPlan { seed, before_per_mille: 100, after_per_mille: 100 };
        let store: Arc<dyn Store> = Arc::new(FailingStore::new(MemoryStore::new(), plan));
        let world = World { ledgers: LedgerStore::new(store.clone()), store };
        let jobs: Vec<JobState> = (0..8).map(queued).collect();
        let racing = jobs.iter().map(|job| async {
            // As a client does: again until there is a clear answer.
            loop {
                match world.charge(job).await {
                    Ok(_) => return true,
                    Err(LedgerStoreError::Refused(LedgerError::OverBudget { .. })) => return false,
                    Err(LedgerStoreError::Store(_) | LedgerStoreError::Contended) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        });
        let won = futures::future::join_all(racing).await;
        assert_eq!(won.iter().filter(|won| **won).count(), usize::from(fits), "seed {seed}");
        let ledger = loop {
            match world.ledgers.load(&jobs[0].tenant, &jobs[0].protection.dataset).await {
                Ok(ledger) => break ledger.unwrap(),
                Err(_) => continue,
            }
        };
        assert_eq!(ledger.charges().len(), usize::from(fits), "seed {seed}");
        assert!(ledger.spent() <= ledger.budget().epsilon.get());
    }
}

#[tokio::test]
async fn what_an_ended_job_did_not_release_is_given_back() {
    let world = World::new();
    let losses = |step| vec![protocol::state::LossPoint { step, steps: 1, loss: 4.0 }];
    let report = |step| Report { progress: Default::default(), losses: losses(step) };
    let cancelled = ended(1, vec![Change::Cancel]);
    let shown = ended(1, vec![Change::Report { epoch: 1, report: report(3) }, Change::Cancel]);
    let published = ended(1, vec![Change::Publish { epoch: 1 }, Change::Cancel]);
    let checkpoint = CheckpointRef { key: "x".into(), step: 3, sha256: "00".into() };
    let running = ended(1, vec![Change::Commit { epoch: 1, checkpoint, report: report(3) }]);
    let loss = shown.protection.plan.loss_event(3);
    for (job, expected) in [
        (cancelled, vec![]),
        (shown, loss.into_iter().collect()),
        (published.clone(), vec![published.charge()]),
        (running.clone(), vec![running.charge()]),
    ] {
        let world = World::new();
        world.charge(&job).await.unwrap();
        for _ in 0..2 {
            world.ledgers.settle(&job).await.unwrap();
            assert_eq!(world.ledger().await.charges()[0].events, expected, "{:?}", job.status);
        }
    }
    // A job whose charge is gone, or that was never charged, is no error when it is settled.
    world.ledgers.settle(&published).await.unwrap();
}

#[tokio::test]
async fn reconciling_settles_ended_jobs_and_gives_up_those_that_never_were() {
    let world = World::new();
    let (ended, running, never) = (ended(1, vec![Change::Cancel]), queued(2), queued(3));
    for job in [&ended, &running, &never] {
        let fits = world.charge(job).await.is_ok();
        assert!(fits || job.id == never.id);
    }
    world.store_job(&ended).await;
    world.store_job(&running).await;
    let open = |ledger: &Ledger| {
        let open = ledger.charges().iter().filter(|charge| charge.state == ChargeState::Reserved);
        open.map(|charge| charge.id.clone()).collect::<Vec<_>>()
    };
    let before = open(&world.ledger().await).len();
    assert_eq!(open(&world.reconcile(CREATED + 10).await).len(), before - 1, "only the cancelled one");
    let _ = world.charge(&never).await;
    let too_late = world.reconcile(CREATED + FORGOTTEN_SECONDS).await;
    assert_eq!(open(&too_late).len(), 2, "a state may have been deleted by then, so nothing is given back");
    let later = world.reconcile(CREATED + ABANDONED_SECONDS + 1).await;
    assert_eq!(open(&later), [running.id.to_string()]);
    // Its creator wakes up after all: the first slice charges again.
    world.store_job(&never).await;
    let charged = world.ledgers.ensure_charged(&never, CREATED + 2 * ABANDONED_SECONDS).await;
    assert_eq!(charged.is_ok(), world.ledger().await.covers(never.id.as_str(), never.charge()));
    assert!(charged.is_ok());
}

#[tokio::test]
async fn a_damaged_ledger_is_an_error_and_is_left_as_it_is() {
    let world = World::new();
    let job = queued(1);
    let key = keys::ledger(&job.tenant, &job.protection.dataset);
    world.store.put(&key, Bytes::from_static(b"{}"), PutCondition::Always).await.unwrap();
    assert_eq!(world.charge(&job).await, Err(LedgerStoreError::Damaged));
    assert_eq!(world.store.get(&key).await.unwrap().bytes, Bytes::from_static(b"{}"));
}
