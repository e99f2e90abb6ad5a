use super::{json_object, typed, without_quoted};
use crate::test_world::World;
use proptest::prelude::*;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    #[allow(dead_code, reason = "only its reading is tested")]
    number: u32,
}

fn message(body: &str) -> String {
    let result = json_object(body.as_bytes()).and_then(typed::<Sample>);
    result.map(|_| ()).unwrap_err().0.message
}

#[test]
fn messages_name_the_field_but_not_the_value() {
    assert!(message(r#"{"number": "my secret"}"#).contains("expected u32"));
    assert!(!message(r#"{"number": "my secret"}"#).contains("secret"));
    assert!(!message(r#"{"number": "a \" and a secret"}"#).contains("secret"));
    assert!(message(r#"{"numbre": 1}"#).contains("`numbre`"));
    assert!(message("{}").contains("`number`"));
    assert!(message("[]").contains("JSON object"));
    assert!(message("{").contains("line 1"));
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Choice {
    One,
    Two,
}

#[derive(Debug, serde::Deserialize)]
struct Choosing {
    #[allow(dead_code, reason = "only its reading is tested")]
    choice: Choice,
}

#[test]
fn an_unknown_choice_is_not_repeated_but_the_known_ones_are() {
    for secret in ["my secret", "my `, expected secret", "unknown variant `secret"] {
        let body = serde_json::json!({"choice": secret}).to_string();
        let result = json_object(body.as_bytes()).and_then(typed::<Choosing>);
        let message = result.map(|_| ()).unwrap_err().0.message;
        assert!(!message.contains("secret"), "{message}");
        assert!(message.contains("expected `one` or `two`"), "{message}");
    }
}

#[test]
fn a_long_or_invisible_name_is_cut() {
    let named = |name: String| message(&serde_json::json!({ name: 1 }).to_string());
    assert!(named("n".repeat(10_000)).len() < 400);
    assert!(named("n".repeat(10_000)).ends_with("…."));
    assert!(!named("a\u{1b}[2J\r\nb".into()).contains(char::is_control));
}

#[test]
fn deep_nesting_is_an_error_and_no_crash() {
    assert!(json_object("[".repeat(100_000).as_bytes()).is_err());
}

proptest! {
    #[test]
    fn no_value_survives(value in "[a-z]{8}") {
        let quoted = format!("invalid type: string {value:?}, expected u32");
        prop_assert_eq!(without_quoted(&quoted), "invalid type: string …, expected u32");
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = json_object(&body).and_then(typed::<Sample>);
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_answer_in_the_same_shape() {
    let world = World::new().await;
    world.get("/v1/unknown").await.assert_error(404, "unknown_url");
    world.get("/").await.assert_error(404, "unknown_url");
    world.get("/v1/files/a/b/c").await.assert_error(404, "unknown_url");
    world.call(crate::test_world::KEY_A, "PATCH", "/v1/files").await.assert_error(405, "method_not_allowed");
    assert_eq!(world.call("", "GET", "/healthz").await.status, 200);
}

#[tokio::test]
async fn tricks_in_paths_find_nothing() {
    let world = World::new().await;
    let file = world.upload(b"a\n").await;
    let tricks = [
        "..%2F..%2Fkeys".to_owned(),
        "%2e%2e".into(),
        "%00".into(),
        "%ff%fe".into(),
        format!("{file}%00"),
        format!("{file}%2Fmeta.json"),
        file.to_uppercase(),
        format!("..%2F{file}"),
        "x".repeat(4000),
    ];
    for trick in tricks {
        for kind in ["files", "uploads", "fine_tuning/jobs", "models"] {
            let method = if kind == "uploads" { "POST" } else { "GET" };
            let path = format!("/v1/{kind}/{trick}{}", if kind == "uploads" { "/cancel" } else { "" });
            let reply = world.call(crate::test_world::KEY_A, method, &path).await;
            assert_eq!(reply.status, 404, "{path}");
        }
    }
}

#[test]
fn a_field_that_nobody_knows_is_named_in_one_short_line() {
    let shown = message(r#"{"two\nlines\u001b[2J": 1}"#);
    assert!(shown.contains("two\u{fffd}lines\u{fffd}[2J") && !shown.contains(char::is_control), "{shown:?}");
    assert!(message(&format!(r#"{{"{}": 1}}"#, "long".repeat(10_000))).len() < 1000);
}
