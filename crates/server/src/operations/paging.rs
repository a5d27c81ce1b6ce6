//! Pages of listings. A marker is opaque: base64 of the operation and the last item's own id.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keystead_api::{Error, messages};

/// One page, and where the next one starts.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next_marker: Option<String>,
}

/// How many items a page has: what the caller wants, within the operation's own maximum.
pub(crate) fn limit(wanted: Option<i32>, default: usize, maximum: usize) -> usize {
    wanted.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(default).min(maximum)
}

/// Takes a page from items that begin after the marker; `id` is what the next marker holds.
pub(crate) fn page<S, T>(
    list: &str,
    limit: usize,
    items: impl Iterator<Item = S>,
    id: impl Fn(&S) -> String,
    show: impl Fn(S) -> T,
) -> Page<T> {
    let mut items = items.peekable();
    let mut page = Page { items: Vec::new(), next_marker: None };
    while let Some(item) = items.next() {
        let last = page.items.len() + 1 == limit && items.peek().is_some();
        if last {
            page.next_marker = Some(URL_SAFE_NO_PAD.encode(format!("{list}:{}", id(&item))));
        }
        page.items.push(show(item));
        if page.items.len() == limit {
            break;
        }
    }
    page
}

/// The id that a marker of this listing holds.
///
/// # Errors
/// `InvalidMarkerException` for anything that this listing did not hand out.
pub(crate) fn after<T: std::str::FromStr>(
    list: &str,
    marker: Option<&str>,
) -> Result<Option<T>, Error> {
    let Some(marker) = marker else { return Ok(None) };
    let id = URL_SAFE_NO_PAD
        .decode(marker)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix(list)?.strip_prefix(':')?.parse().ok());
    match id {
        Some(id) => Ok(Some(id)),
        None => Err(messages::invalid_marker()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_everything_once() {
        for limit in 1..12 {
            let (mut seen, mut marker) = (Vec::new(), None::<String>);
            loop {
                let start = after::<u32>("List", marker.as_deref()).unwrap().map_or(0, |n| n + 1);
                let page = page("List", limit, start..10u32, |n| n.to_string(), |n| n);
                seen.extend(page.items);
                marker = page.next_marker;
                if marker.is_none() {
                    break;
                }
            }
            assert_eq!(seen, (0..10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn markers_of_another_list_are_refused() {
        let page = page("A", 1, 0..2u32, |n| n.to_string(), |n| n);
        assert!(after::<u32>("B", page.next_marker.as_deref()).is_err());
        assert!(after::<u32>("A", Some("nonsense")).is_err());
    }
}
