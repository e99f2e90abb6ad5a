//! One module a command.

mod chat;
mod demo;
mod dry_run;
mod evaluate;
mod finetune;
mod generate;
mod key;
mod merge;
mod model;
mod operator;
mod perturb;
mod privacy;
mod remote;
mod report;
mod serve;
mod store;
mod tables;
mod verify;
mod word2vec;
mod worker;

use crate::args::Command;

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(args) => serve::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Perturb(args) => perturb::run(args),
        Command::Word2vec(args) => word2vec::run(args),
        Command::Account(args) => privacy::account(args),
        Command::Calibrate(args) => privacy::calibrate(args),
        Command::Finetune(args) => finetune::run(&args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Generate(args) => generate::run(args),
        Command::Merge(args) => merge::run(args),
        Command::Model(command) => model::run(command),
        Command::Key(command) => key::run(command),
        Command::Submit(args) => remote::submit(args),
        Command::Status(args) => remote::status(args),
        Command::Delete(args) => remote::delete(args),
        Command::Redrive(args) => operator::redrive(args),
        Command::Sweep(args) => operator::sweep(args),
        Command::Download(args) => remote::download(args),
        Command::Verify(args) => verify::run(args),
        Command::Budget(args) => remote::budget(args),
        Command::Worker => worker::run(),
    }
}
