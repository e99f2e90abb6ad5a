use super::*;
use api_function::OsEntropy;

fn held(receipt: &str) -> Held {
    Held { receipt: receipt.into(), body: format!("body of {receipt}") }
}

#[test]
fn a_capability_is_128_random_bits_and_ends_when_it_is_revoked() {
    let grants = Grants::default();
    let (first, second) = (grants.admit(&OsEntropy), grants.admit(&OsEntropy));
    assert_eq!(hex::decode(&first).unwrap().len(), 16);
    assert_ne!(first, second);
    assert!(grants.allows(&first) && grants.allows(&second) && !grants.allows("") && !grants.allows("x"));
    assert_eq!(grants.revoke(&first), []);
    assert!(!grants.allows(&first) && grants.allows(&second));
    assert!(!grants.hold(&first, held("1/1")), "nothing is handed out for it any more");
}

#[test]
fn what_is_held_is_known_by_its_holder_until_it_is_settled() {
    let grants = Grants::default();
    let (first, second) = (grants.admit(&OsEntropy), grants.admit(&OsEntropy));
    for receipt in ["1/1", "2/1"] {
        assert!(grants.hold(&first, held(receipt)));
    }
    assert!(!grants.settle(&second, "1/1"), "another's delivery");
    assert!(grants.settle(&first, "1/1") && !grants.settle(&first, "1/1"));
    assert_eq!(grants.all_held(), ["body of 2/1"]);
    assert_eq!(grants.revoke(&first), [held("2/1")]);
    assert_eq!(grants.revoke(&first), []);
    assert!(grants.all_held().is_empty());
}
