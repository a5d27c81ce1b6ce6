//! A stream that keeps what ended it.
//!
//! A gRPC channel whose connection broke connects again, and tells why that failed. What an
//! operator wants to know is why the first one broke, e.g. that the node refused a certificate.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What the first failed read said.
#[derive(Debug, Clone, Default)]
pub(super) struct Note(Arc<OnceLock<String>>);

impl Note {
    /// Why there is no connection any more.
    pub(super) fn error(&self) -> io::Error {
        match self.0.get() {
            Some(text) => io::Error::other(text.clone()),
            None => io::ErrorKind::NotConnected.into(),
        }
    }
}

/// A stream and where it keeps what ended it.
pub(super) struct Noted<S> {
    pub(super) stream: S,
    pub(super) note: Note,
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Poll::Ready(Err(error)) = &read {
            self.note.0.get_or_init(|| error.to_string());
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
