use super::*;

const CONSTANTS: &str = r#"{"constants": {"logEventTypes":
    {"SOCKET_BYTES_SENT": 1, "UDP_BYTES_SENT": 2, "URL_REQUEST_START_JOB": 3, "TCP_CONNECT_ATTEMPT": 4}},
"events": [
"#;

fn log(events: &[&str]) -> String {
    format!("{CONSTANTS}{}]}}", events.join(",\n"))
}

fn sent(source: u32, text: &str) -> String {
    let bytes = STANDARD.encode(text);
    format!(
        r#"{{"type": 1, "source": {{"id": {source}}}, "params": {{"byte_count": {}, "bytes": "{bytes}"}}}}"#,
        text.len()
    )
}

#[test]
fn bytes_of_one_socket_join_over_events_and_other_sockets() {
    let text = log(&[&sent(7, "one two "), &sent(8, "other"), &sent(7, "three")]);
    let seen = NetLog::parse(&text).unwrap();
    assert!(seen.contains(b"two three"));
    assert!(!seen.contains(b"two other"));
    assert_eq!(seen.total_bytes(), 18);
}

#[test]
fn requests_of_pages_and_of_the_browser_are_told_apart() {
    let text = log(&[
        r#"{"type": 3, "source": {"id": 1}, "params": {"url": "http://127.0.0.1:1/a", "method": "GET", "initiator": "http://127.0.0.1:1"}}"#,
        r#"{"type": 3, "source": {"id": 1}, "params": {"net_error": 0}}"#,
        r#"{"type": 3, "source": {"id": 2}, "params": {"url": "http://example.org/", "method": "GET", "initiator": "not an origin"}}"#,
        r#"{"type": 4, "source": {"id": 3}, "params": {"address": "127.0.0.1:1"}}"#,
    ]);
    let seen = NetLog::parse(&text).unwrap();
    assert_eq!(seen.requests.len(), 2);
    assert_eq!(seen.origins_asked_by_pages().into_iter().collect::<Vec<_>>(), ["http://127.0.0.1:1"]);
    assert!(seen.connections.contains("127.0.0.1:1"));
}

#[test]
fn a_log_without_its_end_is_read_as_far_as_it_goes() {
    let whole = log(&[&sent(7, "arrived"), &sent(7, "cut")]);
    let cut = &whole[..whole.len() - 12];
    assert!(NetLog::parse(cut).unwrap().contains(b"arrived"));
}

#[test]
fn a_log_without_bytes_or_of_an_unknown_form_is_refused() {
    let without = r#"{"type": 1, "source": {"id": 1}, "params": {"byte_count": 5}}"#;
    assert!(NetLog::parse(&log(&[without])).unwrap_err().to_string().contains("Everything"));
    let partial = r#"{"type": 1, "source": {"id": 1}, "params": {"byte_count": 5, "bytes": "AAAA"}}"#;
    assert!(NetLog::parse(&log(&[partial])).unwrap_err().to_string().contains("only a part"));
    let other = r#"{"constants": {"logEventTypes": {}}, "events": []}"#;
    assert!(NetLog::parse(other).unwrap_err().to_string().contains("SOCKET_BYTES_SENT"));
    assert!(NetLog::parse("hello").is_err());
}
