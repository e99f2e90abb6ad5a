use proptest::prelude::*;

use super::*;

fn leb128(value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_leb128(&mut bytes, value);
    bytes
}

#[test]
fn known_numbers_have_known_bytes() {
    for (value, bytes) in [
        (0, &[0x00][..]),
        (127, &[0x7F]),
        (128, &[0x80, 0x01]),
        (16_383, &[0xFF, 0x7F]),
        (16_384, &[0x80, 0x80, 0x01]),
        (624_485, &[0xE5, 0x8E, 0x26]),
        (u32::MAX, &[0xFF, 0xFF, 0xFF, 0xFF, 0x0F]),
    ] {
        assert_eq!(leb128(value), bytes);
    }
}

#[test]
fn numbers_that_are_cut_too_large_or_not_shortest_are_refused() {
    for bytes in [
        &[][..],
        &[0x80],
        &[0xFF, 0xFF],
        &[0x80, 0x00],
        &[0x81, 0x80, 0x00],
        &[0xFF, 0xFF, 0xFF, 0xFF, 0x1F],
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    ] {
        assert_eq!(Reader(bytes).leb128(), None, "{bytes:x?}");
    }
}

#[test]
fn taking_more_than_is_left_takes_nothing() {
    let mut reader = Reader(&[1, 2, 3]);
    assert_eq!(reader.u32(), None);
    assert_eq!(reader.u16(), Some(0x0201));
    assert_eq!(reader.take(usize::MAX), None);
    assert_eq!(reader.take(1), Some(&[3][..]));
}

proptest! {
    #[test]
    fn every_number_is_read_back(value: u32, tail: Vec<u8>) {
        let mut bytes = leb128(value);
        bytes.extend(&tail);
        let mut reader = Reader(&bytes);
        prop_assert_eq!(reader.leb128(), Some(value));
        prop_assert_eq!(reader.0, &tail[..]);
    }
}
