//! `dpft`, the command line: everything the service does, on this machine, and a client for a service that runs elsewhere.
//!
//! Results go to stdout, progress and notes to stderr. An error is one line that says what to do, and a non-zero exit.
//!
//! This file is the edge: here, and in [`edge`], the clock, OS randomness and the environment are read; everything below gets them as arguments.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints")]

mod args;
mod client;
mod commands;
mod edge;
mod files;
mod show;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    edge::init_logging();
    match commands::run(args::Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", show::error(&error));
            ExitCode::FAILURE
        }
    }
}
