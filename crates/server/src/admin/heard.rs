//! A stream that tells when the other end first says something, or that it never does.
//!
//! In TLS 1.3 a node refuses an operator's certificate after the operator's handshake is done. What
//! then comes is an alert or nothing but a reset, and a gRPC channel tells neither of them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

/// A stream, and whom to tell what its first read gave.
pub(super) struct Heard<S> {
    stream: S,
    first: Option<oneshot::Sender<io::Result<()>>>,
}

impl<S> Heard<S> {
    /// The stream, and what will tell of its first read. An error there means that it never came
    /// to one.
    pub(super) fn new(stream: S) -> (Self, oneshot::Receiver<io::Result<()>>) {
        let (first, told) = oneshot::channel();
        (Self { stream, first: Some(first) }, told)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        if let Some(first) = self.first.take() {
            let told = match &read {
                Ok(()) if buffer.filled().len() > before => Ok(()),
                Ok(()) => Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            // Where nobody waits for it any more, nobody needs it.
            let _ = first.send(told);
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
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
