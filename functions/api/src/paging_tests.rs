use super::Page;
use crate::extract::QueryPairs;
use proptest::prelude::*;

fn page(pairs: &[(&str, &str)]) -> Result<Page, u16> {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Page::from_query(&QueryPairs(pairs), 20, 100).map_err(|failure| failure.0.status)
}

#[test]
fn wrong_queries_are_refused() {
    for (name, value) in
        [("limit", "0"), ("limit", "101"), ("limit", "-1"), ("limit", "x"), ("limit", ""), ("order", "up")]
    {
        assert_eq!(page(&[(name, value)]), Err(400), "{name}={value}");
    }
}

#[test]
fn an_unknown_last_object_is_refused() {
    let page = page(&[("after", "x")]).unwrap();
    assert_eq!(page.cut(vec!["a", "b"], |item| item).unwrap_err().0.param, Some("after"));
}

#[test]
fn an_empty_list_has_no_ends() {
    let list = page(&[]).unwrap().cut(Vec::<&str>::new(), |item| item).unwrap();
    assert_eq!((list.first_id, list.last_id, list.has_more), (None, None, false));
}

proptest! {
    /// Following `last_id` visits everything once, in order.
    #[test]
    fn pages_cover_the_list(length in 0_usize..60, limit in 1_usize..10) {
        let items: Vec<String> = (0..length).map(|i| format!("item-{i}")).collect();
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let mut pairs = vec![("limit".to_owned(), limit.to_string())];
            pairs.extend(after.clone().map(|after| ("after".to_owned(), after)));
            let page = Page::from_query(&QueryPairs(pairs), 20, 100).unwrap();
            let list = page.cut(items.clone(), |item| item).unwrap();
            prop_assert!(list.data.len() <= limit);
            seen.extend(list.data);
            after = list.last_id;
            if !list.has_more {
                break;
            }
        }
        prop_assert_eq!(seen, items);
    }
}
