//! Starting and ending the whole service.
//!
//! Order of the start: lock the data folder, take both ports, S3, models, the first API key, unfinished jobs, workers, API and page. So whoever can
//! reach the page finds everything behind it, and a port that is taken is told before anything was changed.

use crate::config::{QUOTAS, ServeConfig};
use crate::data_dir::DataDir;
use crate::drain::DrainingClock;
use crate::error::{LocalError, at};
use crate::resume::resume_jobs;
use crate::site::with_site;
use crate::workers::{Parts, Workers};
use crate::{models, s3, worker};
use api_function::{ApiConfig, ApiState, OsEntropy, create_api_key, register_api_key, router};
use axum::Router;
use axum::serve::{Listener, ListenerExt};
use finetune_function::signing;
use jobs::{Clock, LocalQueue, Store, SweepLimits};
use protocol::id::TenantId;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The tenant of the page that `serve` shows.
const FIRST_TENANT: &str = "local";

/// Between two sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3_600);

/// How long open connections may take to end at shutdown.
const CLOSE_SECONDS: u64 = 5;

/// The running service. Dropping it leaves the service running until the runtime ends; call [`shutdown`](Self::shutdown).
pub struct Service {
    /// The page, with the key behind `#`, which browsers never send.
    pub page_url: String,
    /// The API's base, for example `http://127.0.0.1:8787/v1`.
    pub api_url: String,
    /// The embedded S3.
    pub s3_url: String,
    /// The first tenant's API key.
    pub api_key: String,
    store: Arc<dyn Store>,
    clock: Arc<DrainingClock>,
    stop_work: watch::Sender<bool>,
    stop_serving: watch::Sender<bool>,
    workers: Workers,
    api: JoinHandle<()>,
    s3: JoinHandle<()>,
    // Last, so that the lock outlives everything that writes.
    _data: DataDir,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("api_url", &self.api_url)
            .field("s3_url", &self.s3_url)
            .finish_non_exhaustive()
    }
}

/// Starts everything and returns when it can be used.
///
/// # Errors
/// A [`LocalError`] that says what to do. Nothing keeps running then.
pub async fn start(config: ServeConfig) -> Result<Service, LocalError> {
    let s3_port = config.checked_s3_port()?;
    let data = DataDir::open(&config.data_dir)?;
    let page_listener = listen(config.port).await?;
    let s3_listener = listen(s3_port).await?;
    let (origin, s3_url) = (url(&page_listener)?, url(&s3_listener)?);
    let clock = Arc::new(DrainingClock::new(Duration::from_secs(config.slice_seconds)));
    let entropy = Arc::new(OsEntropy);
    let credentials = data.credentials(&OsEntropy)?;
    let s3_router = s3::router(&data.join("s3"), &credentials, &origin, clock.clone(), entropy.clone())?;
    let (stop_serving, serving) = watch::channel(false);
    let s3 = Guard(serve(s3_listener, s3_router, serving.clone()));
    let store: Arc<dyn Store> = Arc::new(s3::store(&s3_url, &credentials));
    if let Some(models_dir) = &config.models_dir {
        models::publish_all(&*store, models_dir, &*clock).await?;
    }
    let api_key = first_key(&data, &*store, &*clock).await?;
    let queue = Arc::new(open_queue(&data.join("queue"), &config, clock.clone())?);
    let resumed = resume_jobs(store.clone(), &*queue, clock.now()).await?;
    tracing::info!(resumed, "unfinished jobs go on");
    let signing_key = signing::load_or_create(&*store, api_function::draw(&OsEntropy)).await?;
    let (stop_work, working) = watch::channel(false);
    let parts = Parts { config: &config, store: &store, queue: &queue, clock: &clock };
    let workers = match &config.processes {
        None => parts.worker_here(signing_key, working),
        Some(processes) => {
            let s3 = (s3_url.as_str(), credentials);
            parts.worker_processes(processes, s3, &working, serving.clone()).await?
        }
    };
    tokio::spawn(look_after(store.clone(), queue.clone(), clock.clone(), serving.clone()));
    let api_config = ApiConfig { quotas: QUOTAS, ..ApiConfig::default() };
    let state = ApiState::new(store.clone(), queue, clock.clone(), entropy, api_config);
    let api = serve(page_listener, with_site(router(state), config.site_dir.as_deref(), &s3_url), serving);
    Ok(Service {
        page_url: format!("{origin}/#key={api_key}"),
        api_url: format!("{origin}/v1"),
        s3_url,
        api_key,
        store,
        clock,
        stop_work,
        stop_serving,
        workers,
        api,
        s3: s3.keep(),
        _data: data,
    })
}

impl Service {
    /// The object store, for example to publish a model or make a key while the service runs.
    pub fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// The ids of the worker processes that run now; none when the worker runs in this one.
    pub fn worker_pids(&self) -> Vec<u32> {
        self.workers.pids.all()
    }

    /// Waits until a part of the service ends by itself, which it never should.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = &mut self.workers.task => tracing::error!("the workers have ended"),
            _ = &mut self.api => tracing::error!("the API has ended"),
            _ = &mut self.s3 => tracing::error!("the object store has ended"),
        }
    }

    /// Ends everything at once, as a killed process would.
    #[cfg(test)]
    pub(crate) fn kill(self) {
        for task in [&self.workers.task, &self.api, &self.s3].into_iter().chain(&self.workers.sqs) {
            task.abort();
        }
    }

    /// Ends the service: no new work, the running slice is cut short and checkpointed, then the doors close. A job goes on at the next start.
    pub async fn shutdown(self) {
        self.clock.drain();
        // Nobody listens any more only where the part has ended already.
        let _ = self.stop_work.send(true);
        if !self.workers.task.is_finished() {
            let _ = self.workers.task.await;
        }
        let _ = self.stop_serving.send(true);
        close(self.api).await;
        close(self.s3).await;
        if let Some(sqs) = self.workers.sqs {
            close(sqs).await;
        }
    }
}

async fn close(mut server: JoinHandle<()>) {
    let patience = Duration::from_secs(CLOSE_SECONDS);
    if !server.is_finished() && tokio::time::timeout(patience, &mut server).await.is_err() {
        server.abort();
    }
}

/// Ends a task when the start fails half-way.
struct Guard(JoinHandle<()>);

impl Guard {
    fn keep(mut self) -> JoinHandle<()> {
        let finished = tokio::spawn(async {});
        std::mem::replace(&mut self.0, finished)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) async fn listen(port: u16) -> Result<TcpListener, LocalError> {
    // This machine alone: the service has no transport encryption.
    TcpListener::bind(("127.0.0.1", port)).await.map_err(|source| LocalError::Port { port, source })
}

pub(crate) fn url(listener: &TcpListener) -> Result<String, LocalError> {
    let address = listener.local_addr().map_err(|source| LocalError::Port { port: 0, source })?;
    Ok(format!("http://{address}"))
}

/// A listener whose connections send at once. Otherwise the second packet of an answer waits until the first is acknowledged, and the other side
/// puts its acknowledgement off by 40 ms, in the hope of something to send along.
pub(crate) fn prompt(listener: TcpListener) -> impl Listener<Io = TcpStream, Addr = SocketAddr> {
    listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::warn!(%error, "answers on a connection will be slow");
        }
    })
}

pub(crate) fn serve(
    listener: TcpListener,
    router: Router,
    mut stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let stopped = async move {
            // An error means that the sender is gone, hence the service.
            let _ = stop.wait_for(|stop| *stop).await;
        };
        if let Err(error) = axum::serve(prompt(listener), router).with_graceful_shutdown(stopped).await {
            tracing::error!(%error, "a server has failed");
        }
    })
}

/// Sweeps once an hour, as the schedule on AWS does, until the service ends.
async fn look_after(
    store: Arc<dyn Store>,
    queue: Arc<LocalQueue>,
    clock: Arc<DrainingClock>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            // An error means that the sender is gone, hence the service.
            _ = stop.wait_for(|stop| *stop) => return,
            () = clock.sleep(SWEEP_INTERVAL) => {}
        }
        match jobs::sweep(&store, &*queue, &*clock, SweepLimits::default()).await {
            Ok(swept) => tracing::info!(?swept, "swept"),
            Err(error) => tracing::warn!(%error, "the sweep failed; it is done again in an hour"),
        }
    }
}

fn open_queue(folder: &Path, config: &ServeConfig, clock: Arc<dyn Clock>) -> Result<LocalQueue, LocalError> {
    std::fs::create_dir_all(folder).map_err(at(folder))?;
    let journal = folder.join("journal");
    LocalQueue::open(&journal, worker::queue_config(config), clock).map_err(at(journal))
}

async fn first_key(data: &DataDir, store: &dyn Store, clock: &dyn Clock) -> Result<String, LocalError> {
    // The constant is a valid name; a test says so.
    let tenant = TenantId::parse(FIRST_TENANT).expect("a valid tenant");
    if let Some(key) = data.api_key()?
        && register_api_key(store, &tenant, &key, clock).await?
    {
        return Ok(key);
    }
    // There is none yet, or it was revoked.
    let key = create_api_key(store, &tenant, None, &OsEntropy, clock).await?;
    data.keep_api_key(&key)?;
    Ok(key)
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
