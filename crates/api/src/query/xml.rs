//! Replies and errors of the query protocol.

/// Writes elements, one after the other, and the texts in them. Names are ours; texts may be anything.
#[derive(Debug, Default)]
pub struct Xml(String);

impl Xml {
    /// An element that holds a text.
    pub fn text(&mut self, name: &'static str, text: &str) {
        self.element(name, |xml| xml.push_escaped(text));
    }

    /// An element that holds what `content` writes.
    pub fn element(&mut self, name: &'static str, content: impl FnOnce(&mut Self)) {
        self.tagged(name, None, content);
    }

    fn tagged(&mut self, name: &str, namespace: Option<&str>, content: impl FnOnce(&mut Self)) {
        self.0.push('<');
        self.0.push_str(name);
        if let Some(namespace) = namespace {
            self.0.push_str(" xmlns=\"");
            self.push_escaped(namespace);
            self.0.push('"');
        }
        self.0.push('>');
        content(self);
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// What XML 1.0 cannot express becomes U+FFFD; a carriage return is written as a reference,
    /// because readers turn a bare one into a line feed.
    pub(crate) fn push_escaped(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&apos;"),
                '\r' => self.0.push_str("&#xD;"),
                '\t' | '\n' => self.0.push(character),
                '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => self.0.push('\u{fffd}'),
                other => self.0.push(other),
            }
        }
    }
}

/// The reply to `action`: `<ActionResponse><ActionResult>…</ActionResult><ResponseMetadata>…`,
/// with the result's members as `result` writes them; without `<ActionResult>` if there is none.
pub fn reply(
    action: &str,
    namespace: &str,
    request_id: &str,
    result: Option<impl FnOnce(&mut Xml)>,
) -> String {
    let mut xml = Xml::default();
    xml.tagged(&format!("{action}Response"), Some(namespace), |xml| {
        if let Some(result) = result {
            xml.tagged(&format!("{action}Result"), None, result);
        }
        xml.element("ResponseMetadata", |xml| xml.text("RequestId", request_id));
    });
    xml.0
}

/// An error: its code in the query protocol's spelling, and whether the sender is at fault.
pub fn error(namespace: &str, code: &str, message: &str, request_id: &str, sender: bool) -> String {
    let mut xml = Xml::default();
    xml.tagged("ErrorResponse", Some(namespace), |xml| {
        xml.element("Error", |xml| {
            xml.text("Type", if sender { "Sender" } else { "Receiver" });
            xml.text("Code", code);
            xml.text("Message", message);
        });
        xml.text("RequestId", request_id);
    });
    xml.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_documented_shape() {
        assert_eq!(
            error("urn:x", "InvalidClientTokenId", "No such key.", "id-1", true),
            "<ErrorResponse xmlns=\"urn:x\"><Error><Type>Sender</Type>\
             <Code>InvalidClientTokenId</Code><Message>No such key.</Message></Error>\
             <RequestId>id-1</RequestId></ErrorResponse>"
        );
        assert!(error("urn:x", "InternalFailure", "", "id-1", false).contains("Receiver"));
    }

    #[test]
    fn no_text_breaks_the_document() {
        let xml = error("urn:x", "C", "</Message>&\"'\0\u{b}\u{ffff}\r\n\té😀", "]]>", true);
        assert!(xml.contains(
            "<Message>&lt;/Message&gt;&amp;&quot;&apos;\u{fffd}\u{fffd}\u{fffd}&#xD;\n\té😀\
             </Message>"
        ));
        assert!(xml.contains("<RequestId>]]&gt;</RequestId>"));
    }
}
