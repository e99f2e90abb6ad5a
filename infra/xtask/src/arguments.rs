//! The words after `cargo xtask`, parsed once.

use crate::stages::STAGES;

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Show the usage.
    Help,
    /// Name the stages of `test`.
    Stages,
    /// Build the page's WASM.
    BuildPage,
    /// Run the demo with these arguments.
    Demo(Vec<String>),
    /// Build the page, then run the service with these arguments.
    Serve(Vec<String>),
    /// Deploy with these arguments.
    Deploy(Vec<String>),
    /// Run a benchmark with these arguments.
    Bench(Bench, Vec<String>),
    /// Run the tests.
    Test(Selection),
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bench {
    /// Gaussian values per second, beside other generators.
    Noise,
    /// Time of one accountant query.
    Accountant,
    /// The one-run privacy audit.
    Audit,
    /// Tokens per second of the page's worker, beside TensorFlow.js.
    Perturb,
    /// Words per second and quality of word vectors, beside gensim.
    Word2vec,
    /// What training makes of perturbed text, with and without knowing the channel.
    Channel,
    /// Samples per second of the trainer, beside peft and Opacus.
    Trainer,
    /// A job on several workers: measured here, and a model of it on Lambda.
    FanOut,
    /// Uploads, jobs and polls in great number, and small calls beside a plain handler.
    Load,
}

impl Bench {
    const ALL: [(&'static str, Self); 9] = [
        ("noise", Self::Noise),
        ("accountant", Self::Accountant),
        ("audit", Self::Audit),
        ("perturb", Self::Perturb),
        ("word2vec", Self::Word2vec),
        ("channel", Self::Channel),
        ("trainer", Self::Trainer),
        ("fan-out", Self::FanOut),
        ("load", Self::Load),
    ];
}

/// Which stages of `test` run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    only: Vec<String>,
    skip: Vec<String>,
}

impl Selection {
    /// True when the stage `name` is to run.
    pub(crate) fn holds(&self, name: &str) -> bool {
        let named = |names: &[String]| names.iter().any(|other| other == name);
        (self.only.is_empty() || named(&self.only)) && !named(&self.skip)
    }
}

/// Parses the words after `cargo xtask`.
///
/// # Errors
/// One sentence that says what to do.
pub(crate) fn parse(words: &[String]) -> Result<Request, String> {
    let Some((command, rest)) = words.split_first() else { return Ok(Request::Help) };
    match command.as_str() {
        "help" | "--help" | "-h" => Ok(Request::Help),
        "stages" => Ok(Request::Stages),
        "build-page" => Ok(Request::BuildPage),
        "demo" => Ok(Request::Demo(rest.to_vec())),
        "serve" => Ok(Request::Serve(rest.to_vec())),
        "deploy" => Ok(Request::Deploy(rest.to_vec())),
        "bench" => bench(rest),
        "test" => selection(rest).map(Request::Test),
        other => Err(format!("there is no command `{other}`; `cargo xtask help` names them")),
    }
}

fn bench(words: &[String]) -> Result<Request, String> {
    let known = || Bench::ALL.map(|(name, _)| name).join(", ");
    let (name, rest) = words.split_first().ok_or_else(|| format!("`bench` needs a name: {}", known()))?;
    let found = Bench::ALL.into_iter().find(|(known, _)| known == name);
    let (_, bench) = found.ok_or_else(|| format!("there is no benchmark `{name}`; there are {}", known()))?;
    Ok(Request::Bench(bench, rest.to_vec()))
}

fn selection(words: &[String]) -> Result<Selection, String> {
    let mut selection = Selection::default();
    let mut words = words.iter();
    while let Some(flag) = words.next() {
        let list = match flag.as_str() {
            "--only" => &mut selection.only,
            "--skip" => &mut selection.skip,
            other => return Err(format!("`test` takes --only STAGE and --skip STAGE, not `{other}`")),
        };
        let name = words.next().ok_or_else(|| format!("{flag} needs the name of a stage: {}", names()))?;
        if !STAGES.iter().any(|stage| stage.name == name) {
            return Err(format!("there is no stage `{name}`; the stages are {}", names()));
        }
        list.push(name.clone());
    }
    Ok(selection)
}

fn names() -> String {
    STAGES.map(|stage| stage.name).join(", ")
}

#[cfg(test)]
#[path = "arguments_tests.rs"]
mod tests;
