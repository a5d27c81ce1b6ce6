//! Finds secrets in text, in whatever form they might have got there.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What is compared; two secrets of 32 bytes never agree in so much by chance.
const LENGTH: usize = 12;

/// Secrets to be searched for.
///
/// A secret is found raw, in hexadecimal, and in either base64 at any alignment, when at least its
/// first 14 bytes are there.
#[derive(Debug, Default)]
pub struct Needles {
    forms: HashSet<[u8; LENGTH]>,
    count: usize,
}

impl Needles {
    /// Adds a secret of at least 14 bytes; shorter ones cannot be told from chance.
    pub fn add(&mut self, secret: &[u8]) {
        self.count += 1;
        self.form(secret);
        self.form(hex::encode(secret).as_bytes());
        self.form(hex::encode_upper(secret).as_bytes());
        for shift in 0..3 {
            let rest = secret.get(shift..).unwrap_or_default();
            self.form(STANDARD_NO_PAD.encode(rest).as_bytes());
            self.form(URL_SAFE_NO_PAD.encode(rest).as_bytes());
        }
    }

    /// How many secrets were added.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Where in the text the first of the secrets begins.
    pub fn find(&self, text: &[u8]) -> Option<usize> {
        text.windows(LENGTH).position(|window| {
            <&[u8; LENGTH]>::try_from(window).is_ok_and(|window| self.forms.contains(window))
        })
    }

    fn form(&mut self, form: &[u8]) {
        if let Some(start) = form.first_chunk::<LENGTH>() {
            self.forms.insert(*start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form() {
        let secret: [u8; 32] = std::array::from_fn(|at| 0xF9 ^ (at as u8).wrapping_mul(73));
        let mut needles = Needles::default();
        needles.add(&secret);
        let mut forms = vec![
            secret.to_vec(),
            hex::encode(secret).into_bytes(),
            hex::encode_upper(secret).into_bytes(),
        ];
        for before in 0..3 {
            let longer = [&vec![7u8; before][..], &secret].concat();
            forms.push(STANDARD_NO_PAD.encode(&longer).into_bytes());
            forms.push(URL_SAFE_NO_PAD.encode(&longer).into_bytes());
        }
        for form in forms {
            let text = [&b"{\"a\":\""[..], &form, b"\"}"].concat();
            assert!(needles.find(&text).is_some(), "{}", String::from_utf8_lossy(&text));
        }
        assert_eq!(needles.find(&vec![b'A'; 1000]), None);
    }
}
