//! Requests made to hurt: JSON, forms, queries and methods that are as deep, as long or as many as the limit on bodies lets them be. Each is
//! refused in few words, and leaves nothing behind.

use crate::test_world::{KEY_A, MODEL, Reply, World, form_request, json_request};
use axum::body::Body;
use axum::http::Request;
use jobs::Store;
use protocol::api::MAX_BODY_BYTES;
use serde_json::{Value, json};

/// As long as a body may be, less what stands around it.
const LONG: usize = MAX_BODY_BYTES as usize - 200;

/// More than any refusal needs. What a sender wrote must not come back, or a small request could fetch a large answer.
const SHORT_ANSWER: usize = 1000;

/// Routes that read JSON.
const JSON_ROUTES: [&str; 4] =
    ["/v1/files", "/v1/uploads", "/v1/uploads/{id}/complete", "/v1/fine_tuning/jobs"];

#[track_caller]
fn assert_short_refusal(reply: &Reply, what: &str) {
    let text = reply.body.to_string();
    assert!((400..500).contains(&reply.status.as_u16()), "{what}: {} {}", reply.status, short(&text));
    assert!(text.len() < SHORT_ANSWER, "{what}: {} bytes come back: {}", text.len(), short(&text));
    assert!(reply.body["error"]["code"].is_string(), "{what}");
}

fn short(text: &str) -> String {
    text.chars().take(200).collect()
}

fn many(count: usize, entry: impl Fn(usize) -> String) -> String {
    (0..count).map(entry).collect::<Vec<_>>().join(",")
}

/// Bodies that no route may take, each near the limit where length is the point.
fn json_bombs() -> Vec<(&'static str, Vec<u8>)> {
    let digits = "9".repeat(LONG);
    let deep = |open: &str, close: &str, depth: usize| {
        format!("{{\"a\":{}1{}}}", open.repeat(depth), close.repeat(depth))
    };
    let texts = [
        ("arrays, never closed", format!("{{\"a\":{}", "[".repeat(LONG))),
        ("arrays, closed", deep("[", "]", LONG / 2)),
        ("objects, closed", deep("{\"a\":", "}", LONG / 6)),
        ("one level too deep", deep("[", "]", 127)),
        ("just not too deep", deep("[", "]", 126)),
        ("a number of four million digits", format!("{{\"bytes\":{digits}}}")),
        ("as many decimals", format!("{{\"bytes\":0.{digits}}}")),
        ("a negative one", format!("{{\"bytes\":-{digits}}}")),
        ("an exponent of as many digits", format!("{{\"bytes\":1e{digits}}}")),
        ("a negative exponent of as many", format!("{{\"bytes\":1e-{digits}}}")),
        ("one more than 64 bits", "{\"bytes\":18446744073709551616}".into()),
        ("a long name of a field", format!("{{\"{}\":1}}", "n".repeat(LONG))),
        ("a long name that grows when it is escaped", format!("{{\"{}\":1}}", "\\u0001".repeat(LONG / 6))),
        ("a long file name", format!("{{\"filename\":\"{}\"}}", "x".repeat(LONG))),
        ("a long model", format!("{{\"model\":\"{}\",\"training_file\":\"f\"}}", "x".repeat(LONG))),
        ("many fields", format!("{{{}}}", many(LONG / 12, |i| format!("\"{i:07}\":0")))),
        ("the same field many times", format!("{{{}}}", many(LONG / 6, |_| "\"a\":0".into()))),
        (
            "many notes",
            format!(
                "{{\"model\":\"m\",\"training_file\":\"f\",\"metadata\":{{{}}}}}",
                many(LONG / 13, |i| format!("\"{i:07}\":\"\""))
            ),
        ),
        ("many parts", format!("{{\"part_ids\":[{}]}}", many(LONG / 34, |i| format!("\"part-{i:024x}\"")))),
        ("many things that are no parts", format!("{{\"part_ids\":[{}]}}", many(LONG / 3, |_| "[]".into()))),
        ("a string of brackets", format!("\"{}\"", "[".repeat(LONG))),
        ("half a character", "{\"filename\":\"\\ud800\"}".into()),
        ("two objects", "{}{}".into()),
        ("no number", "{\"bytes\":NaN}".into()),
        ("white space", " ".repeat(LONG)),
    ];
    let mut bombs: Vec<_> = texts.map(|(what, text)| (what, text.into_bytes())).to_vec();
    bombs.push(("bytes that are no text", vec![0xff; LONG]));
    bombs.push(("zeros", vec![0; LONG]));
    bombs
}

#[tokio::test]
async fn json_bombs_are_refused_in_few_words() {
    let world = World::new().await;
    let body = json!({"filename": "a", "bytes": 1, "mime_type": "text/plain", "purpose": "fine-tune"});
    let upload = world.post("/v1/uploads", body).await.ok()["id"].as_str().unwrap().to_owned();
    let before = world.store.list("", None, 1000).await.unwrap().keys;
    for (what, bomb) in json_bombs() {
        assert!(bomb.len() as u64 <= MAX_BODY_BYTES, "{what} would be refused for its length alone");
        for path in JSON_ROUTES {
            let path = path.replace("{id}", &upload);
            let reply = world.post_text(&path, bomb.clone()).await;
            assert_short_refusal(&reply, &format!("{what} at {path}"));
        }
    }
    assert_eq!(world.store.list("", None, 1000).await.unwrap().keys, before);
}

#[tokio::test]
async fn a_long_field_name_is_not_sent_back_whole() {
    let world = World::new().await;
    let body = json!({ "n".repeat(100_000): 1 }).to_string();
    let reply = world.post_text("/v1/files", body).await;
    assert_short_refusal(&reply, "a long name");
    let message = reply.body["error"]["message"].as_str().unwrap();
    assert!(message.contains("unknown field") && message.ends_with("…."), "{message}");
}

/// What is checked and what is used are one value: the last.
#[tokio::test]
async fn of_fields_that_stand_twice_the_last_counts_everywhere() {
    let world = World::new().await;
    let sha256 = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
    let text = |first: u64, last: u64| {
        format!(
            "{{\"filename\":\"a\",\"bytes\":{first},\"bytes\":{last},\"sha256\":\"{sha256}\",\"purpose\":\"x\",\"purpose\":\"fine-tune\"}}"
        )
    };
    world.post_text("/v1/files", text(11, 30_000_000)).await.assert_error(413, "file_too_large");
    let ticket = world.post_text("/v1/files", text(30_000_000, 11)).await.ok();
    assert_eq!((&ticket["bytes"], &ticket["purpose"]), (&json!(11), &json!("fine-tune")));
    let links = world.watched.links();
    assert_eq!(links[0].terms.as_ref().map(|terms| terms.bytes), Some(11));
}

#[tokio::test]
async fn hostile_settings_of_a_job_are_refused_in_few_words() {
    let world = World::new().await;
    let file = world.upload(b"a\n").await;
    let long = "x".repeat(100_000);
    let settings = |settings: Value| json!({"method": {"type": "dp_lora", "dp_lora": settings}});
    let cases = [
        json!({"suffix": long}),
        json!({"metadata": {(long.clone()): "a"}}),
        json!({"metadata": {"a": long}}),
        json!({"metadata": [long]}),
        json!({"method": long}),
        json!({"method": {"type": long}}),
        json!({"method": {"type": "dp_lora", (long.clone()): 1}}),
        settings(json!({(long.clone()): 1})),
        settings(json!({"epsilon": 1e308})),
        settings(json!({"epsilon": -1e308})),
        settings(json!({"steps": u64::MAX})),
        settings(json!({"batch_size": u64::MAX, "steps": u64::MAX})),
        settings(json!({"rank": u64::MAX})),
        settings(json!({"max_length": u64::MAX})),
        settings(json!({"epochs": u64::MAX})),
        settings(json!({"target_modules": vec![long.clone(); 10]})),
        settings(json!({"target_modules": vec!["q_proj"; 100_000]})),
        settings(json!({"clipping": long})),
        settings(json!({"privacy_unit": long})),
    ];
    for case in cases {
        let mut body = json!({"model": MODEL, "training_file": file});
        let what = short(&case.to_string());
        body.as_object_mut().unwrap().extend(case.as_object().unwrap().clone());
        assert_short_refusal(&world.post("/v1/fine_tuning/jobs", body).await, &what);
    }
    assert_eq!(world.get("/v1/fine_tuning/jobs").await.ok()["data"], json!([]));
}

fn form(content_type: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post("/v1/files").header("content-type", content_type).body(body.into()).unwrap()
}

fn field(name: &str, value: &str) -> String {
    format!("--edge\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn a_file(content: &str) -> String {
    format!("--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{content}\r\n")
}

#[tokio::test]
async fn form_bombs_are_refused_in_few_words() {
    const TYPE: &str = "multipart/form-data; boundary=edge";
    let world = World::new().await;
    let purpose = field("purpose", "fine-tune");
    let many_fields = |count: usize| (0..count).map(|i| field(&i.to_string(), "")).collect::<String>();
    let inner = "--inner\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\nx\r\n--inner--";
    let cases = [
        ("many fields", TYPE, format!("{}{purpose}{}--edge--\r\n", many_fields(LONG / 80), a_file("x"))),
        ("many files", TYPE, format!("{purpose}{}--edge--\r\n", a_file("x").repeat(LONG / 100))),
        (
            "a long boundary",
            &format!("multipart/form-data; boundary={}", "e".repeat(30_000)),
            purpose.clone(),
        ),
        ("no boundary", "multipart/form-data", purpose.clone()),
        ("an empty boundary", "multipart/form-data; boundary=", purpose.clone()),
        ("boundaries and nothing else", TYPE, "--edge\r\n".repeat(LONG / 8)),
        ("a preamble without end", TYPE, "x".repeat(LONG)),
        ("half a boundary, again and again", TYPE, "\r\n--edg".repeat(LONG / 7)),
        ("a form in a form", TYPE, format!("{purpose}{}", a_file(inner))),
        ("an edge within the content", TYPE, format!("{purpose}{}--edge--\r\n", a_file("x\r\n--edge\r\ny"))),
        ("many headers", TYPE, format!("--edge\r\n{}\r\nx\r\n--edge--\r\n", "a: b\r\n".repeat(LONG / 6 - 9))),
        ("one long header", TYPE, format!("--edge\r\na: {}\r\n\r\nx\r\n--edge--\r\n", "b".repeat(LONG))),
        (
            "a long name of a file",
            TYPE,
            format!(
                "{purpose}--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\r\nx\r\n--edge--\r\n",
                "f".repeat(LONG / 2)
            ),
        ),
        ("zeros", TYPE, "\0".repeat(LONG)),
    ];
    for (what, content_type, body) in cases {
        assert!(body.len() as u64 <= MAX_BODY_BYTES, "{what} would be refused for its length alone");
        let reply = world.send(KEY_A, form(content_type, body)).await;
        assert_short_refusal(&reply, what);
    }
    assert_eq!(world.store.list("tenants/", None, 10).await.unwrap().keys, Vec::<String>::new());
}

#[tokio::test]
async fn a_form_takes_some_more_fields_than_it_needs_and_no_more() {
    let world = World::new().await;
    for (others, fine) in [(31, true), (32, false)] {
        let names: Vec<String> = (0..others).map(|number| number.to_string()).collect();
        let mut fields = vec![("purpose", "fine-tune")];
        fields.extend(names.iter().map(|name| (name.as_str(), "")));
        let reply = world.send(KEY_A, form_request("/v1/files", Some("a"), "file", b"x", &fields)).await;
        assert_eq!(reply.status.is_success(), fine, "{others}: {}", reply.body);
    }
}

#[tokio::test]
async fn query_bombs_are_answered_in_few_words() {
    let world = World::new().await;
    let queries = [
        "a=1&".repeat(15_000),
        "limit=1&".repeat(7_000),
        format!("limit={}", "9".repeat(60_000)),
        "limit=-1".into(),
        "limit=1e3".into(),
        format!("after={}", "x".repeat(60_000)),
        format!("order={}", "x".repeat(60_000)),
        format!("metadata[{}]=1", "x".repeat(60_000)),
        format!("{}=1", "metadata[".repeat(6_000)),
        "metadata[a]=1&".repeat(4_000),
        "%".into(),
        "%ff=%fe".into(),
        "&=".repeat(30_000),
        "a[a][a][a][a][a]=1".into(),
        "%00=%00".into(),
    ];
    for path in ["/v1/files", "/v1/fine_tuning/jobs", "/v1/models", "/v1/privacy/key"] {
        for query in &queries {
            let reply = world.get(&format!("{path}?{query}")).await;
            let text = reply.body.to_string();
            assert!(reply.status.as_u16() < 500, "{path}?{}: {text}", short(query));
            assert!(text.len() < SHORT_ANSWER, "{path}?{}: {}", short(query), short(&text));
        }
    }
}

#[tokio::test]
async fn a_long_method_is_not_sent_back_whole() {
    let world = World::new().await;
    let reply = world.call(KEY_A, &"M".repeat(5_000), "/v1/files").await;
    reply.assert_error(405, "method_not_allowed");
    assert_short_refusal(&reply, "a long method");
}

#[tokio::test]
async fn a_wrong_media_type_is_told_before_anything_is_read_as_what_it_is_not() {
    let world = World::new().await;
    for media_type in
        ["text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/mixed", "", "json"]
    {
        let mut request = json_request("/v1/files", "{}");
        request.headers_mut().insert("content-type", media_type.parse().unwrap());
        world.send(KEY_A, request).await.assert_error(415, "unsupported_media_type");
    }
}
