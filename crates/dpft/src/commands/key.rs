//! `key`: API keys. A tenant may have several, so that one can be replaced without a pause: create the new key, move the callers over, revoke the
//! old one.

use crate::args::{KeyCommand, Target};
use crate::commands::store;
use crate::show;
use api_function::{ApiKeyInfo, OsEntropy};
use jobs::SystemClock;
use protocol::id::TenantId;
use std::time::Duration;

const DAY_SECONDS: u64 = 24 * 3600;

/// Makes, lists or revokes keys.
pub(crate) fn run(command: KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::Create { tenant, expires_in, target } => create(&tenant, expires_in, &target),
        KeyCommand::List { target } => list(&target),
        KeyCommand::Revoke { hash, target } => revoke(&hash, &target),
    }
}

/// Makes a key, stores its hash and prints the key.
fn create(tenant: &str, days: Option<u64>, target: &Target) -> anyhow::Result<()> {
    let tenant = TenantId::parse(tenant)?;
    let valid_for = days.map(|days| Duration::from_secs(days * DAY_SECONDS));
    let key = store::with(target, async |store| {
        Ok(local::create_api_key(store, &tenant, valid_for, &OsEntropy, &SystemClock::new()).await?)
    })?;
    println!("{key}");
    let end = days.map_or("does not expire".to_owned(), |days| format!("expires in {days} days"));
    eprintln!("This key of tenant `{tenant}` {end}. It is shown once; only its hash is stored.");
    Ok(())
}

fn list(target: &Target) -> anyhow::Result<()> {
    println!("hash\ttenant\tcreated\texpires\trevoked");
    for key in store::with(target, async |store| Ok(local::list_api_keys(store).await?))? {
        println!("{}", row(&key));
    }
    Ok(())
}

/// One line of the list; times are UTC.
fn row(key: &ApiKeyInfo) -> String {
    let time = |seconds: Option<u64>| seconds.map_or("-".to_owned(), show::utc);
    let entry = &key.entry;
    let (created, expires, revoked) =
        (show::utc(entry.created_at), time(entry.expires_at), time(entry.revoked_at));
    format!("{}\t{}\t{created}\t{expires}\t{revoked}", key.shown(), entry.tenant)
}

fn revoke(hash: &str, target: &Target) -> anyhow::Result<()> {
    let key =
        store::with(
            target,
            async |store| Ok(local::revoke_api_key(store, hash, &SystemClock::new()).await?),
        )?;
    println!("{}", row(&key));
    eprintln!("A running service refuses the key as soon as it forgets it, within a minute.");
    Ok(())
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
