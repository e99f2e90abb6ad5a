//! `verify`: checks a certificate offline: its signature, ε by the accountant, and the files it speaks of.

use crate::args::VerifyArgs;
use crate::{edge, files, show};
use anyhow::{Context as _, bail};
use protocol::signature::SignatureError;
use protocol::verify::{Verification, verify};
use std::collections::BTreeMap;
use std::path::Path;

/// Prints what holds and fails when anything does not.
pub(crate) fn run(args: VerifyArgs) -> anyhow::Result<()> {
    let text = String::from_utf8(edge::read(&args.certificate)?)
        .with_context(|| format!("{} is not text", args.certificate.display()))?;
    let mut found =
        verify(&text).with_context(|| format!("{} cannot be checked", args.certificate.display()))?;
    if args.allow_unsigned {
        let unsigned = SignatureError::Unsigned.to_string();
        found.problems.retain(|problem| *problem != unsigned);
    }
    check_key(&args, &mut found);
    let folder = args.certificate.parent().unwrap_or(Path::new(""));
    let hashes = found.certificate.hashes.clone();
    check_files(folder, &hashes.adapter, &mut found.problems);
    if let Some(model) = &args.model {
        check_files(model, &hashes.base_model, &mut found.problems);
    }
    if let Some(data) = &args.data {
        check_file(data, &hashes.training_file, &mut found.problems);
    }
    report(&args, &found)
}

fn check_key(args: &VerifyArgs, found: &mut Verification) {
    if let (Some(expected), Ok(key)) = (&args.public_key, &found.signed_by)
        && !expected.eq_ignore_ascii_case(key)
    {
        found.problems.push(format!("it was signed by another key: {key}"));
    }
}

fn check_files(folder: &Path, hashes: &BTreeMap<String, String>, problems: &mut Vec<String>) {
    for (name, hash) in hashes {
        // A name with a path in it would point out of the folder; no certificate of ours has one.
        if Path::new(name).components().count() != 1 || name == ".." {
            problems.push(format!("`{name}` is no file name"));
        } else {
            check_file(&folder.join(name), hash, problems);
        }
    }
}

fn check_file(path: &Path, hash: &str, problems: &mut Vec<String>) {
    match edge::read(path) {
        Ok(bytes) if files::sha256(&bytes) == hash => {}
        Ok(_) => problems.push(format!("{} is not the file that was certified", path.display())),
        Err(error) => problems.push(show::error(&error)),
    }
}

fn report(args: &VerifyArgs, found: &Verification) -> anyhow::Result<()> {
    let key = found.signed_by.as_ref().ok();
    if args.json {
        let answer = serde_json::json!({
            "valid": found.problems.is_empty(), "problems": found.problems, "signed_by": key,
            "epsilon_stated": found.certificate.training.epsilon, "epsilon_recomputed": found.epsilon,
            "delta": found.certificate.training.delta,
        });
        println!("{answer}");
    } else {
        println!("{}", show::certificate(&found.certificate));
        if let Some(epsilon) = found.epsilon {
            println!("recomputed: epsilon = {epsilon:.6} at delta = {:e}", found.certificate.training.delta);
        }
        match (key, &args.public_key) {
            (Some(key), None) => {
                println!("signed by {key}: compare it with the service's published key, or give --public-key")
            }
            (Some(key), Some(_)) => println!("signed by {key}"),
            (None, _) => {}
        }
    }
    match found.problems.as_slice() {
        [] => Ok(()),
        problems => bail!("the certificate does not hold: {}", problems.join("; ")),
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
