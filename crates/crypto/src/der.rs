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

/// The first element of these bytes, its tag and its contents, and what comes after it.
pub(crate) fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (len, rest) = match bytes {
        [_, len @ 0..=0x7f, rest @ ..] => (usize::from(*len), rest),
        [_, 0x81, len, rest @ ..] => (usize::from(*len), rest),
        [_, 0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(len)?;
    Some((*bytes.first()?, contents, rest))
}

#[cfg(test)]
mod tests {
    use super::{element, sequence};

    #[test]
    fn elements_follow_each_other() {
        let two = [&[0x02, 1, 7][..], &[0x04, 0x81, 130], &[9; 130]].concat();
        let (tag, contents, rest) = element(&two).unwrap();
        assert_eq!((tag, contents), (0x02, &[7][..]));
        assert_eq!(element(rest), Some((0x04, &[9; 130][..], &[][..])));
        for bad in [&[][..], &[0x02], &[0x02, 2, 7], &[0x02, 0x80, 7], &[0x04, 0x82, 1]] {
            assert_eq!(element(bad), None);
        }
    }

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
