//! The page's WASM: a thin face over the crate `perturb`, run by the page's worker.
//!
//! * [`workbench`]: one text on its way from a file to perturbed tokens; all logic, no browser.
//! * [`setting`]: what the page asks of the channel.
//! * [`preview`]: the text beside an example of what would be sent.
//! * [`consequences`]: what a privacy setting means, in numbers that a sentence can carry.
//! * `face` (wasm32 only): the one struct that JavaScript sees, with the browser's randomness.
//!
//! Invariant: the original text enters by `check` and is never in an error or a console message; only `preview` shows it, to the page.

pub mod consequences;
pub mod error;
#[cfg(target_arch = "wasm32")]
mod face;
pub mod preview;
pub mod setting;
pub mod workbench;
