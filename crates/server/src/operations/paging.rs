//! Pages of listings. A marker is the last item's own id, sealed for the list that it is of: nobody
//! can make one up, and it fits no other operation, account or arguments. Items are in order of their
//! ids, so that one that is there throughout is listed once, whatever comes and goes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keystead_api::{Error, messages};
use keystead_crypto::keyring::{Keyring, Purpose};
use keystead_types::AccountId;

use crate::pipeline::Call;

/// One page, and where the next one starts.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next_marker: Option<String>,
}

/// How many items a page has: what the caller wants, within the operation's own maximum.
pub(crate) fn limit(wanted: Option<i32>, default: usize, maximum: usize) -> usize {
    wanted.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(default).min(maximum)
}

/// A list, as markers are bound to it.
pub(crate) struct List<'a> {
    keyring: &'a Keyring,
    binding: Vec<u8>,
}

impl<'a> List<'a> {
    /// What an operation lists for an account. The arguments are those that say which items; how
    /// many of them may differ from page to page.
    pub(crate) fn new(
        keyring: &'a Keyring,
        operation: &str,
        account: AccountId,
        arguments: &[Option<&str>],
    ) -> Self {
        let mut binding = b"list marker".to_vec();
        let account = account.to_string();
        for part in [Some(operation), Some(&account)].iter().chain(arguments) {
            // With its length, so that no two lists read the same.
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            binding.extend_from_slice(&length.to_be_bytes());
            binding.extend_from_slice(part.unwrap_or_default().as_bytes());
        }
        Self { keyring, binding }
    }

    /// The same, of a call.
    pub(crate) fn of(call: &'a Call<'_>, operation: &str, arguments: &[Option<&str>]) -> Self {
        Self::new(call.region.keyring(), operation, call.account(), arguments)
    }

    /// Takes a page from items that begin after the marker; `id` is what the next marker holds.
    ///
    /// # Errors
    /// Only those of the random generator and the library.
    pub(crate) fn page<S, T>(
        &self,
        limit: usize,
        items: impl Iterator<Item = S>,
        id: impl Fn(&S) -> String,
        show: impl Fn(S) -> T,
    ) -> Result<Page<T>, Error> {
        let mut items = items.peekable();
        let mut page = Page { items: Vec::new(), next_marker: None };
        while let Some(item) = items.next() {
            let last = page.items.len() + 1 == limit && items.peek().is_some();
            if last {
                page.next_marker = Some(self.marker(&id(&item))?);
            }
            page.items.push(show(item));
            if page.items.len() == limit {
                break;
            }
        }
        Ok(page)
    }

    /// The id that a marker of this list holds.
    ///
    /// # Errors
    /// `InvalidMarkerException` for anything that was not handed out for this list.
    pub(crate) fn after<T: std::str::FromStr>(
        &self,
        marker: Option<&str>,
    ) -> Result<Option<T>, Error> {
        let Some(marker) = marker else { return Ok(None) };
        let id = || {
            let sealed = URL_SAFE_NO_PAD.decode(marker).ok()?;
            let id = self.keyring.open_value(Purpose::Token, &self.binding, &sealed).ok()?;
            std::str::from_utf8(&id).ok()?.parse().ok()
        };
        id().map(Some).ok_or_else(messages::invalid_marker)
    }

    fn marker(&self, id: &str) -> Result<String, Error> {
        let sealed = self.keyring.seal_value(Purpose::Token, &self.binding, id.as_bytes());
        Ok(URL_SAFE_NO_PAD.encode(sealed.map_err(|_| messages::internal())?))
    }
}

#[cfg(test)]
mod tests {
    use keystead_crypto::keyring::RootKey;

    use super::*;

    fn keyring() -> Keyring {
        Keyring::new(&RootKey::generate().unwrap()).unwrap()
    }

    fn account(number: u64) -> AccountId {
        AccountId::from_number(number).unwrap()
    }

    fn numbers(list: &List<'_>, limit: usize, from: u32) -> Page<u32> {
        list.page(limit, from..10, |n| n.to_string(), |n| n).unwrap()
    }

    #[test]
    fn pages_cover_everything_once() {
        let keyring = keyring();
        let list = List::new(&keyring, "List", account(1), &[]);
        for limit in 1..12 {
            let (mut seen, mut marker) = (Vec::new(), None::<String>);
            loop {
                let start = list.after::<u32>(marker.as_deref()).unwrap().map_or(0, |n| n + 1);
                let page = numbers(&list, limit, start);
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
    fn a_marker_fits_its_own_list_alone() {
        let keyring = keyring();
        let of = |operation, number, arguments: &[Option<&str>]| {
            List::new(&keyring, operation, account(number), arguments)
        };
        let own = [Some("a"), None];
        let marker = numbers(&of("A", 1, &own), 1, 0).next_marker.unwrap();
        assert_eq!(of("A", 1, &own).after::<u32>(Some(&marker)).unwrap(), Some(0));
        let others = [
            of("B", 1, &own),
            of("A", 2, &own),
            of("A", 1, &[Some("b"), None]),
            of("A", 1, &[None, Some("a")]),
            of("A", 1, &[Some("a"), Some("")]),
            of("A", 1, &[]),
        ];
        for other in others {
            assert!(other.after::<u32>(Some(&marker)).is_err());
        }
        let forged = URL_SAFE_NO_PAD.encode("A:3");
        for text in ["nonsense", "", &forged, &marker[1..]] {
            assert!(of("A", 1, &own).after::<u32>(Some(text)).is_err(), "{text}");
        }
        let elsewhere = List { keyring: &self::keyring(), binding: of("A", 1, &own).binding };
        assert!(elsewhere.after::<u32>(Some(&marker)).is_err(), "of another region");
    }
}
