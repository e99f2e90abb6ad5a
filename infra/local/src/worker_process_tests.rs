use super::*;

fn assignment() -> Assignment {
    Assignment {
        s3_url: "http://127.0.0.1:1".into(),
        credentials: Credentials { access_key: "AK".into(), secret_key: "the secret".into() },
        sqs_url: "http://127.0.0.1:2".into(),
        capability: "ab".repeat(16),
        threads: 2,
        slice_seconds: 60,
        scratch: "/tmp".into(),
    }
}

#[tokio::test]
async fn an_assignment_is_one_line_and_read_back_as_it_was() {
    let line = assignment().to_line().unwrap();
    assert_eq!(line.matches('\n').count(), 1);
    // What follows is not read: the input stays open.
    let input = format!("{line}more");
    let read = read_assignment(&mut BufReader::new(input.as_bytes())).await.unwrap();
    assert_eq!(read.to_line().unwrap(), line);
}

#[tokio::test]
async fn whoever_starts_a_worker_by_hand_is_told_who_does() {
    let line = assignment().to_line().unwrap();
    for input in ["", "\n", "hello\n", &line[..line.len() / 2], "{}\n", &line.replace("threads", "heads")] {
        let refused = work_in_process(std::io::Cursor::new(input.to_owned())).await.unwrap_err().to_string();
        assert!(refused.contains("serve"), "{refused}");
        assert!(!refused.contains("secret"), "{refused}");
    }
}

#[tokio::test]
async fn a_line_without_an_end_is_not_read_forever() {
    let endless = std::io::Cursor::new(vec![b'x'; 2 * MAX_LINE as usize]);
    assert!(matches!(work_in_process(endless).await, Err(LocalError::Worker(_))));
}

#[tokio::test]
async fn a_folder_whose_name_is_no_unicode_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let scratch = PathBuf::from(std::ffi::OsString::from_vec(vec![b'/', 0xff]));
    assert!(matches!(Assignment { scratch, ..assignment() }.to_line(), Err(LocalError::Config(_))));
}
