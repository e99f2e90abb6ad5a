use super::row;
use api_function::ApiKeyInfo;
use protocol::api::ApiKeyEntry;
use protocol::id::TenantId;

#[test]
fn a_row_shows_the_beginning_of_the_hash_and_when_the_key_ends() {
    let entry = ApiKeyEntry {
        expires_at: Some(1_707_776_000),
        ..ApiKeyEntry::new(TenantId::parse("acme").unwrap(), 1_700_000_000)
    };
    let key = ApiKeyInfo { hash: "0123456789abcdef".repeat(4), entry };
    assert_eq!(row(&key), "0123456789ab\tacme\t2023-11-14 22:13\t2024-02-12 22:13\t-");
}
