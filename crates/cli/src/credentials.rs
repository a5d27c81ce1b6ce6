//! `keystead credentials`: temporary credentials for a token of an issuer.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::Args;
use http::{Request, Uri};
use http_body_util::Full;
use serde_json::json;
use zeroize::Zeroizing;

use crate::client::{ServiceError, exchange};
use crate::output;

/// Arguments of `keystead credentials`.
#[derive(Args)]
pub struct CredentialsArguments {
    /// The role to take on.
    #[arg(long, env = "AWS_ROLE_ARN", value_name = "ARN")]
    role_arn: String,
    /// A file with the issuer's token; it is read each time.
    #[arg(long, env = "AWS_WEB_IDENTITY_TOKEN_FILE", value_name = "FILE")]
    token_file: PathBuf,
    /// Where to ask.
    #[arg(long, env = "AWS_ENDPOINT_URL_STS", value_name = "URL")]
    endpoint: Uri,
    /// The name of the session.
    #[arg(long, env = "AWS_ROLE_SESSION_NAME", default_value = "keystead", value_name = "NAME")]
    session_name: String,
    /// How long they are to be good for, in seconds.
    #[arg(long, value_name = "SECONDS")]
    duration: Option<u32>,
}

/// Runs `keystead credentials`.
pub async fn run(arguments: CredentialsArguments) -> Result<()> {
    let path = &arguments.token_file;
    let token = std::fs::read_to_string(path).map(Zeroizing::new);
    let token = token.with_context(|| format!("read the token {}", path.display()))?;
    let endpoint = &arguments.endpoint;
    let authority = endpoint.authority().context("the endpoint has no host")?;
    let request = Request::post("/")
        .header("host", authority.as_str())
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
        .body(Full::new(Bytes::from(form(&arguments, token.trim()))))?;
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
    let credentials = json!({
        "Version": 1,
        "AccessKeyId": member("AccessKeyId")?,
        "SecretAccessKey": member("SecretAccessKey")?,
        "SessionToken": member("SessionToken")?,
        "Expiration": member("Expiration")?,
    });
    output::object(true, &credentials)
}

fn form(arguments: &CredentialsArguments, token: &str) -> String {
    let seconds = arguments.duration.map(|seconds| seconds.to_string());
    let parameters = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", &arguments.role_arn),
        ("RoleSessionName", &arguments.session_name),
        ("WebIdentityToken", token),
    ];
    let duration = seconds.as_deref().map(|seconds| ("DurationSeconds", seconds));
    let pairs = parameters.into_iter().chain(duration);
    pairs.map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
}

/// A value as forms have it.
fn encoded(value: &str) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let text = |byte: u8| match unreserved(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    value.bytes().map(text).collect()
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
    fn values_are_encoded_and_texts_are_read() {
        assert_eq!(encoded("a-._~Z9/+=& é"), "a-._~Z9%2F%2B%3D%26%20%C3%A9");
        let xml = "<A><Code>Denied</Code><Message>a &lt;b&gt; &amp;lt; &apos;</Message></A>";
        assert_eq!(element(xml, "Code").as_deref(), Some("Denied"));
        assert_eq!(element(xml, "Message").as_deref(), Some("a <b> &lt; '"));
        assert_eq!(element(xml, "None"), None);
        assert_eq!(element("<Code>x", "Code"), None);
    }
}
