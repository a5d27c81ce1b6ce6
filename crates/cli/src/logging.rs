//! Logs go to standard error, as much as `KEYSTEAD_LOG` asks for.

use tracing_subscriber::EnvFilter;

/// Installs the subscriber; `json` for programs that read logs.
pub fn install(json: bool) {
    let filter = EnvFilter::try_from_env("KEYSTEAD_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,openraft=error"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second subscriber in one process changes nothing.
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}
