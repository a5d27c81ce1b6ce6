//! A strict reader of the little XML that replies are made of.

/// A document with this text in it has the elements that it has with a harmless one, and the text
/// comes out of it as it went in, but for what XML cannot express.
pub fn same_elements(document: impl Fn(&str) -> String, text: &str) {
    let (harmless, ours) = (document("x"), document(text));
    let (expected, found) = (read(&harmless), read(&ours));
    assert_eq!(expected.len(), found.len(), "{ours}");
    for ((tag, plain), (same, given)) in expected.iter().zip(&found) {
        assert_eq!(tag, same, "{ours}");
        if plain == "x" {
            assert_eq!(*given, expressible(text), "{ours}");
        }
    }
}

/// What is left of a text in XML 1.0.
fn expressible(text: &str) -> String {
    let forbidden = |c: char| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}');
    let replaced = |c: char| forbidden(c) || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if replaced(c) { '\u{fffd}' } else { c }).collect()
}

/// All tags in order, each with the text after it. Panics where the document is not well-formed.
fn read(document: &str) -> Vec<(&str, String)> {
    let (mut open, mut found) = (Vec::new(), Vec::new());
    let mut rest = document;
    while !rest.is_empty() {
        let (tag, after) = rest.strip_prefix('<').unwrap().split_once('>').unwrap();
        let end = after.find('<').unwrap_or(after.len());
        let text = unescaped(&after[..end]);
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{document}"),
            None => open.push(tag.split(' ').next().unwrap()),
        }
        assert!(!open.is_empty() || after[end..].is_empty(), "{document}");
        found.push((tag, text));
        rest = &after[end..];
    }
    assert!(open.is_empty(), "{document}");
    found
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (read, length) = match c {
            '&' => {
                let end = rest.find(';').unwrap();
                let read = match &rest[1..end] {
                    "amp" => '&',
                    "lt" => '<',
                    "gt" => '>',
                    "quot" => '"',
                    "apos" => '\'',
                    "#xD" => '\r',
                    other => panic!("the reference {other}"),
                };
                (read, end + 1)
            }
            '>' | '\r' => panic!("{c:?} is not escaped"),
            c => (c, c.len_utf8()),
        };
        out.push(read);
        rest = &rest[length..];
    }
    assert_eq!(out, expressible(&out));
    out
}
