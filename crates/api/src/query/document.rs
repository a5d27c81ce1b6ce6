//! Policy documents, as replies carry them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What RFC 3986 calls unreserved stays as it is.
const NOT_UNRESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A policy document in the form that IAM's replies have: URL-encoded as RFC 3986 says.
pub fn encode_document(document: &str) -> String {
    utf8_percent_encode(document, NOT_UNRESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_unreserved_stays() {
        assert_eq!(
            encode_document("{\"a\": [\"-._~é+\"]}"),
            "%7B%22a%22%3A%20%5B%22-._~%C3%A9%2B%22%5D%7D"
        );
    }
}
