//! The worker: one queue message, one training slice.
//!
//! ```text
//! SqsEvent ─ handler ─▶ jobs::run_message ─▶ FinetuneRunner: fetch ─▶ data, plan ─▶ training … until the deadline
//!                                                                                     ├─▶ checkpoint, to be continued
//!                                                                                     └─▶ adapter_folder, certificate
//! ```
//!
//! This is the only place where the trainer (`finetune`) and the durable jobs (`jobs`) meet. Local mode calls [`handle`] with the very events that
//! Lambda would send.

mod adapter_folder;
mod data;
mod fetch;
pub mod handler;
mod model_card;
mod plan;
mod problem;
mod runner;
mod training;

pub use handler::{Worker, handle, handle_dead_letters};
pub use runner::{FinetuneRunner, Settings};

#[cfg(test)]
mod fixtures;
