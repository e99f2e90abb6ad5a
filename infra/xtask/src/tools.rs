//! What the tests need beyond cargo: found, or installed with a line that says so.
//!
//! A fresh Debian 12 with rustup, gcc and python3 is enough. Everything but Debian packages goes under `target/`.

use crate::page::WASM;
use crate::process::{Command, Failure};
use std::path::{Path, PathBuf};

/// cargo-deny, pinned: a newer one may know new rules.
const CARGO_DENY: &str = "0.20.2";

/// cargo-fuzz, pinned as well: its flags to the compiler are those that this toolchain was tried with.
const CARGO_FUZZ: &str = "0.13.2";

/// Adds the WASM target to the Rust toolchain.
pub(crate) fn wasm_target(root: &Path) -> Result<(), Failure> {
    rust_target(root, WASM)
}

/// Adds a target to the Rust toolchain.
pub(crate) fn rust_target(root: &Path, target: &str) -> Result<(), Failure> {
    let installed = Command::new(root, "rustup").args(["target", "list", "--installed"]).capture()?;
    if installed.text.lines().any(|line| line == target) {
        return Ok(());
    }
    println!("installing: Rust's target {target}");
    Command::new(root, "rustup").args(["target", "add", target]).run()
}

/// Adds a component, such as clippy, to the Rust toolchain.
pub(crate) fn component(root: &Path, name: &str) -> Result<(), Failure> {
    let installed = Command::new(root, "rustup").args(["component", "list", "--installed"]).capture()?;
    if installed.text.lines().any(|line| line.starts_with(name)) {
        return Ok(());
    }
    println!("installing: Rust's component {name}");
    Command::new(root, "rustup").args(["component", "add", name]).run()
}

/// cargo-deny's path. Its own dependencies take a few minutes, once.
pub(crate) fn cargo_deny(root: &Path) -> Result<PathBuf, Failure> {
    cargo_tool(root, "cargo-deny", CARGO_DENY, &["--no-default-features"])
}

/// The path of a program that `cargo install` makes, in this version.
fn cargo_tool(root: &Path, name: &str, version: &str, options: &[&str]) -> Result<PathBuf, Failure> {
    let tools = root.join("target/tools");
    let program = tools.join("bin").join(name);
    let known = program.exists()
        && Command::new(root, &program).args(["--version"]).capture()?.text.contains(version);
    if known {
        return Ok(program);
    }
    println!("installing: {name} {version} into {} (a few minutes, once)", tools.display());
    let build = tools.join("build");
    Command::new(root, "cargo")
        .args(["install", name, "--version", version, "--locked", "--force"])
        .args(options)
        .args([Path::new("--root"), &tools, Path::new("--target-dir"), &build])
        // It runs for a second, so compiling it fast matters more than its speed.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .run()?;
    // Only the program is needed again. That the folder stays behind would be no harm.
    let _ = std::fs::remove_dir_all(build);
    Ok(program)
}

/// cargo-fuzz's path.
pub(crate) fn cargo_fuzz(root: &Path) -> Result<PathBuf, Failure> {
    cargo_tool(root, "cargo-fuzz", CARGO_FUZZ, &[])
}

/// A C++ compiler, for libFuzzer itself.
pub(crate) fn cpp_compiler(root: &Path) -> Result<(), Failure> {
    if on_path(root, "c++") { Ok(()) } else { debian_packages(root, &["g++"]) }
}

/// The folder of a Python environment's programs, with the packages of infra/aws/requirements.txt.
pub(crate) fn python(root: &Path) -> Result<PathBuf, Failure> {
    environment(root, "target/venv", "infra/aws/requirements.txt")
}

/// checkov, in an environment of its own: it wants older packages than the other tools.
pub(crate) fn checkov(root: &Path) -> Result<PathBuf, Failure> {
    Ok(environment(root, "target/checkov", "infra/aws/requirements-checkov.txt")?.join("checkov"))
}

/// The folder of the programs that `sam build` cross-compiles with.
pub(crate) fn lambda_build(root: &Path) -> Result<PathBuf, Failure> {
    environment(root, "target/lambda-build", "infra/aws/requirements-build.txt")
}

/// A Python with torch, peft and Opacus, the peers of the trainer: about 6 GB, for torch brings its CUDA libraries.
pub(crate) fn trainer_peers(root: &Path) -> Result<PathBuf, Failure> {
    let programs =
        environment(root, "target/bench-trainer-venv", "crates/finetune/fixtures/requirements.txt")?;
    Ok(programs.join("python"))
}

/// The programs of the Python environment `folder` with the packages of the file `requirements`, both below `root`.
fn environment(root: &Path, folder: &str, requirements: &str) -> Result<PathBuf, Failure> {
    let folder = root.join(folder);
    let programs = folder.join("bin");
    let wanted = read(&root.join(requirements))?;
    let stamp = folder.join("requirements.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(programs);
    }
    create_environment(root, &folder)?;
    println!("installing: the Python packages of {requirements} into {}", folder.display());
    Command::new(root, programs.join("python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(["--requirement", requirements])
        .run()?;
    // Written last, so that an installation that was cut short is repeated.
    std::fs::write(&stamp, wanted)
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", stamp.display())))?;
    Ok(programs)
}

fn create_environment(root: &Path, folder: &Path) -> Result<(), Failure> {
    let create = || Command::new(root, "python3").args(["-m", "venv", "--clear"]).args([folder]).capture();
    if create()?.success {
        return Ok(());
    }
    debian_packages(root, &["python3-venv"])?;
    let second = create()?;
    if second.success {
        Ok(())
    } else {
        Err(Failure::new(format!("python3 -m venv failed: {}", second.text.trim())))
    }
}

/// An emulator of arm64 and a checker of memory accesses, for the kernels.
pub(crate) fn emulator_and_valgrind(root: &Path) -> Result<(), Failure> {
    if on_path(root, ARM64_EMULATOR) && on_path(root, "valgrind") {
        return Ok(());
    }
    // libc6-dbg: valgrind must find the functions that it watches.
    debian_packages(root, &["qemu-user-static", "valgrind", "libc6-dbg"])
}

/// Runs programs for arm64 on another processor.
pub(crate) const ARM64_EMULATOR: &str = "qemu-aarch64-static";

/// Chromium and its driver, for the browser tests.
pub(crate) fn chromium(root: &Path) -> Result<(), Failure> {
    if on_path(root, "chromium") && on_path(root, "chromedriver") {
        return Ok(());
    }
    debian_packages(root, &["chromium", "chromium-driver"])
}

fn on_path(root: &Path, program: &str) -> bool {
    Command::new(root, program).args(["--version"]).capture().is_ok_and(|output| output.success)
}

fn debian_packages(root: &Path, packages: &[&str]) -> Result<(), Failure> {
    let list = packages.join(" ");
    let is_root =
        Command::new(root, "id").args(["-u"]).capture().is_ok_and(|output| output.text.trim() == "0");
    if !is_root || !on_path(root, "apt-get") {
        return Err(Failure::new(format!(
            "{list} missing. Install it first, on Debian by `sudo apt-get install {list}`"
        )));
    }
    println!("installing: Debian packages {list}");
    Command::new(root, "apt-get").args(["update", "-qq"]).run()?;
    Command::new(root, "apt-get")
        .args(["install", "--yes", "--quiet", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .run()
}

/// The folder of TensorFlow.js and its WASM backend, the peer that perturbation in the browser is measured beside.
pub(crate) fn tensorflow_js(root: &Path) -> Result<PathBuf, Failure> {
    const CORE: &str = "@tensorflow/tfjs";
    const BACKEND: &str = "@tensorflow/tfjs-backend-wasm";
    let (folder, files) = (root.join("target/tfjs"), root.join("target/tfjs/files"));
    if files.join("done").exists() {
        return Ok(files);
    }
    let failed = |error: std::io::Error| Failure::new(format!("cannot make {}: {error}", files.display()));
    std::fs::create_dir_all(&files).map_err(failed)?;
    println!("installing: TensorFlow.js 4.22.0 into {}", folder.display());
    Command::new(root, "npm")
        .args(["install", "--no-save", "--no-package-lock", "--prefix"])
        .args([folder.as_path()])
        .args([format!("{CORE}@4.22.0"), format!("{BACKEND}@4.22.0")])
        .run()?;
    for (package, name) in [
        (CORE, "tf.min.js"),
        (BACKEND, "tf-backend-wasm.min.js"),
        (BACKEND, "tfjs-backend-wasm.wasm"),
        (BACKEND, "tfjs-backend-wasm-simd.wasm"),
        (BACKEND, "tfjs-backend-wasm-threaded-simd.wasm"),
    ] {
        let source = folder.join("node_modules").join(package).join("dist").join(name);
        std::fs::copy(&source, files.join(name)).map_err(failed)?;
    }
    // Written last, so that an installation that was cut short is repeated.
    std::fs::write(files.join("done"), "").map_err(failed)?;
    Ok(files)
}

/// A Python with gensim, the peer that word vectors are measured beside.
pub(crate) fn gensim(root: &Path) -> Result<PathBuf, Failure> {
    let folder = root.join("target/gensim");
    let python = folder.join("bin/python");
    if Command::new(root, &python).args(["-c", "import gensim"]).capture().is_ok_and(|output| output.success)
    {
        return Ok(python);
    }
    create_environment(root, &folder)?;
    println!("installing: gensim 4.4.0 into {}", folder.display());
    Command::new(root, &python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "gensim==4.4.0"])
        .run()?;
    Ok(python)
}

/// A file's text.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
}
