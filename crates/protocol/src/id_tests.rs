use super::*;
use proptest::prelude::*;

#[test]
fn path_tricks_are_never_an_identifier() {
    for trick in [
        "",
        ".",
        "..",
        "../x",
        "file-../../../../etc/passwd00",
        "file-%2e%2e",
        "a/b",
        "a\\b",
        "file-\0",
        "FILE-0123456789abcdef01234567",
    ] {
        assert!(FileId::parse(trick).is_err(), "{trick:?}");
        assert!(JobId::parse(trick).is_err(), "{trick:?}");
        assert!(ModelId::parse(trick).is_err() || trick.starts_with("FILE-"), "{trick:?}");
    }
    for trick in ["..", "a/b", "a\\b", "C:evil", "new\nline", "", " ", &"x".repeat(256)] {
        assert!(Filename::parse(trick).is_err(), "{trick:?}");
    }
}

#[test]
fn derived_identifiers_are_stable_and_part_boundaries_count() {
    assert_eq!(FileId::derived(&["job", "adapter"]), FileId::derived(&["job", "adapter"]));
    assert_ne!(FileId::derived(&["ab", "c"]), FileId::derived(&["a", "bc"]));
    assert_eq!(FileId::from_entropy([0; 12]).as_str(), "file-000000000000000000000000");
}

#[test]
fn deserialising_validates() {
    assert!(serde_json::from_str::<TenantId>("\"acme-7\"").is_ok());
    assert!(serde_json::from_str::<TenantId>("\"Acme/..\"").is_err());
}

proptest! {
    #[test]
    fn what_parses_holds_no_separator(text in ".{0,60}") {
        if let Ok(id) = ModelId::parse(&text) {
            prop_assert!(!id.as_str().contains(['/', '\\', '\0']) && !id.as_str().contains(".."));
        }
        if let Ok(id) = TenantId::parse(&text) {
            prop_assert!(!id.as_str().contains(['/', '.', '\0']));
        }
    }

    #[test]
    fn entropy_round_trips_through_parse(entropy in any::<[u8; 12]>()) {
        prop_assert!(FileId::parse(FileId::from_entropy(entropy).as_str()).is_ok());
        prop_assert!(UploadId::parse(UploadId::from_entropy(entropy).as_str()).is_ok());
    }
}
