//! What the browser tests need: [`browser`], a Chromium of our own; [`netlog`], every byte that it sent; [`leak`], the search for original
//! text in those bytes; [`service`], the real service in this process.
//!
//! The tests are `#[ignore]`d, for they need Chromium: run them with `cargo test --release -p browser-tests -- --ignored`.

pub mod browser;
mod driver;
pub mod leak;
pub mod netlog;
pub mod service;
