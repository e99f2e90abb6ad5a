//! Writes `seeds/` anew, after a format changed: `cargo run --release --package fuzz --example write_seeds`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    for (target, seeds) in fuzz::seeds::all() {
        std::fs::create_dir_all(folder.join(target))?;
        for (name, bytes) in seeds {
            std::fs::write(folder.join(target).join(name), bytes)?;
        }
    }
    Ok(())
}
