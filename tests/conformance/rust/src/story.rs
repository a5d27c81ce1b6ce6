//! The steps of the story: each is one call, and what is checked of its reply.

use std::error::Error;
use std::fmt::{self, Debug, Display};

use aws_sdk_kms::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_kms::operation::RequestId;

/// Counts the steps, and knows the present one's name for messages.
#[derive(Default)]
pub struct Story {
    steps: usize,
    step: &'static str,
}

/// What went wrong, and at which step.
#[derive(Debug)]
pub struct Failure(String);

impl Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// For codes that the operation's model does not list, so that the SDK has no type for them.
pub fn untyped<E>(_: &E) -> bool {
    true
}

impl Story {
    /// The number of steps so far.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The next step is a call that must succeed; returns its output.
    pub fn answered<T, E>(
        &mut self,
        step: &'static str,
        result: Result<T, SdkError<E>>,
    ) -> Result<T, Failure>
    where
        E: Error + 'static,
    {
        self.begin(step);
        result.map_err(|error| self.failure(DisplayErrorContext(error)))
    }

    /// The next step is a call that the node must refuse with status 400 and `code`, which the SDK
    /// must know as the variant that `is` tests for. Returns the error's message.
    pub fn refused<T, E>(
        &mut self,
        step: &'static str,
        result: Result<T, SdkError<E>>,
        code: &str,
        is: impl FnOnce(&E) -> bool,
    ) -> Result<String, Failure>
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        self.begin(step);
        let Err(error) = result else {
            return Err(self.failure(format!("it succeeded; {code} was expected")));
        };
        let Some(service) = error.as_service_error() else {
            return Err(self.failure(DisplayErrorContext(error)));
        };
        self.equal("the code", service.code(), Some(code))?;
        self.holds("the SDK knows the error's type", is(service))?;
        let status = error.raw_response().map(|reply| reply.status().as_u16());
        self.equal("the HTTP status", status, Some(400))?;
        // A UUID in its usual form.
        self.equal("the request id's length", error.request_id().map(str::len), Some(36))?;
        Ok(service.message().unwrap_or_default().to_owned())
    }

    /// The next step is a value that the SDK must refuse to build, before any request.
    pub fn not_built<T, E>(
        &mut self,
        step: &'static str,
        result: Result<T, E>,
    ) -> Result<(), Failure> {
        self.begin(step);
        self.holds("the SDK refuses it", result.is_err())
    }

    /// Of the present step's reply, `what` must be `expected`.
    pub fn equal<T, U>(&self, what: &str, found: T, expected: U) -> Result<(), Failure>
    where
        T: PartialEq<U> + Debug,
        U: Debug,
    {
        if found == expected {
            return Ok(());
        }
        Err(self.failure(format!("{what} is {found:?}; {expected:?} was expected")))
    }

    /// Of the present step's reply, `what` must hold.
    pub fn holds(&self, what: &str, holds: bool) -> Result<(), Failure> {
        if holds { Ok(()) } else { Err(self.failure(format!("it does not hold that {what}"))) }
    }

    /// Of the present step's reply, `what` must be there.
    pub fn present<T>(&self, what: &str, found: Option<T>) -> Result<T, Failure> {
        found.ok_or_else(|| self.failure(format!("{what} is missing")))
    }

    fn begin(&mut self, step: &'static str) {
        self.steps += 1;
        self.step = step;
    }

    fn failure(&self, text: impl Display) -> Failure {
        Failure(format!("step {}, {}: {text}", self.steps, self.step))
    }
}
