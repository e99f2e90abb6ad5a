//! The whole service on one machine, in one process: embedded S3, queue, API, page and worker.
//!
//! ```text
//! page ──▶ API ──▶ queue ──▶ worker ─┐        all on 127.0.0.1
//!   └──────┴────── S3 ◀──────────────┘
//! ```
//! The handlers are those of the functions, called with the events that Lambda would send, over the S3 protocol. So what works here works on AWS.
//!
//! * [`start`] and [`Service`]: the service; [`ServeConfig`]: its settings.
//! * [`publish_model`]: makes a base model available; [`create_api_key`], [`list_api_keys`] and [`revoke_api_key`]: who may come in.
//! * Inside: [`s3`] the object store, [`data_dir`] lock and secrets, [`resume`] picking up after a crash, [`worker`] the queue's consumer,
//!   [`drain`] ending a slice early, [`site`] the page's headers.
//!
//! Invariant: nothing here listens on anything but 127.0.0.1.

mod config;
mod data_dir;
mod drain;
mod error;
mod models;
mod offline;
mod resume;
mod s3;
mod service;
mod site;
mod worker;

#[cfg(test)]
mod test_http;
#[cfg(test)]
mod test_model;

pub use api_function::{OsEntropy, create_api_key, list_api_keys, revoke_api_key};
pub use config::ServeConfig;
pub use error::LocalError;
pub use models::publish_model;
pub use offline::{OfflineStore, open_data_dir};
pub use service::{Service, start};
