use super::*;

#[test]
fn a_source_has_five_parts() {
    let source: Source = "plays:paragraph:a.txt:b.txt:c.txt".parse().unwrap();
    assert_eq!((source.name.as_str(), source.unit), ("plays", PrivacyUnit::Paragraph));
    assert_eq!(source.files[2], PathBuf::from("c.txt"));
    assert!("plays:a:b:c".parse::<Source>().unwrap_err().contains("NAME:UNIT"));
    assert!("plays:word:a:b:c".parse::<Source>().unwrap_err().contains("`word` is no unit"));
}

#[test]
fn records_are_taken_from_all_over_the_text() {
    let records: Vec<Vec<u32>> = (0..100).map(|index| vec![index; 10]).collect();
    let kept = spread(records.clone(), 200).unwrap();
    let tokens: usize = kept.iter().map(Vec::len).sum();
    assert!((200..220).contains(&tokens), "{tokens}");
    let first: Vec<u32> = kept.iter().map(|record| record[0]).collect();
    assert!(first.is_sorted_by(|a, b| b - a == 5) && first[0] < 5, "{first:?}");
    assert_eq!(spread(records.clone(), 1000).unwrap(), records);
    assert!(spread(records, 1001).unwrap_err().to_string().contains("1000 tokens"));
}
