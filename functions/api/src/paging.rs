//! Cutting a list into pages, as OpenAI does: `after` names the last object of the page before, `limit` its length.

use crate::error::{Answer, Failure};
use crate::extract::QueryPairs;
use protocol::api::List;

/// Which page is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    after: Option<String>,
    limit: usize,
    /// Oldest first.
    pub(crate) ascending: bool,
}

impl Page {
    /// Reads `after`, `limit` (default `default`, at most `most`) and `order`.
    pub(crate) fn from_query(query: &QueryPairs, default: usize, most: usize) -> Answer<Self> {
        let limit = match query.get("limit") {
            None => default,
            Some(text) => text.parse().ok().filter(|limit| (1..=most).contains(limit)).ok_or_else(|| {
                let message = format!("`limit` must be a whole number from 1 to {most}.");
                Failure::invalid("invalid_value", Some("limit"), message)
            })?,
        };
        let ascending = match query.get("order") {
            None | Some("desc") => false,
            Some("asc") => true,
            Some(_) => {
                return Err(Failure::invalid(
                    "invalid_value",
                    Some("order"),
                    "`order` must be `asc` or `desc`.",
                ));
            }
        };
        Ok(Self { after: query.get("after").map(str::to_owned), limit, ascending })
    }

    /// The page of `items`, which come in the order wanted.
    pub(crate) fn cut<T>(&self, items: Vec<T>, id: impl Fn(&T) -> &str) -> Answer<List<T>> {
        let start = match &self.after {
            None => 0,
            Some(after) => {
                let last = items.iter().position(|item| id(item) == after);
                last.ok_or_else(|| {
                    Failure::invalid("invalid_value", Some("after"), "`after` names nothing in this list.")
                })? + 1
            }
        };
        let has_more = items.len() - start > self.limit;
        let data: Vec<T> = items.into_iter().skip(start).take(self.limit).collect();
        let name = |item: Option<&T>| item.map(|item| id(item).to_owned());
        let (first_id, last_id) = (name(data.first()), name(data.last()));
        Ok(List { object: "list".into(), data, first_id, last_id, has_more })
    }
}

#[cfg(test)]
#[path = "paging_tests.rs"]
mod tests;
