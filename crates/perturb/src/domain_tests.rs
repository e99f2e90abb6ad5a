use super::*;

fn digest() -> Sha256Digest {
    Sha256Digest::of(b"tokenizer")
}

#[test]
fn ids_are_sorted_and_indexed_both_ways() {
    let domain = Domain::new(vec![9, 2, 5, 2], digest()).unwrap();
    assert_eq!((domain.ids(), domain.len(), domain.max_id()), (&[2, 5, 9][..], 3, 9));
    for (index, id) in [(0, 2), (1, 5), (2, 9)] {
        assert_eq!((domain.index(id), domain.id(index)), (Some(index), id));
    }
    for outside in [0, 3, 10, u32::MAX] {
        assert_eq!(domain.index(outside), None);
    }
}

#[test]
fn the_digest_is_that_of_the_ids() {
    let domain = Domain::new(vec![258, 1], digest()).unwrap();
    assert_eq!(domain.sha256(), Sha256Digest::of(&[1, 0, 0, 0, 2, 1, 0, 0]));
    assert_ne!(domain.sha256(), Domain::new(vec![257, 1], digest()).unwrap().sha256());
    assert_eq!(domain.tokenizer_sha256(), digest());
}

#[test]
fn no_ids_and_absurd_ids_are_no_domain() {
    assert_eq!(Domain::new(vec![], digest()), None);
    assert_eq!(Domain::new(vec![1, MAX_ID + 1], digest()), None);
    assert_eq!(Domain::new(vec![0], digest()).unwrap().max_id(), 0);
}
