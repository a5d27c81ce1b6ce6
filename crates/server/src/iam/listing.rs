//! Pages of lists.

use keystead_api::query::{Fault, messages};

use crate::operations::paging::{self, Page};

/// Items of a page unless the request says otherwise.
const DEFAULT: usize = 100;
/// The most that it may say.
const MAXIMUM: usize = 1000;

/// Which list is asked for, and which part of it.
pub(super) struct Listing<'a> {
    list: String,
    marker: Option<&'a str>,
    limit: usize,
}

impl<'a> Listing<'a> {
    /// The list of an operation about one entity, by its unique id, or about none.
    pub(super) fn new(
        operation: &str,
        entity: impl std::fmt::Display,
        marker: Option<&'a str>,
        max_items: Option<i32>,
    ) -> Self {
        let list = format!("{operation}:{entity}");
        Self { list, marker, limit: paging::limit(max_items, DEFAULT, MAXIMUM) }
    }

    /// What the last item of the page before was known by.
    ///
    /// # Errors
    /// The marker is not one of this list.
    pub(super) fn after<T: std::str::FromStr>(&self) -> Result<Option<T>, Fault> {
        paging::after(&self.list, self.marker).map_err(|_| messages::invalid_marker())
    }

    /// The page of items that begin after the marker.
    pub(super) fn page<S, T>(
        &self,
        items: impl Iterator<Item = S>,
        id: impl Fn(&S) -> String,
        show: impl Fn(S) -> T,
    ) -> Page<T> {
        paging::page(&self.list, self.limit, items, id, show)
    }

    /// The page out of a list that is short enough to be sorted every time.
    ///
    /// # Errors
    /// The marker is not one of this list.
    pub(super) fn short<S, T>(
        &self,
        items: impl Iterator<Item = S>,
        id: impl Fn(&S) -> String,
        show: impl Fn(S) -> T,
    ) -> Result<Page<T>, Fault> {
        let after: Option<String> = self.after()?;
        let mut items: Vec<_> = items.map(|item| (id(&item), item)).collect();
        items.sort_by(|(a, _), (b, _)| a.cmp(b));
        let rest = items.into_iter().filter(|(id, _)| after.as_ref().is_none_or(|last| id > last));
        Ok(self.page(rest, |(id, _)| id.clone(), |(_, item)| show(item)))
    }
}

/// The answer that a page is: its items in a member, whether there are more, and where they begin.
macro_rules! paged {
    ($page:expr, $member:ident) => {{
        let page = $page;
        Self::Output {
            $member: page.items,
            is_truncated: Some(page.next_marker.is_some()),
            marker: page.next_marker,
        }
    }};
}
pub(super) use paged;
