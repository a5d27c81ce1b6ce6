//! The little that is read of DER here: the library takes more than AWS does.

/// What is in the SEQUENCE that these bytes are, if they are one and nothing else.
pub(crate) fn sequence(bytes: &[u8]) -> Option<&[u8]> {
    let (len, contents) = match bytes {
        [0x30, len @ 0..=0x7f, contents @ ..] => (usize::from(*len), contents),
        [0x30, 0x81, len @ 0x80..=0xff, contents @ ..] => (usize::from(*len), contents),
        [0x30, 0x82, high @ 1..=0xff, low, contents @ ..] => {
            (usize::from(u16::from_be_bytes([*high, *low])), contents)
        }
        _ => return None,
    };
    (contents.len() == len).then_some(contents)
}

#[cfg(test)]
mod tests {
    use super::sequence;

    #[test]
    fn a_sequence_is_all_of_the_bytes_and_has_the_shortest_length() {
        let of = |header: &[u8], len| sequence(&[header, &vec![7; len]].concat()).map(<[u8]>::len);
        assert_eq!(of(&[0x30, 0], 0), Some(0));
        assert_eq!(of(&[0x30, 127], 127), Some(127));
        assert_eq!(of(&[0x30, 0x81, 128], 128), Some(128));
        assert_eq!(of(&[0x30, 0x82, 1, 0], 256), Some(256));
        for (header, len) in [
            (&[0x31, 0][..], 0),
            (&[0x30, 1], 2),
            (&[0x30, 2], 1),
            (&[0x30, 0x80], 0),
            (&[0x30, 0x81, 127], 127),
            (&[0x30, 0x82, 0, 200], 200),
            (&[0x30, 0x83, 0, 1, 0], 256),
            (&[0x30], 0),
            (&[], 0),
        ] {
            assert_eq!(of(header, len), None, "{header:?}");
        }
    }
}
