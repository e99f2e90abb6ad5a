//! A one-run privacy audit of the trainer.
//!
//! An accountant proves that training spends *at most* ε; it cannot see a bug that breaks its assumptions. An audit
//! measures from the other side: it plants canaries, each in the data or not by a fair coin, trains once, guesses the
//! coins from what training released, and computes the ε that so many right guesses rule out (Steinke, Nasr & Jagielski,
//! *Privacy Auditing with One (1) Training Run*, 2023). A bound above the claim proves a bug. A bound below it proves
//! nothing, unless the same audit is seen to catch trainers that are broken on purpose: [`broken`] has five.
//!
//! ```text
//! coins ─▶ canaries ─▶ finetune::Trainer (honest or broken mechanism) ─▶ every step's noisy mean gradient
//!   └──────────────── compare ◀── guesses ◀── attacks ◀──────────────────────────┘
//!                        └─▶ right guesses ─▶ bound ─▶ verdict against the plan's ε
//! ```
//!
//! Reading order: [`bound`] (the mathematics), [`canaries`], [`attacks`], [`finding`], [`broken`], [`white_box`] (all of it together);
//! [`black_box`] does the same with the shipped model and the losses of the adapter it trains.

pub mod attacks;
pub mod black_box;
pub mod bound;
pub mod broken;
pub mod canaries;
mod error;
pub mod finding;
pub mod white_box;

pub use error::AuditError;
