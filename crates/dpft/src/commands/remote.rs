//! `submit`, `status`, `budget` and `download`: a client of a running service.

use crate::args::{BudgetArgs, DownloadArgs, JobArgs, Remote, SubmitArgs};
use crate::client::Client;
use crate::{edge, files, show};
use anyhow::{Context as _, bail};
use protocol::api::{CreateJob, JobObject, Method};
use protocol::state::Status;
use std::path::Path;
use std::time::Duration;

/// Pause between two looks at a job: slow enough to cost nothing, quick enough for a person.
const POLL: Duration = Duration::from_secs(1);

/// Uploads and starts a job.
pub(crate) fn submit(args: SubmitArgs) -> anyhow::Result<()> {
    let settings = serde_json::from_str(&args.settings).context("--settings is not the method's JSON")?;
    let client = connect(&args.remote);
    let file = client.upload("training.dptok", &edge::read(&args.data)?)?;
    let method = Some(Method { r#type: "dp_lora".into(), dp_lora: settings });
    let request = CreateJob {
        model: args.model,
        training_file: file.id.to_string(),
        method,
        suffix: None,
        metadata: None,
    };
    let job = client.create_job(&request)?;
    println!("{}", job.id);
    if args.wait {
        let job = follow(&client, job)?;
        println!("{}", show::job_line(&job));
    }
    Ok(())
}

/// Shows a job.
pub(crate) fn status(args: JobArgs) -> anyhow::Result<()> {
    let job = connect(&args.remote).job(&args.job)?;
    println!("{}", show::job_line(&job));
    Ok(())
}

/// Shows the account of a file.
pub(crate) fn budget(args: BudgetArgs) -> anyhow::Result<()> {
    let account = connect(&args.remote).budget(&args.file)?;
    if args.json {
        println!("{}", serde_json::to_string(&account)?);
    } else {
        let at = account.delta.map(|delta| format!(" at delta = {delta}")).unwrap_or_default();
        let (spent, limit, jobs) = (account.epsilon_spent, account.budget_epsilon, account.charges.len());
        println!("epsilon {spent:.4} of {limit} spent{at}, by {jobs} jobs");
    }
    Ok(())
}

/// Downloads a job's adapter folder.
pub(crate) fn download(args: DownloadArgs) -> anyhow::Result<()> {
    let client = connect(&args.remote);
    let job = client.job(&args.job)?;
    download_to(&client, &job, &args.out)?;
    println!("{}", args.out.display());
    Ok(())
}

/// Writes the adapter folder of a finished job.
pub(crate) fn download_to(client: &Client, job: &JobObject, out: &Path) -> anyhow::Result<()> {
    if job.status != Status::Succeeded {
        bail!("the job has no adapter: {}", show::job_line(job));
    }
    let folder =
        job.result_files.iter().map(|id| client.download(id.as_str())).collect::<anyhow::Result<Vec<_>>>()?;
    files::write_folder(out, &folder)
}

/// Shows a job's progress until it is final; fails when the job does.
pub(crate) fn follow(client: &Client, mut job: JobObject) -> anyhow::Result<JobObject> {
    let bar = show::bar(job.progress.total_steps, "training");
    while !job.status.is_final() {
        wait(POLL);
        job = client.job(job.id.as_str())?;
        bar.set_length(job.progress.total_steps);
        bar.set_position(job.progress.step);
        bar.set_prefix(format!(
            "steps, ε {:.2} of {:.2}",
            job.progress.epsilon_spent, job.progress.epsilon_target
        ));
    }
    bar.finish_and_clear();
    match &job.error {
        Some(error) => bail!("the job failed: {}", error.message),
        None => Ok(job),
    }
}

/// Deletes a job and prints what is left of it.
pub(crate) fn delete(args: JobArgs) -> anyhow::Result<()> {
    let receipt = connect(&args.remote).delete_job(&args.job)?;
    println!("{}", serde_json::to_string_pretty(&receipt)?);
    Ok(())
}

fn connect(remote: &Remote) -> Client {
    Client::new(&remote.url, &remote.api_key)
}

#[allow(
    clippy::disallowed_methods,
    reason = "a client that polls a service over HTTP has nothing to wait on but time"
)]
fn wait(pause: Duration) {
    std::thread::sleep(pause);
}
