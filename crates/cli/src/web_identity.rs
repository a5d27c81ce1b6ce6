//! Temporary credentials of a role, for a token of an issuer.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::Args;
use http::{Request, Uri};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::client::{ServiceError, exchange, form};

/// A role to take on.
#[derive(Args)]
pub struct RoleArguments {
    /// The role to take on.
    #[arg(long, env = "AWS_ROLE_ARN", value_name = "ARN")]
    pub role_arn: String,
    /// Where to ask.
    #[arg(long, env = "AWS_ENDPOINT_URL_STS", value_name = "URL")]
    pub endpoint: Uri,
    /// The name of the session.
    #[arg(long, env = "AWS_ROLE_SESSION_NAME", default_value = "keystead", value_name = "NAME")]
    pub session_name: String,
    /// How long the credentials are to be good for, in seconds.
    #[arg(long, value_name = "SECONDS")]
    pub duration: Option<u32>,
}

impl RoleArguments {
    /// Credentials for a token, in the form that `credential_process` of AWS's tools has.
    pub async fn assume(&self, token: &str) -> Result<Value> {
        let endpoint = &self.endpoint;
        let authority = endpoint.authority().context("the endpoint has no host")?;
        let request = Request::post("/")
            .header("host", authority.as_str())
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(Full::new(Bytes::from(self.form(token))))?;
        let (status, body) = exchange(endpoint, request).await?;
        let answer = std::str::from_utf8(&body).context("the answer is no text")?;
        let member = |name: &str| {
            element(answer, name).with_context(|| format!("the answer of {endpoint} has no {name}"))
        };
        if status != 200 {
            let Some(code) = element(answer, "Code") else {
                bail!("{endpoint} answered {status} and no error of STS; is it a KMS?");
            };
            let message = element(answer, "Message").unwrap_or_default();
            return Err(ServiceError { code, message }.into());
        }
        Ok(json!({
            "Version": 1,
            "AccessKeyId": member("AccessKeyId")?,
            "SecretAccessKey": member("SecretAccessKey")?,
            "SessionToken": member("SessionToken")?,
            "Expiration": member("Expiration")?,
        }))
    }

    fn form(&self, token: &str) -> String {
        let seconds = self.duration.map(|seconds| seconds.to_string());
        let parameters = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", &self.role_arn),
            ("RoleSessionName", &self.session_name),
            ("WebIdentityToken", token),
        ];
        let duration = seconds.as_deref().map(|seconds| ("DurationSeconds", seconds));
        form(parameters.into_iter().chain(duration))
    }
}

/// The text of the first element of this name in a reply of STS, which has no attributes there.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    let plain = entities.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read() {
        let xml = "<A><Code>Denied</Code><Message>a &lt;b&gt; &amp;lt; &apos;</Message></A>";
        assert_eq!(element(xml, "Code").as_deref(), Some("Denied"));
        assert_eq!(element(xml, "Message").as_deref(), Some("a <b> &lt; '"));
        assert_eq!(element(xml, "None"), None);
        assert_eq!(element("<Code>x", "Code"), None);
    }
}
