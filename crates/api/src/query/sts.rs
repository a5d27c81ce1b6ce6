//! Replies of STS.

use super::xml::{Xml, reply};

/// The namespace of STS's only API version.
pub const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The reply to `GetCallerIdentity`.
pub fn get_caller_identity_xml(
    arn: &str,
    user_id: &str,
    account: &str,
    request_id: &str,
) -> String {
    let result = |result: &mut Xml| {
        result.text("Arn", arn);
        result.text("UserId", user_id);
        result.text("Account", account);
    };
    reply("GetCallerIdentity", STS_NAMESPACE, request_id, Some(result))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an XML document without comments, declarations and empty-element tags into the
    /// path and text of each leaf; panics where it is not well-formed.
    fn leaves(document: &str) -> Vec<(String, String)> {
        let (mut open, mut found): (Vec<&str>, Vec<(String, String)>) = (Vec::new(), Vec::new());
        let mut rest = document;
        let mut leaf = false;
        while !rest.is_empty() {
            let tag = rest.strip_prefix('<').expect("a tag");
            let (tag, after) = tag.split_once('>').expect("a closed tag");
            let text = after.split('<').next().unwrap_or_default();
            match tag.strip_prefix('/') {
                Some(name) => {
                    assert_eq!(open.pop(), Some(name));
                    leaf = false;
                    assert_eq!(text, "");
                }
                None => {
                    assert!(!leaf || found.last().is_none_or(|(_, text)| text.is_empty()));
                    open.push(tag.split(' ').next().unwrap());
                    leaf = !text.is_empty();
                    if leaf {
                        found.push((open.join("/"), text.to_owned()));
                    }
                }
            }
            rest = &after[text.len()..];
        }
        assert!(open.is_empty());
        found
    }

    #[test]
    fn has_the_documented_shape() {
        let arn = "arn:aws:iam::111122223333:user/a&b";
        let xml = get_caller_identity_xml(arn, "AIDAEXAMPLE", "111122223333", "id-1");
        assert!(xml.starts_with(
            "<GetCallerIdentityResponse \
             xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>"
        ));
        let within = |path: &str| format!("GetCallerIdentityResponse/{path}");
        assert_eq!(
            leaves(&xml),
            [
                (
                    within("GetCallerIdentityResult/Arn"),
                    "arn:aws:iam::111122223333:user/a&amp;b".to_owned()
                ),
                (within("GetCallerIdentityResult/UserId"), "AIDAEXAMPLE".to_owned()),
                (within("GetCallerIdentityResult/Account"), "111122223333".to_owned()),
                (within("ResponseMetadata/RequestId"), "id-1".to_owned()),
            ]
        );
    }
}
