//! Pages of lists.

use keystead_api::query::{Fault, messages};

use super::call::Call;
use crate::operations::paging::{self, List, Page};

/// Items of a page unless the request says otherwise.
const DEFAULT: usize = 100;
/// The most that it may say.
const MAXIMUM: usize = 1000;

/// Which list is asked for, and which part of it.
pub(super) struct Listing<'a> {
    list: List<'a>,
    marker: Option<&'a str>,
    limit: usize,
}

impl<'a> Listing<'a> {
    /// The list of an operation about one entity, by its unique id, or about none.
    pub(super) fn new(
        call: Call<'a>,
        operation: &str,
        entity: impl std::fmt::Display,
        marker: Option<&'a str>,
        max_items: Option<i32>,
    ) -> Self {
        let entity = entity.to_string();
        let list = List::new(call.region.keyring(), operation, call.account(), &[Some(&entity)]);
        Self { list, marker, limit: paging::limit(max_items, DEFAULT, MAXIMUM) }
    }

    /// What the last item of the page before was known by.
    ///
    /// # Errors
    /// The marker is not one of this list.
    pub(super) fn after<T: std::str::FromStr>(&self) -> Result<Option<T>, Fault> {
        self.list.after(self.marker).map_err(|_| messages::invalid_marker())
    }

    /// The page of items that begin after the marker.
    ///
    /// # Errors
    /// Only those of the random generator and the library.
    pub(super) fn page<S, T>(
        &self,
        items: impl Iterator<Item = S>,
        id: impl Fn(&S) -> String,
        show: impl Fn(S) -> T,
    ) -> Result<Page<T>, Fault> {
        self.list.page(self.limit, items, id, show).map_err(Fault::from)
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
        self.page(rest, |(id, _)| id.clone(), |(_, item)| show(item))
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
