//! The AWS SDK for Rust with nothing but what `keystead dev` prints in its environment.
//!
//! Exit status 0 and one line with the number of steps when every reply is as it should be; else
//! 1, and the first step that went wrong on standard error.

mod aliases;
mod encryption;
mod keys;
mod states;
mod story;

use std::io::Write;
use std::process::ExitCode;

use aws_config::BehaviorVersion;
use aws_sdk_kms::Client;
use aws_smithy_http_client::Builder;

use crate::story::{Failure, Story};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Where an output is gone there is nobody to tell; the exit code still says it.
    match tell().await {
        Ok(steps) => {
            let _ = writeln!(std::io::stdout(), "{steps} steps done");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}

/// The whole story. Returns the number of its steps.
async fn tell() -> Result<usize, Failure> {
    let kms = client().await;
    let mut story = Story::default();
    let key = keys::create(&mut story, &kms).await?;
    let other = keys::create(&mut story, &kms).await?;
    let doomed = keys::create(&mut story, &kms).await?;
    keys::refused(&mut story, &kms).await?;
    keys::change(&mut story, &kms, &key).await?;
    keys::read(&mut story, &kms, &key).await?;
    keys::list(&mut story, &kms, &[&key, &other, &doomed]).await?;
    aliases::all(&mut story, &kms, &key, &other).await?;
    encryption::contexts(&mut story, &kms, &key).await?;
    encryption::re_encrypt(&mut story, &kms, &key, &other).await?;
    encryption::data_keys(&mut story, &kms, &key).await?;
    encryption::random(&mut story, &kms).await?;
    states::disabled(&mut story, &kms, &key).await?;
    states::pending_deletion(&mut story, &kms, &doomed).await?;
    Ok(story.steps())
}

/// A client whose credentials, Region and endpoint are what the SDK itself finds.
async fn client() -> Client {
    let http = Builder::new().build_http();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    Client::new(&config)
}
