//! The scheduler.
//!
//! ```text
//! trouble: owners at work, workers dying, faults ─▶ calm: no more faults, everything runs out ─▶ sweep, some hours later ─▶ last checks
//! ```

use crate::checks::Checks;
use crate::clock::{MOST_SKEW, SkewedClock};
use crate::owner::{Owner, Told, Wish};
use crate::queue::{Delivery, MAX_RECEIVES, SimQueue};
use crate::store::{SimStore, now};
use crate::trainer::SimTrainer;
use crate::{chance, elsewhere, pick, poll, random_bytes, seed_choices, tell};
use api_function::{ApiConfig, ApiState, Entropy, Planning, key_hash, router};
use bytes::Bytes;
use jobs::{
    Attempt, Clock, DriverContext, JobStoreError, LedgerStore, LedgerStoreError, Limits, ManualClock,
    PutCondition, Queue, Quotas, RedriveError, Store, SweepLimits, redrive_job, run_message,
    settle_dead_letter, sweep,
};
use protocol::api::{ApiKeyEntry, ModelIndex};
use protocol::id::{JobId, ModelId, TenantId};
use protocol::keys;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

const START: u64 = 1_790_000_000;
/// Seconds that a lease lives; a message is hidden for longer.
const LEASE: u64 = 60;
/// Fewer than two jobs of three workers need.
const TIGHT_FUNCTIONS: u32 = 3;
/// Choices after which a run counts as hanging; most need a few thousand.
const MOST_CHOICES: usize = 400_000;

/// What a run is to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Of a thousand operations of store and queue, how many fail during the trouble.
    pub faults: u32,
    /// Of a thousand choices, how many kill a worker.
    pub deaths: u32,
    /// Whether sweeps run during the trouble; in the end one always does.
    pub sweeps: bool,
    /// Whether a tenant may have one open job and three functions only.
    pub tight: bool,
}

impl Config {
    /// Faults from none to many, by the seed.
    fn of_seed(seed: u64) -> Self {
        let faults = [0, 10, 30, 80][(seed % 4) as usize];
        let deaths = [0, 4, 12][(seed / 4 % 3) as usize];
        Self { faults, deaths, sweeps: (seed / 12).is_multiple_of(3), tight: (seed / 36).is_multiple_of(3) }
    }

    pub(crate) fn quotas(self) -> Quotas {
        match self.tight {
            true => Quotas { jobs: 2, functions: TIGHT_FUNCTIONS, ..Quotas::default() },
            false => Quotas::default(),
        }
    }
}

/// How a run ended, when all checks held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Choices made.
    pub choices: usize,
    /// Jobs that succeeded, were cancelled, failed, and were deleted.
    pub tally: [usize; 4],
    /// Slices that were run again.
    pub repeated: u64,
    /// A hash of all that happened: equal for equal seeds.
    pub trace: u64,
}

/// What tasks and scheduler share.
pub(crate) struct Shared {
    told: Mutex<Vec<Told>>,
    request_deaths: AtomicU32,
}

impl Shared {
    /// Of a thousand polls of a request, how many kill its server.
    pub(crate) fn request_deaths(&self) -> u32 {
        self.request_deaths.load(Ordering::Relaxed)
    }

    /// Remembers what an owner was told of a job.
    pub(crate) fn tell(&self, tenant: &TenantId, job: &JobId, what: impl FnOnce(&mut Told)) {
        let mut told = self.told.lock().expect("one thread");
        let known = told.iter().position(|told| told.job == *job && told.tenant == *tenant);
        let index = known.unwrap_or_else(|| {
            let (tenant, job) = (tenant.clone(), job.clone());
            told.push(Told { tenant, job, cancelled: false, deleted: false });
            told.len() - 1
        });
        what(&mut told[index]);
    }
}

struct SimEntropy;

impl Entropy for SimEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        random_bytes(buffer);
    }
}

enum Kind {
    /// Never dies: it is a person, who tries again.
    Person,
    /// A worker with a message, which it deletes if all went well.
    Worker(Delivery),
    Sweep,
}

struct Task {
    kind: Kind,
    /// True when its message can be deleted.
    work: Pin<Box<dyn Future<Output = bool> + Send>>,
}

struct World {
    config: Config,
    clock: Arc<ManualClock>,
    store: Arc<SimStore>,
    queue: Arc<SimQueue>,
    trainer: Arc<SimTrainer>,
    shared: Arc<Shared>,
    tasks: Vec<Task>,
    checks: Checks,
    choices: usize,
    trace: u64,
    wishes: usize,
}

/// Runs the seed's world to its end.
///
/// # Panics
/// When something does not hold; the message says what.
pub fn run(seed: u64) -> Ended {
    run_with(seed, Config::of_seed(seed))
}

pub(crate) fn run_with(seed: u64, config: Config) -> Ended {
    seed_choices(seed);
    let mut world = World::new(config);
    world.trouble();
    world.calm();
    world.aftermath();
    let told = world.shared.told.lock().expect("one thread").clone();
    world.checks.in_the_end(&world.store, &told, world.wishes);
    Ended {
        choices: world.choices,
        tally: world.checks.tally(),
        repeated: world.checks.repeated(),
        trace: world.trace,
    }
}

impl World {
    fn new(config: Config) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let store = Arc::new(SimStore::new(config.faults));
        let queue = Arc::new(SimQueue::new(clock.clone(), config.faults));
        let trainer = Arc::new(SimTrainer::default());
        trainer.faults.store(config.faults, Ordering::Relaxed);
        trainer.outage.store(config.faults > 0, Ordering::Relaxed);
        let request_deaths = AtomicU32::new(config.deaths / 2);
        let shared = Arc::new(Shared { told: Mutex::default(), request_deaths });
        let checks = Checks::new(config.quotas());
        let mut world = Self {
            config,
            clock,
            store,
            queue,
            trainer,
            shared,
            tasks: Vec::new(),
            checks,
            choices: 0,
            trace: 0,
            wishes: 0,
        };
        world.publish_model();
        for owner in 0..1 + pick(2) {
            world.move_in(owner);
        }
        world
    }

    fn put(&self, key: &str, value: &impl serde::Serialize) {
        let bytes = Bytes::from(serde_json::to_vec(value).expect("plain data"));
        now(self.store.plain.put(key, bytes, PutCondition::Always)).expect("a put");
    }

    fn publish_model(&self) {
        let id = ModelId::parse("tiny").expect("a valid name");
        let key = keys::model_file(&id, keys::MODEL_INDEX);
        let index =
            ModelIndex { id, created: START, description: "A model.".into(), files: Default::default() };
        self.put(&key, &index);
    }

    fn clock(&self) -> Arc<SkewedClock> {
        let ahead = match self.config.faults {
            0 => MOST_SKEW,
            _ => pick(2 * MOST_SKEW as usize + 1) as u64,
        };
        Arc::new(SkewedClock { world: self.clock.clone(), ahead })
    }

    /// A tenant with a key, a text and some wishes for jobs on it.
    fn move_in(&mut self, number: usize) {
        let tenant = TenantId::parse(&format!("owner-{number}")).expect("a valid name");
        let api_key = format!("dpft-key-of-{number}");
        let entry = serde_json::json!({"tenant": tenant, "created_at": START});
        let entry: ApiKeyEntry = serde_json::from_value(entry).expect("an entry");
        self.put(&keys::api_key(&key_hash(&api_key)), &entry);
        let quotas = self.config.quotas();
        let config = ApiConfig { planning: Planning::Inline, quotas, ..ApiConfig::default() };
        let process = |clock| {
            let (store, queue) = (self.store.clone(), self.queue.clone());
            router(ApiState::new(store, queue, clock, Arc::new(SimEntropy), config.clone()))
        };
        let routers = [process(self.clock()), process(self.clock())];
        let owner = Arc::new(Owner { shared: self.shared.clone(), routers, tenant, api_key });
        let wishes: Vec<Wish> = (0..1 + pick(3)).map(|wish| Wish::new(number, wish)).collect();
        self.wishes += wishes.len();
        // Two requests for one wish at the same time, now and then.
        let pursued: Vec<Wish> = wishes
            .iter()
            .flat_map(|wish| std::iter::repeat_n(wish.clone(), if chance(200) { 2 } else { 1 }))
            .collect();
        let text = format!("one\ntwo {number}\nthree\nfour\n");
        let work = Box::pin(async move {
            let file = owner.upload(&text).await;
            let mut pursuits: Vec<_> = pursued
                .into_iter()
                .map(|wish| {
                    let (owner, file) = (owner.clone(), file.clone());
                    Some(Box::pin(async move { owner.pursue(file, wish).await }))
                })
                .collect();
            // In any order, for each poll goes to one of them.
            std::future::poll_fn(|context| {
                let index = pick(pursuits.len());
                if let Some(pursuit) = &mut pursuits[index]
                    && pursuit.as_mut().poll(context).is_ready()
                {
                    pursuits[index] = None;
                }
                if pursuits.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            true
        });
        self.tasks.push(Task { kind: Kind::Person, work });
    }

    fn context(&self) -> DriverContext {
        let limits = Limits {
            lease_seconds: LEASE,
            max_slices: 1_000,
            max_receives: MAX_RECEIVES,
            watch_interval: Duration::from_secs(5),
            quotas: self.config.quotas(),
        };
        DriverContext {
            store: self.store.clone(),
            queue: self.queue.clone(),
            clock: self.clock(),
            runner: self.trainer.clone(),
            limits,
        }
    }

    fn start_worker(&mut self, dead: bool) {
        let Some(delivery) = self.queue.receive(dead) else { return };
        let copies = if chance(self.config.faults / 2) { 2 } else { 1 };
        for _ in 0..copies {
            let (context, delivery) = (self.context(), delivery.clone());
            let message = delivery.message.clone();
            let attempt = Attempt { receive_count: delivery.receives, deadline: Duration::MAX };
            let work = Box::pin(async move {
                let outcome = match dead {
                    true => settle_dead_letter(&context, &message).await,
                    false => run_message(&context, &message, attempt).await,
                };
                tell(|| format!("{} {:?}/{:?}: {outcome:?}", message.job, message.slice, message.shard));
                outcome.is_ok()
            });
            self.tasks.push(Task { kind: Kind::Worker(delivery), work });
        }
    }

    fn workers(&self) -> usize {
        self.tasks.iter().filter(|task| matches!(task.kind, Kind::Worker(_))).count()
    }

    fn start_sweep(&mut self) {
        if self.tasks.iter().any(|task| matches!(task.kind, Kind::Sweep)) {
            return;
        }
        let store: Arc<dyn Store> = self.store.clone();
        let (queue, clock) = (self.queue.clone(), self.clock());
        let limits = SweepLimits { stalled_seconds: 200, abandoned_seconds: 86_400 };
        let work = Box::pin(async move { sweep(&store, &*queue, &*clock, limits).await.is_ok() });
        self.tasks.push(Task { kind: Kind::Sweep, work });
    }

    /// The operator puts all jobs back to work that failed on the service's side.
    fn redrive(&mut self) {
        for job in self.checks.redrivable() {
            let store: Arc<dyn Store> = self.store.clone();
            let (queue, clock) = (self.queue.clone(), self.clock());
            let work = Box::pin(async move {
                let queue: &dyn Queue = &*queue;
                loop {
                    match redrive_job(&store, queue, &*clock, &job.tenant, &job.id).await {
                        Ok(()) => return true,
                        // Its owner was quicker, and it is over for good.
                        Err(RedriveError::Jobs(JobStoreError::Deleted(_) | JobStoreError::Refused(_))) => {
                            return false;
                        }
                        Err(RedriveError::Ledger(LedgerStoreError::Refused(_))) => return false,
                        Err(_) => elsewhere().await,
                    }
                }
            });
            self.tasks.push(Task { kind: Kind::Person, work });
        }
    }

    /// Something happens.
    fn choose(&mut self, trouble: bool) {
        self.choices += 1;
        assert!(self.choices < MOST_CHOICES, "the run hangs");
        let choice = pick(1000);
        match choice {
            0..60 if self.workers() < 5 => self.start_worker(false),
            60..75 if self.workers() < 5 => self.start_worker(true),
            75..100 => self.clock.advance(Duration::from_secs(pick(15) as u64)),
            100..104 if trouble && self.config.sweeps => self.start_sweep(),
            104..350 => self.land(),
            350..365 if trouble && chance(self.config.deaths * 50) => self.kill(),
            _ if !self.tasks.is_empty() => self.poll(pick(self.tasks.len())),
            _ => {}
        }
        let seen = (choice as u64) << 40 | (self.tasks.len() as u64) << 20 | self.queue.len() as u64;
        self.trace = (self.trace ^ seen).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
    }

    /// A write that is under way lands, if there is one.
    fn land(&mut self) {
        if self.store.land_one() {
            self.checks.after_writes(&self.store);
        }
    }

    /// Kills any process.
    fn kill(&mut self) {
        let mortal = |task: &Task| !matches!(task.kind, Kind::Person);
        let found: Vec<_> = (0..self.tasks.len()).filter(|index| mortal(&self.tasks[*index])).collect();
        if !found.is_empty() {
            let killed = self.tasks.swap_remove(found[pick(found.len())]);
            if let Kind::Worker(delivery) = killed.kind {
                tell(|| format!("the worker of message {} dies", delivery.number));
            }
        }
    }

    fn poll(&mut self, index: usize) {
        let Poll::Ready(well) = poll(self.tasks[index].work.as_mut()) else { return };
        if let Kind::Worker(delivery) = self.tasks.swap_remove(index).kind
            && well
        {
            self.queue.delete(delivery.number);
        }
    }

    /// Until the owners have done what they wanted and nothing is left to do, or long enough.
    fn trouble(&mut self) {
        let most = 1_000 + pick(6_000);
        for _ in 0..most {
            self.choose(true);
            if chance(1) {
                self.redrive();
            }
        }
    }

    /// No more faults: every message and task comes to its end.
    fn calm(&mut self) {
        self.store.faults.store(0, Ordering::Relaxed);
        self.queue.faults.store(0, Ordering::Relaxed);
        self.trainer.faults.store(0, Ordering::Relaxed);
        self.trainer.outage.store(false, Ordering::Relaxed);
        self.shared.request_deaths.store(0, Ordering::Relaxed);
        self.drain();
        let stuck = self.checks.jobs().into_iter().find(|job| !job.status.is_final());
        assert_eq!(stuck, None, "a job is stuck: it is not over, and no message asks for it");
        if chance(700) {
            self.redrive();
            self.drain();
        }
    }

    fn drain(&mut self) {
        while !self.tasks.is_empty() || self.store.waiting() > 0 || self.queue.len() > 0 {
            self.choose(false);
        }
    }

    /// Hours later everything is swept, and the accounts are brought up to date, as at the next job on each text.
    fn aftermath(&mut self) {
        self.clock.advance(Duration::from_secs(2 * 3_600));
        self.start_sweep();
        self.drain();
        let ledgers = LedgerStore::new(self.store.clone());
        for state in self.checks.jobs() {
            let work = ledgers.reconcile(&state.tenant, &state.protection.dataset, self.clock.now());
            let mut work = Box::pin(work);
            while poll(work.as_mut()).is_pending() {
                self.store.land_one();
            }
        }
    }
}
