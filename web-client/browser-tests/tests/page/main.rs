//! The page in Chromium, against the real service in this process.
//!
//! One test binary, so that the service starts and the model is published once.

mod bad_files;
mod cancel;
mod crash;
mod flow;
mod modules;
mod network;
mod policy;
mod scene;
mod scrambling;
