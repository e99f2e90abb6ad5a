use super::*;

fn shell(script: &str) -> Command {
    Command::new(Path::new("/"), "sh").args(["-c", script])
}

#[test]
fn watches_standard_output_only() {
    let output = shell("echo one; echo two >&2; printf three").watch().expect("sh runs");
    assert!(output.success);
    assert_eq!(output.text, "one\nthree\n");
}

#[test]
fn captures_both_and_the_exit_status() {
    let output = shell("echo one; echo two >&2; exit 3").capture().expect("sh runs");
    assert!(!output.success);
    assert_eq!(output.text, "one\ntwo\n");
}

#[test]
fn sets_folder_and_environment() {
    let output = shell("echo $PWD $COLOUR").env("COLOUR", "blue").capture().expect("sh runs");
    assert_eq!(output.text, "/ blue\n");
}

#[test]
fn a_failure_names_the_command() {
    let failure = shell("exit 1").run().expect_err("it exits with 1");
    assert_eq!(failure.to_string(), "`sh -c exit 1` failed; its output is above");
    let failure = Command::new(Path::new("/"), "no-such-program").run().expect_err("it does not exist");
    assert!(failure.to_string().starts_with("cannot run `no-such-program`"), "{failure}");
}
