//! Does the simulation notice? The protocol is broken on purpose, one guard at a time, and each time the simulation must fail.
//!
//! The crates that the simulation needs are copied under `target/`, with a manifest of their own, so that nothing here touches the working tree.

use crate::counts::Counts;
use crate::process::{Command, Failure};
use crate::tools::read;
use std::path::{Path, PathBuf};

/// What the simulation is made of.
const MEMBERS: [&str; 6] =
    ["crates/dp", "crates/jobs", "crates/perturb", "crates/protocol", "functions/api", "infra/simulation"];

/// Seeds that a mutant may survive; most need a few dozen.
const SEEDS: &str = "10000";

/// A guard and what is left without it.
struct Mutant {
    name: &'static str,
    file: &'static str,
    guard: &'static str,
    broken: &'static str,
}

const MUTANTS: [Mutant; 9] = [
    Mutant {
        name: "a job's state is written whoever wrote it meanwhile",
        file: "crates/jobs/src/job_store.rs",
        guard: "self.put(&wanted, bytes.clone(), PutCondition::IfMatch(stored.etag))",
        broken: "self.put(&wanted, bytes.clone(), PutCondition::Always)",
    },
    Mutant {
        name: "a worker whose epoch is old may write",
        file: "crates/protocol/src/transition.rs",
        guard: "if epoch == current && state.lease.expires_at.is_some() {",
        broken: "if epoch <= current {",
    },
    Mutant {
        name: "a repeated request makes another job",
        file: "functions/api/src/jobs_api.rs",
        guard: "Some(key) => JobId::derived(&[tenant.0.as_str(), key]),",
        broken: "Some(_) => JobId::from_entropy(draw(&*state.entropy)),",
    },
    Mutant {
        name: "an account is written whoever wrote it meanwhile",
        file: "crates/jobs/src/ledger_store.rs",
        guard: "Some((ledger, etag)) => (ledger, PutCondition::IfMatch(etag)),",
        broken: "Some((ledger, _)) => (ledger, PutCondition::Always),",
    },
    Mutant {
        name: "a message that meets a live lease is deleted",
        file: "crates/jobs/src/driver.rs",
        guard: "JobStoreError::Refused(Refusal::LeaseHeld { until }) => Err(DriverError::Busy { until }),",
        broken: "JobStoreError::Refused(Refusal::LeaseHeld { .. }) => Ok(Outcome::Dropped),",
    },
    Mutant {
        name: "a slice whose next message may be missing is not asked for",
        file: "crates/jobs/src/driver.rs",
        guard: "context.queue.send(&next, Duration::ZERO).await?;",
        broken: "let _ = &next;",
    },
    Mutant {
        name: "a shard that cannot be looked for counts as stored",
        file: "crates/jobs/src/fan_out.rs",
        guard: "Err(StoreError::NotFound { .. }) => self.compute_shard(shard, attempt).await?,\n            Err(error) => return Err(error.into()),",
        broken: "Err(StoreError::NotFound { .. }) => self.compute_shard(shard, attempt).await?,\n            Err(_) => {}",
    },
    Mutant {
        name: "each time that a job is put back to work shares one charge",
        file: "crates/protocol/src/state.rs",
        guard: "        0 => job.to_string(),",
        broken: "        _ if redrives < u32::MAX => job.to_string(),",
    },
    Mutant {
        name: "a deleted job leaves no receipt in its place",
        file: "crates/jobs/src/deletion.rs",
        guard: "let receipt = jobs.bury(tenant, job, &receipt).await?;",
        broken: "store.delete(&protocol::keys::job_state(tenant, job)).await?;",
    },
];

/// Breaks the protocol in every way of [`MUTANTS`] and runs the simulation on each.
///
/// # Errors
/// When a mutant cannot be made or built: its guard is not in the source any more, for instance.
pub(crate) fn run(root: &Path) -> Result<Counts, Failure> {
    let copy = root.join("target/mutants");
    copy_members(root, &copy)?;
    let mut counts = Counts::default();
    for mutant in &MUTANTS {
        let file = copy.join(mutant.file);
        let source = read(&file)?;
        write(&file, &mutated(mutant, &source)?)?;
        let noticed = is_noticed(root, &copy, mutant);
        write(&file, &source)?;
        match noticed? {
            Some(seed) => {
                println!("noticed: {} ({seed})", mutant.name);
                counts.passed += 1;
            }
            None => {
                println!("error: the simulation holds although {}", mutant.name);
                counts.failed += 1;
            }
        }
    }
    Ok(counts)
}

/// The first seed that failed, if any did.
fn is_noticed(root: &Path, copy: &Path, mutant: &Mutant) -> Result<Option<String>, Failure> {
    let target = root.join("target/mutants-build");
    let build = Command::new(copy, "cargo").args(["build", "--release", "--package", "simulation"]);
    // A mutant is built for seconds of running, and then again with one line changed.
    let built = build
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_INCREMENTAL", "true")
        .capture()?;
    if !built.success {
        return Err(Failure::new(format!("cannot build without \"{}\": {}", mutant.guard, built.text)));
    }
    let ended = Command::new(copy, target.join("release/simulation")).args(["--seeds", SEEDS]).capture()?;
    let seed = ended.text.lines().find(|line| line.starts_with("seed ")).map(|line| {
        let end = line.find(" failed").unwrap_or(line.len());
        line[..end].to_owned()
    });
    match (ended.success, seed) {
        (true, _) => Ok(None),
        (false, Some(seed)) => Ok(Some(seed)),
        (false, None) => Err(Failure::new(format!("the simulation broke off: {}", ended.text))),
    }
}

/// The source without its guard.
fn mutated(mutant: &Mutant, source: &str) -> Result<String, Failure> {
    match source.matches(mutant.guard).count() {
        1 => Ok(source.replace(mutant.guard, mutant.broken)),
        found => Err(Failure::new(format!(
            "{} holds \"{}\" {found} times, not once: adapt infra/xtask/src/mutants.rs",
            mutant.file, mutant.guard
        ))),
    }
}

/// Copies the members' sources, leaving alone what has not changed, so that little is built again.
fn copy_members(root: &Path, copy: &Path) -> Result<(), Failure> {
    let manifest = read(&root.join("Cargo.toml"))?;
    write(&copy.join("Cargo.toml"), &reduced(&manifest))?;
    for name in ["Cargo.lock", "clippy.toml"] {
        write(&copy.join(name), &read(&root.join(name))?)?;
    }
    for member in MEMBERS {
        write(&copy.join(member).join("Cargo.toml"), &read(&root.join(member).join("Cargo.toml"))?)?;
        copy_sources(&root.join(member).join("src"), &copy.join(member).join("src"))?;
    }
    // Named in manifests, and not compiled here.
    for file in ["crates/dp/benches/noise.rs", "crates/dp/benches/accountant.rs"] {
        write(&copy.join(file), "fn main() {}\n")?;
    }
    Ok(())
}

/// The workspace's manifest with [`MEMBERS`] alone.
fn reduced(manifest: &str) -> String {
    let list: String = MEMBERS.iter().map(|member| format!("    \"{member}\",\n")).collect();
    match (manifest.find("members = ["), manifest.find("]\n\n")) {
        (Some(start), Some(end)) => format!("{}members = [\n{list}{}", &manifest[..start], &manifest[end..]),
        _ => manifest.to_owned(),
    }
}

fn copy_sources(from: &Path, to: &Path) -> Result<(), Failure> {
    let unreadable = |error| Failure::new(format!("cannot read {}: {error}", from.display()));
    for entry in std::fs::read_dir(from).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let target: PathBuf = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_sources(&path, &target)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            write(&target, &read(&path)?)?;
        }
    }
    Ok(())
}

/// Writes a file, unless it holds just that already.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    if std::fs::read_to_string(path).is_ok_and(|have| have == text) {
        return Ok(());
    }
    let written = match path.parent() {
        Some(folder) => std::fs::create_dir_all(folder).and_then(|()| std::fs::write(path, text)),
        None => std::fs::write(path, text),
    };
    written.map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))
}

#[cfg(test)]
#[path = "mutants_tests.rs"]
mod tests;
