//! A client of one node that speaks the query protocol of IAM and STS.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::HeaderValue;

use crate::client::{Client, Reply, Target};
use crate::kms::{Answer, INVOCATION_ID, Refusal};
use crate::node::AccessKey;

/// A service that speaks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Iam,
    Sts,
}

impl Service {
    /// The name that requests are signed for.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::Sts => "sts",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::Iam => "2010-05-08",
            Self::Sts => "2011-06-15",
        }
    }
}

/// A client of a service that connects with its first call.
pub(crate) struct Query {
    client: Client,
    service: Service,
}

impl Query {
    /// One that waits so long for each reply.
    pub(crate) fn new(target: Target, service: Service, patience: Duration) -> Self {
        Self { client: Client::new(target).with_patience(patience), service }
    }

    /// Calls with another access key from now on.
    pub(crate) fn act_as(&mut self, access_key: &AccessKey) {
        self.client.act_as(access_key);
    }

    /// Makes one attempt of a call; what comes back is XML. Attempts with the same invocation are
    /// carried out once.
    ///
    /// # Errors
    /// There was no whole reply; whether the action took effect is not known.
    pub(crate) async fn call(
        &mut self,
        action: &str,
        parameters: &[(&str, &str)],
        invocation: &str,
    ) -> Result<Answer<String>> {
        let more = [(INVOCATION_ID, HeaderValue::from_str(invocation)?)];
        let form = form(self.service, action, parameters);
        let request = self.client.target().signed_form(self.service.name(), form, &more)?;
        let reply = self.client.send(request).await?;
        Ok(Answer { result: result(&reply), index: reply.index() })
    }
}

/// The text of an element that has no other of its name around it.
pub(crate) fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

fn result(reply: &Reply) -> Result<String, Refusal> {
    let body = String::from_utf8_lossy(&reply.body).into_owned();
    if reply.status == 200 {
        return Ok(body);
    }
    let code = element(&body, "Code").map_or_else(|| format!("HTTP {}", reply.status), Into::into);
    let passing = reply.status >= 500 || code == "Throttling";
    Err(Refusal { code, passing })
}

fn form(service: Service, action: &str, parameters: &[(&str, &str)]) -> Bytes {
    let mut form = format!("Action={action}&Version={}", service.version());
    for (name, value) in parameters {
        let _ = write!(form, "&{name}=");
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    form.push(byte.into());
                }
                _ => {
                    let _ = write!(form, "%{byte:02X}");
                }
            }
        }
    }
    form.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_encoded() {
        let parameters = [("UserName", "a-b"), ("PolicyDocument", "{\"é\": 1}")];
        let form = form(Service::Iam, "PutUserPolicy", &parameters);
        let expected = "Action=PutUserPolicy&Version=2010-05-08&UserName=a-b\
                        &PolicyDocument=%7B%22%C3%A9%22%3A%201%7D";
        assert_eq!(form, expected);
    }

    #[test]
    fn elements_are_found() {
        assert_eq!(element("<A><Arn>x</Arn></A>", "Arn"), Some("x"));
        assert_eq!(element("<A></A>", "Arn"), None);
    }
}
