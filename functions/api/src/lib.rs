//! The HTTP API, shaped as OpenAI's: files, uploads, fine-tuning jobs and models.
//!
//! * [`router`] is the whole API over an [`ApiState`]: a store, a queue, a clock and a source of randomness, all arguments.
//! * [`auth`] turns an API key into a tenant, and [`api_keys`] makes, lists and revokes keys; [`routes`] is the table of what there is; [`body`], [`extract`] and [`paging`] read requests; [`error`] shapes refusals; [`job_request`] checks what a job is asked to be.
//! * [`files`], [`uploads`], [`jobs_api`], [`models`] and [`privacy`] hold the endpoints; [`file_store`], [`training_file`] and [`protection`] what they share.
//!
//! ```text
//! POST   /v1/files                              GET    /v1/files                   GET /v1/files/{id}   GET …/{id}/content   DELETE …/{id}
//! POST   /v1/uploads                            POST   /v1/uploads/{id}/parts      POST …/{id}/complete POST …/{id}/cancel
//! POST   /v1/fine_tuning/jobs                   GET    /v1/fine_tuning/jobs        GET …/{id}           POST …/{id}/cancel
//! GET    /v1/fine_tuning/jobs/{id}/events       GET    /v1/fine_tuning/jobs/{id}/checkpoints
//! DELETE /v1/fine_tuning/jobs/{id}              GET    /v1/fine_tuning/jobs/{id}/receipt
//! GET    /v1/models                             GET    /v1/models/{id}             GET /v1/privacy/key
//! GET    /v1/files/{id}/privacy                                                    GET /healthz (without a key)
//! ```
//!
//! Invariant: every path under `/v1` but an unknown one needs a key, and another tenant's object answers exactly as one that is not there.
//!
//! Invariant: logs hold a request's method, route, status and duration, and AWS's ids of it (`invocation`), never its path, query, headers or body.

mod api_keys;
mod auth;
mod body;
mod entropy;
mod error;
mod extract;
mod file_store;
mod files;
#[cfg(feature = "lambda")]
pub mod invocation;
mod job_request;
mod jobs_api;
mod models;
mod paging;
mod privacy;
mod protection;
mod request_log;
mod routes;
mod training_file;
mod uploads;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod isolation_tests;
#[cfg(test)]
mod link_tests;
#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod test_store;
#[cfg(test)]
mod test_world;

pub use api_keys::{
    ApiKeyError, ApiKeyInfo, SHOWN_DIGITS, create_api_key, list_api_keys, register_api_key, revoke_api_key,
};
pub use auth::{KEY_PREFIX, key_hash};
pub use entropy::{Entropy, OsEntropy, draw};
pub use error::Failure;
pub use request_log::LOG_FILTER;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use dp::Epsilon;
use jobs::{Clock, JobStore, LedgerStore, Queue, Quotas, Store, UsageStore};
use protocol::error::ApiError;
use protocol::hyperparameters::MAX_EPSILON;
use routes::ROUTES;
use std::sync::Arc;

/// Settings of the API.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiConfig {
    /// How long a known key is remembered, in seconds, hence how long a revoked one may still work.
    pub key_cache_seconds: u64,
    /// ε that all jobs on one training file together may spend. Holds for files whose first job comes after it was set.
    pub dataset_epsilon: Epsilon,
    /// Where the accountant works.
    pub planning: Planning,
    /// What a tenant may have at a time, unless its operator has made exceptions.
    pub quotas: Quotas,
}

/// Where the accountant, which may take up to a second, works on a job's plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Planning {
    /// On a thread of its own, so that other requests need not wait.
    #[default]
    OffThread,
    /// In the request's own task: nothing then depends on what other threads do, as a simulation wants it.
    Inline,
}

/// ε of a data set unless set otherwise: as much as the largest job may ask for.
pub const DEFAULT_DATASET_EPSILON: f64 = MAX_EPSILON;

impl Default for ApiConfig {
    /// One minute: long enough to spare most look-ups, short enough for a leaked key.
    fn default() -> Self {
        // A positive constant.
        let dataset_epsilon = Epsilon::try_from(DEFAULT_DATASET_EPSILON).expect("the default is valid");
        Self {
            key_cache_seconds: 60,
            dataset_epsilon,
            planning: Planning::default(),
            quotas: Quotas::default(),
        }
    }
}

/// All that the endpoints work with.
#[derive(Clone)]
pub struct ApiState {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) jobs: JobStore,
    pub(crate) ledgers: LedgerStore,
    pub(crate) usage: UsageStore,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) config: ApiConfig,
    pub(crate) known_keys: Arc<auth::KnownKeys>,
}

impl ApiState {
    /// Puts the parts together.
    pub fn new(
        store: Arc<dyn Store>,
        queue: Arc<dyn Queue>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        config: ApiConfig,
    ) -> Self {
        let (jobs, ledgers) = (JobStore::new(store.clone()), LedgerStore::new(store.clone()));
        let usage = UsageStore::new(store.clone());
        Self { store, jobs, ledgers, usage, queue, clock, entropy, config, known_keys: Arc::default() }
    }
}

/// The API as a service.
pub fn router(state: ApiState) -> Router {
    let routes =
        ROUTES.iter().fold(Router::new(), |router, route| router.route(route.path, (route.handler)()));
    let with_key = routes.route_layer(from_fn_with_state(state.clone(), auth::require_key));
    with_key
        .route("/healthz", get(|| async { "ok" }))
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed)
        // `body` bounds every body; axum's own bound of 2 MB would refuse what it lets through.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(state.clone(), body::buffer))
        .layer(from_fn(request_log::log))
        .with_state(state)
}

/// What a path that nobody knows is answered: 404 in OpenAI's shape.
pub async fn no_such_route() -> Failure {
    Failure(ApiError {
        status: 404,
        message: "There is no such path. The API's paths begin with `/v1/`.".into(),
        param: None,
        code: "unknown_url",
    })
}

async fn method_not_allowed(method: Method) -> Failure {
    // A method may be any word of any length.
    let shown: String = method.as_str().chars().take(16).collect();
    let message = format!("This path does not take the method {shown}.");
    Failure(ApiError { status: 405, message, param: None, code: "method_not_allowed" })
}
