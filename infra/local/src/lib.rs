//! The whole service on one machine: embedded S3, queue, API, page and worker in one process, or several workers in processes of their own.
//!
//! ```text
//! page ──▶ API ──▶ queue ──(SQS)──▶ worker ─┐     all on 127.0.0.1
//!   └──────┴────── S3 ◀─────────────────────┘
//! ```
//! The handlers are those of the functions, called with the events that Lambda would send, over the S3 protocol. So what works here works on AWS.
//!
//! * [`start`] and [`Service`]: the service; [`ServeConfig`]: its settings.
//! * [`publish_model`]: makes a base model available; [`create_api_key`], [`list_api_keys`] and [`revoke_api_key`]: who may come in.
//! * [`work_in_process`]: what a worker process does.
//! * Inside: [`s3`] the object store, [`sqs`] the queue for worker processes, [`data_dir`] lock and secrets, [`resume`] picking up after a crash,
//!   [`worker`] the queue's consumer, [`processes`] starting and watching worker processes, [`worker_process`] one of them, [`workers`] either
//!   way of working, [`drain`] ending a slice early, [`site`] the page's headers.
//!
//! Invariant: nothing here listens on anything but 127.0.0.1.

mod config;
mod data_dir;
mod drain;
mod error;
mod models;
mod offline;
mod processes;
mod resume;
mod s3;
mod service;
mod site;
mod sqs;
mod worker;
mod worker_process;
mod workers;

#[cfg(test)]
mod ministack_tests;
#[cfg(any(test, feature = "test-support"))]
mod test_client;
#[cfg(any(test, feature = "test-support"))]
mod test_http;
#[cfg(any(test, feature = "test-support"))]
mod test_model;

/// What tests of the whole service share, here and in other crates.
#[cfg(any(test, feature = "test-support"))]
pub mod testing {
    pub use crate::test_client::{PATIENCE, TestClient};
    pub use crate::test_http::{Answer, RawHttp, broken_request, request};
    pub use crate::test_model::write_model;
}

pub use api_function::{OsEntropy, create_api_key, list_api_keys, revoke_api_key};
pub use config::{ServeConfig, WorkerProcesses};
pub use error::LocalError;
pub use models::publish_model;
pub use offline::{OfflineStore, open_data_dir};
pub use service::{Service, start};
pub use worker_process::work_in_process;
