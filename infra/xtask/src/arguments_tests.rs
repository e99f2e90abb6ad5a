use super::*;

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn selected(text: &str) -> Selection {
    match parse(&words(text)) {
        Ok(Request::Test(selection)) => selection,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn without_words_it_helps() {
    assert_eq!(parse(&[]), Ok(Request::Help));
}

#[test]
fn arguments_of_the_command_line_pass_through() {
    assert_eq!(parse(&words("serve --port 9000")), Ok(Request::Serve(words("--port 9000"))));
    assert_eq!(parse(&words("demo")), Ok(Request::Demo(vec![])));
    assert_eq!(parse(&words("deploy --emulated")), Ok(Request::Deploy(words("--emulated"))));
    assert_eq!(parse(&words("bench audit --seeds 2")), Ok(Request::Bench(Bench::Audit, words("--seeds 2"))));
}

#[test]
fn every_stage_runs_unless_told_otherwise() {
    let all = selected("test");
    assert!(STAGES.iter().all(|stage| all.holds(stage.name)));
}

#[test]
fn only_and_skip_choose() {
    let only = selected("test --only fmt --only clippy");
    assert_eq!(STAGES.iter().filter(|stage| only.holds(stage.name)).count(), 2);
    let skip = selected("test --skip fmt");
    assert!(!skip.holds("fmt") && skip.holds("clippy"));
    assert!(!selected("test --only fmt --skip fmt").holds("fmt"));
}

#[test]
fn mistakes_are_named() {
    for (text, part) in [
        ("tset", "no command `tset`"),
        ("test --only", "--only needs the name of a stage: fmt"),
        ("test --only speling", "no stage `speling`"),
        ("test fmt", "not `fmt`"),
        (
            "bench",
            "needs a name: noise, accountant, audit, perturb, word2vec, channel, trainer, fan-out, load",
        ),
        ("bench speed", "no benchmark `speed`"),
    ] {
        let message = parse(&words(text)).expect_err(text);
        assert!(message.contains(part), "{text}: {message}");
    }
}
