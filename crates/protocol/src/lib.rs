//! The contract between the page, the API, the worker and the storage: nothing here does I/O.
//!
//! * [`id`]: validated names of tenants, files, jobs, uploads and models. A value of these types is always safe inside an object key.
//! * [`keys`]: where each object lies in the bucket.
//! * [`api`]: what travels over HTTP, shaped as OpenAI's fine-tuning API, and [`error`], its error body.
//! * [`hyperparameters`]: the `dp_lora` method's settings, validated once.
//! * [`state`]: a job's durable state, and [`transition`], the one pure function that may change it.
//! * [`message`]: the queue message that asks for one slice.
//! * [`certificate`]: what a finished job guarantees, `privacy.json`; [`signature`], who vouches for it, and [`verify`], which believes neither.
//!
//! Invariant: builds for wasm32 and never depends on candle, tokio or the AWS SDK (checked by `cargo xtask test`).

pub mod api;
pub mod certificate;
mod checks;
mod choices;
pub mod error;
pub mod hyperparameters;
pub mod id;
pub mod keys;
pub mod message;
pub mod receipt;
mod redacted;
pub mod signature;
pub mod state;
pub mod transition;
pub mod verify;

#[cfg(test)]
mod fixtures;
