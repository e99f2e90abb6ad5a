//! Child processes: each is shown before it runs, and a failure says which command it was.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Why something could not be done, in one sentence for a person.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure(String);

impl Failure {
    /// A failure that says `message`.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a command printed, and whether it succeeded.
pub(crate) struct Output {
    /// True when it exited with 0.
    pub(crate) success: bool,
    /// Its standard output; for [`Command::capture`] followed by its standard error.
    pub(crate) text: String,
}

/// A command to run in a folder.
pub(crate) struct Command {
    folder: PathBuf,
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl Command {
    /// `program`, to be run in `folder`.
    pub(crate) fn new(folder: &Path, program: impl AsRef<OsStr>) -> Self {
        Self {
            folder: folder.to_owned(),
            program: program.as_ref().to_owned(),
            arguments: vec![],
            environment: vec![],
        }
    }

    /// Adds arguments.
    pub(crate) fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Runs it with its output on the terminal.
    ///
    /// # Errors
    /// When it cannot start or does not exit with 0.
    pub(crate) fn run(self) -> Result<(), Failure> {
        println!("$ {self}");
        let status = self.prepare().status().map_err(|error| self.cannot_start(&error))?;
        if status.success() { Ok(()) } else { Err(self.failed()) }
    }

    /// Runs it, shows its output and returns what it wrote to standard output.
    ///
    /// # Errors
    /// When it cannot start.
    pub(crate) fn watch(self) -> Result<Output, Failure> {
        println!("$ {self}");
        let mut child =
            self.prepare().stdout(Stdio::piped()).spawn().map_err(|error| self.cannot_start(&error))?;
        let mut text = String::new();
        // The line above asked for a pipe.
        let stdout = child.stdout.take().expect("standard output is a pipe");
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.map_err(|error| self.cannot_start(&error))?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            text.push_str(&line);
            text.push('\n');
        }
        let status = child.wait().map_err(|error| self.cannot_start(&error))?;
        Ok(Output { success: status.success(), text })
    }

    /// Runs it silently and returns everything it wrote.
    ///
    /// # Errors
    /// When it cannot start.
    pub(crate) fn capture(self) -> Result<Output, Failure> {
        let output =
            self.prepare().stdin(Stdio::null()).output().map_err(|error| self.cannot_start(&error))?;
        let text =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        Ok(Output { success: output.status.success(), text })
    }

    fn prepare(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command.current_dir(&self.folder).args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn cannot_start(&self, error: &std::io::Error) -> Failure {
        Failure(format!("cannot run `{self}`: {error}"))
    }

    fn failed(&self) -> Failure {
        Failure(format!("`{self}` failed; its output is above"))
    }
}

impl fmt::Display for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", Path::new(&self.program).display())?;
        self.arguments.iter().try_for_each(|argument| write!(formatter, " {}", Path::new(argument).display()))
    }
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
