//! `key`: API keys.

use crate::args::KeyCommand;
use crate::commands::store;
use api_function::OsEntropy;
use jobs::SystemClock;
use protocol::id::TenantId;

/// Makes a key, stores its hash and prints the key.
pub(crate) fn run(command: KeyCommand) -> anyhow::Result<()> {
    let KeyCommand::Create { tenant, target } = command;
    let tenant = TenantId::parse(&tenant)?;
    let key = store::with(&target, async |store| {
        Ok(local::create_api_key(store, &tenant, &OsEntropy, &SystemClock::new()).await?)
    })?;
    println!("{key}");
    eprintln!("This key of tenant `{tenant}` is shown once; only its hash is stored.");
    Ok(())
}
