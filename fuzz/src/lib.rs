//! Fuzz targets for every parser of outside bytes, each a function of the bytes alone.
//!
//! ```text
//! fuzz_targets/{name}.rs ─ libFuzzer ─┐
//!                                     ├─▶ TARGETS[name](bytes): parse, and check what must hold of every result
//! tests/replay.rs ─ seeds, finds ─────┘
//! ```
//!
//! A target asserts more than the absence of a panic: what was read writes back to the same bytes or to an equal value,
//! memory stays bounded by the input ([`memory`]), and an error is one short line without control characters ([`check`]).
//! Where a format has a digest or a length in front, the target puts the right one there, so that what lies behind it is
//! reached ([`input`]).
//!
//! * `seeds/{name}`: small valid files; [`seeds`] writes them by the crates' own writers (`cargo run --release --package fuzz --example write_seeds`).
//! * `finds/{name}`: every input that once broke something.
//!
//! A new target is a module with `run`, a row of [`TARGETS`], a file in `fuzz_targets`, and its seeds.

pub mod adapter;
pub mod api;
pub mod certificate;
pub mod chat;
pub mod chat_template;
pub mod check;
pub mod checkpoint;
pub mod embedding;
pub mod fixtures;
pub mod input;
pub mod job_state;
pub mod json;
pub mod memory;
pub mod model_config;
pub mod neighbour_table;
pub mod seeds;
pub mod text;
pub mod tokenizer;
pub mod tokens;
pub mod vocabulary;
pub mod weights;

/// Counts what each thread holds, for [`memory::bounded`].
#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 16] = [
    ("adapter", adapter::run),
    ("api", api::run),
    ("certificate", certificate::run),
    ("chat", chat::run),
    ("chat_template", chat_template::run),
    ("checkpoint", checkpoint::run),
    ("embedding", embedding::run),
    ("job_state", job_state::run),
    ("json", json::run),
    ("model_config", model_config::run),
    ("neighbour_table", neighbour_table::run),
    ("text", text::run),
    ("tokenizer", tokenizer::run),
    ("tokens", tokens::run),
    ("vocabulary", vocabulary::run),
    ("weights", weights::run),
];
