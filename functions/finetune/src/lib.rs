//! The worker: one queue message, one training slice.
//!
//! ```text
//! SqsEvent ─ handler ─▶ jobs::run_message ─▶ FinetuneRunner: fetch ─▶ data, config ─▶ training … until the deadline
//!                                                                                     ├─▶ checkpoint, to be continued
//!                                                                                     └─▶ adapter_folder, certificate
//! ```
//!
//! The privacy plan is not made here: it came with the job, and was charged before. [`signing`] keeps the key that certificates are signed with;
//! the command line's own training uses [`config`] and [`adapter_folder`] too. On Lambda, [`metrics`] counts what was done and `invocation` ties log
//! lines to requests.
//!
//! This is the only place where the trainer (`finetune`) and the durable jobs (`jobs`) meet. Local mode calls [`handle`] with the very events that
//! Lambda would send.

pub mod adapter_folder;
pub mod config;
mod data;
mod fetch;
pub mod handler;
#[cfg(feature = "lambda")]
pub mod invocation;
mod losses;
pub mod metrics;
mod model_card;
mod problem;
mod runner;
pub mod signing;
mod training;

pub use handler::{Worker, handle, handle_dead_letters};
pub use metrics::Metrics;
pub use runner::{FinetuneRunner, Settings};

#[cfg(test)]
mod fixtures;
