//! The canonical form of an encryption context.

use std::collections::BTreeMap;

/// Characters that all keys and values of a context may have together.
pub const MAX_CHARACTERS: usize = 8192;

/// An encryption context as bytes: `u32 count ‖ (u16 length ‖ key ‖ u16 length ‖ value)*`,
/// big-endian, the pairs ordered by the bytes of their keys.
///
/// Two contexts have the same bytes only if they are the same set of pairs; nothing is normalised.
/// An empty context and none at all are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalContext(Vec<u8>);

/// A context that has more than [`MAX_CHARACTERS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the encryption context is too long: its keys and values may have {MAX_CHARACTERS} characters \
     together"
)]
pub struct ContextTooLong;

impl CanonicalContext {
    /// The canonical form of `pairs`.
    ///
    /// # Errors
    /// [`ContextTooLong`].
    pub fn from_map(pairs: &BTreeMap<String, String>) -> Result<Self, ContextTooLong> {
        let characters: usize =
            pairs.iter().map(|(key, value)| key.chars().count() + value.chars().count()).sum();
        if characters > MAX_CHARACTERS {
            return Err(ContextTooLong);
        }
        let count = u32::try_from(pairs.len()).map_err(|_| ContextTooLong)?;
        let mut bytes = count.to_be_bytes().to_vec();
        // Strings in a `BTreeMap` are ordered by their bytes already.
        for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
            let len = u16::try_from(text.len()).map_err(|_| ContextTooLong)?;
            bytes.extend_from_slice(&len.to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        Ok(Self(bytes))
    }

    /// The context of a request that has none.
    pub fn empty() -> Self {
        Self(0u32.to_be_bytes().to_vec())
    }

    /// The canonical bytes; never empty.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn empty_equals_absent() {
        assert_eq!(CanonicalContext::from_map(&map(&[])), Ok(CanonicalContext::empty()));
    }

    #[test]
    fn the_limit_counts_characters() {
        let value = "ä".repeat(MAX_CHARACTERS - 1);
        assert!(CanonicalContext::from_map(&map(&[("k", &value)])).is_ok());
        assert!(CanonicalContext::from_map(&map(&[("kk", &value)])).is_err());
        let widest = "\u{10ffff}".repeat(MAX_CHARACTERS);
        assert!(CanonicalContext::from_map(&map(&[("", &widest)])).is_ok());
    }

    /// Reads the canonical form back, strictly.
    fn parse(mut bytes: &[u8]) -> Option<BTreeMap<String, String>> {
        fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
            let (head, tail) = bytes.split_at_checked(len)?;
            *bytes = tail;
            Some(head)
        }
        fn text(bytes: &mut &[u8]) -> Option<String> {
            let len = u16::from_be_bytes(take(bytes, 2)?.try_into().ok()?);
            String::from_utf8(take(bytes, len.into())?.to_vec()).ok()
        }
        let count = u32::from_be_bytes(take(&mut bytes, 4)?.try_into().ok()?);
        let mut pairs = BTreeMap::new();
        for _ in 0..count {
            pairs.insert(text(&mut bytes)?, text(&mut bytes)?);
        }
        bytes.is_empty().then_some(pairs)
    }

    /// Texts that look like parts of the form or differ in what somebody might normalise away.
    fn edgy_text(rng: &mut fastrand::Rng) -> String {
        const PARTS: [&str; 16] = [
            "",
            "a",
            "A",
            "ab",
            "b",
            "\0",
            "\0\0",
            "\0\u{1}",
            "=",
            ",",
            "\u{e9}",
            "e\u{301}",
            " ",
            "\u{feff}",
            "\u{10ffff}",
            "\n",
        ];
        let text: String = (0..rng.usize(..4)).map(|_| PARTS[rng.usize(..PARTS.len())]).collect();
        if rng.u32(..2000) == 0 { text + &"x".repeat(rng.usize(..2000)) } else { text }
    }

    #[test]
    fn a_million_contexts_come_back() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..1_000_000 {
            let pairs: BTreeMap<String, String> =
                (0..rng.usize(..5)).map(|_| (edgy_text(&mut rng), edgy_text(&mut rng))).collect();
            let context = CanonicalContext::from_map(&pairs).unwrap();
            assert_eq!(parse(context.bytes()), Some(pairs));
        }
    }

    proptest! {
        /// A form that can be read back is injective.
        #[test]
        fn the_form_is_injective(pairs: BTreeMap<String, String>) {
            let context = CanonicalContext::from_map(&pairs);
            prop_assume!(context.is_ok());
            prop_assert_eq!(parse(context.unwrap().bytes()), Some(pairs));
        }
    }
}
