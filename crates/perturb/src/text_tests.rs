use proptest::prelude::*;

use super::*;

fn all(text: &str, unit: PrivacyUnit) -> Vec<String> {
    records(text, unit).map(|record| record.unwrap().into_owned()).collect()
}

fn first_error(text: &str, unit: PrivacyUnit) -> InputError {
    records(text, unit).find_map(Result::err).unwrap()
}

#[test]
fn text_is_taken_and_a_byte_order_mark_is_not() {
    assert_eq!(decode(b"hello"), Ok("hello"));
    assert_eq!(decode("\u{feff}grüße\n".as_bytes()), Ok("grüße\n"));
}

#[test]
fn files_that_cannot_be_taken_say_why() {
    assert_eq!(decode(b""), Err(InputError::Empty));
    assert_eq!(decode(" \n\t\u{a0}\r\n".as_bytes()), Err(InputError::Empty));
    assert_eq!(decode("\u{feff}".as_bytes()), Err(InputError::Empty));
    assert_eq!(decode(b"abc\xffdef"), Err(InputError::NotUtf8 { offset: 3 }));
    assert_eq!(decode("ab€".as_bytes().split_last().unwrap().1), Err(InputError::NotUtf8 { offset: 2 }));
    assert_eq!(decode(b"%PDF\0\xff"), Err(InputError::Binary { offset: 4 }));
}

#[test]
fn the_size_limit_is_exact_and_names_both_sizes() {
    let mut bytes = vec![b'a'; MAX_TEXT_BYTES];
    assert!(decode(&bytes).is_ok());
    bytes.push(b'a');
    let message = decode(&bytes).unwrap_err().to_string();
    assert!(message.contains("20971521") && message.contains("20971520"), "{message}");
}

#[test]
fn lines_lose_their_break_and_nothing_else() {
    assert_eq!(all("a\r\n  b \n\n\t\nc\r\r\nlast", PrivacyUnit::Line), ["a", "  b ", "c\r", "last"]);
}

#[test]
fn paragraphs_are_runs_of_lines_between_blank_ones() {
    let text = "\n\n  one\ntwo\n\nthree\r\nfour\r\n \t\r\n\r\nfive\r\r\n\nsix";
    assert_eq!(all(text, PrivacyUnit::Paragraph), ["  one\ntwo", "three\r\nfour", "five\r", "six"]);
}

#[test]
fn of_a_json_record_only_the_values_are_taken() {
    let text = concat!(
        "{\"text\": \"one\\ntwo\", \"id\": 7}\n\n",
        "{\"prompt\":\"p\",\"completion\":\"c\"}\r\n",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":\"ho\"}]}\n",
        "{\"prompt\":\"\",\"completion\":\"only\"}\n{\"text\":\" \"}\n{\"messages\":[]}",
    );
    assert_eq!(all(text, PrivacyUnit::JsonRecord), ["one\ntwo", "p\nc", "hi\nho", "only"]);
}

#[test]
fn json_records_are_those_that_records_cuts_out() {
    let text = "\n{\"text\":\"one\"}\n{\"text\":\" \"}\n{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":\"ho\"}]}\n";
    let found: Vec<(usize, JsonRecord)> = json_records(text).collect::<Result<_, _>>().unwrap();
    assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 4]);
    let texts: Vec<String> = found.iter().map(|(_, record)| record.text()).collect();
    assert_eq!(texts, all(text, PrivacyUnit::JsonRecord));
    let JsonRecord::Chat { messages } = &found[1].1 else { panic!("a chat") };
    assert_eq!((messages[1].role, messages[1].content.as_str()), (Role::Assistant, "ho"));
    let mut broken = json_records("{\"text\":\"a\"}\nnonsense\n{\"text\":\"b\"}");
    assert!(broken.next().unwrap().is_ok());
    assert!(matches!(broken.next(), Some(Err(InputError::Json { line: 2, .. }))));
    assert!(broken.next().is_none(), "the iterator ends after its first error");
}

#[test]
fn a_line_that_is_not_json_is_named_without_its_content() {
    let error = first_error("{\"text\":\"a\"}\n\n{\"text\": secret}\n", PrivacyUnit::JsonRecord);
    assert_eq!(error, InputError::Json { line: 3, column: 10 });
    assert!(!error.to_string().contains("secret"));
}

#[test]
fn json_of_another_shape_is_named_without_its_content() {
    for line in [
        "3",
        "[]",
        "\"secret\"",
        "{}",
        "{\"secret\":\"a\"}",
        "{\"text\":1}",
        "{\"text\":null}",
        "{\"prompt\":\"a\"}",
        "{\"prompt\":\"a\",\"completion\":[]}",
        "{\"completion\":\"a\"}",
        "{\"messages\":\"a\"}",
        "{\"messages\":[{\"role\":\"user\"}]}",
        "{\"messages\":[\"secret\"]}",
        "{\"messages\":[{\"content\":[\"a\"]}]}",
    ] {
        let error = first_error(&format!("{{\"text\":\"a\"}}\n{line}"), PrivacyUnit::JsonRecord);
        assert_eq!(error, InputError::JsonShape { line: 2 }, "{line}");
        assert!(!error.to_string().contains("secret"));
    }
}

#[test]
fn a_record_may_have_a_mebibyte_and_no_more() {
    let fits = "a".repeat(MAX_RECORD_BYTES);
    for unit in [PrivacyUnit::Line, PrivacyUnit::Paragraph] {
        assert_eq!(all(&format!("x\n\n{fits}\n\ny"), unit).len(), 3);
        let error = first_error(&format!("x\n\n{fits}b\n\ny"), unit);
        assert_eq!(error, InputError::RecordTooLarge { line: 3, bytes: MAX_RECORD_BYTES + 1 });
    }
}

#[test]
fn records_end_after_an_error() {
    let mut records = records("nonsense\n{\"text\":\"a\"}", PrivacyUnit::JsonRecord);
    assert!(records.next().unwrap().is_err());
    assert!(records.next().is_none());
}

proptest! {
    #[test]
    fn records_hold_all_text_but_white_space(text in "[a-c \n\r\té]{0,60}") {
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        for unit in [PrivacyUnit::Line, PrivacyUnit::Paragraph] {
            let records = all(&text, unit);
            prop_assert!(records.iter().all(|record| !record.trim().is_empty()));
            prop_assert_eq!(letters(&records.concat()), letters(&text));
        }
        prop_assert!(all(&text, PrivacyUnit::Line).iter().all(|line| !line.contains('\n')));
    }

    #[test]
    fn reading_can_stop_and_go_on_after_any_record(text in "[a-c \n\r]{0,60}", paragraphs: bool) {
        let unit = if paragraphs { PrivacyUnit::Paragraph } else { PrivacyUnit::Line };
        let mut resumed = Vec::new();
        let mut cursor = Cursor::default();
        loop {
            let mut records = Records::resume(&text, unit, cursor);
            let Some(record) = records.next() else { break };
            resumed.push(record.unwrap().into_owned());
            cursor = records.cursor();
        }
        prop_assert_eq!(resumed, all(&text, unit));
    }

    #[test]
    fn any_bytes_are_text_or_an_error(bytes: Vec<u8>) {
        if let Ok(text) = decode(&bytes) {
            prop_assert!(!text.trim().is_empty() && !text.contains('\0'));
            records(text, PrivacyUnit::JsonRecord).for_each(drop);
        }
    }

    #[test]
    fn any_json_string_is_taken_as_it_is(value in "\\PC{1,40}") {
        prop_assume!(!value.trim().is_empty());
        let line = serde_json::json!({"text": value}).to_string();
        prop_assert_eq!(all(&line, PrivacyUnit::JsonRecord), [value]);
    }
}

proptest! {
    #[test]
    fn pieces_have_the_records_of_the_whole(text in "\u{feff}?[a-c \n\r]{0,60}", parts in 1_usize..6, line: bool) {
        let unit = if line { PrivacyUnit::Line } else { PrivacyUnit::Paragraph };
        let Ok(whole) = decode(text.as_bytes()) else {
            prop_assert!(split(text.as_bytes(), unit, parts).is_err());
            return Ok(());
        };
        let whole: Vec<String> = records(whole, unit).map(|record| record.unwrap().into_owned()).collect();
        let ends = split(text.as_bytes(), unit, parts).unwrap();
        prop_assert!(ends.len() <= parts && ends.last() == Some(&text.len()) && ends.is_sorted());
        let mut together = Vec::new();
        for (start, end) in std::iter::once(0).chain(ends.iter().copied()).zip(&ends) {
            let piece = decode(&text.as_bytes()[start..*end]).unwrap();
            let before = together.len();
            together.extend(records(piece, unit).map(|record| record.unwrap().into_owned()));
            prop_assert!(together.len() > before, "no piece is empty");
        }
        prop_assert_eq!(together, whole);
    }
}

#[test]
fn long_texts_are_cut_in_about_equal_pieces() {
    let text = "one line of text\n".repeat(1000);
    let ends = split(text.as_bytes(), PrivacyUnit::Line, 4).unwrap();
    assert_eq!(ends, [4250, 8500, 12750, 17000]);
    assert_eq!(split(text.as_bytes(), PrivacyUnit::Paragraph, 4).unwrap(), [17000], "one record");
    assert_eq!(
        split(b"nonsense\n", PrivacyUnit::JsonRecord, 4),
        Err(InputError::Json { line: 1, column: 2 })
    );
}

#[test]
fn a_piece_never_begins_with_a_byte_order_mark_that_is_text() {
    let text = "a\n\u{feff}b\nc\n";
    for parts in 1..=4 {
        let ends = split(text.as_bytes(), PrivacyUnit::Line, parts).unwrap();
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let pieces = starts.zip(&ends).map(|(start, &end)| decode(&text.as_bytes()[start..end]).unwrap());
        let together: Vec<String> = pieces.flat_map(|piece| all(piece, PrivacyUnit::Line)).collect();
        assert_eq!(together, ["a", "\u{feff}b", "c"], "{parts} parts");
    }
    // The mark alone would have been a piece without text.
    assert_eq!(split("a\n\u{feff}".as_bytes(), PrivacyUnit::Line, 2), Ok(vec![5]));
}
