//! From the bytes of a request to a message, and from a message to the bytes of a response.

use bytes::Bytes;

use crate::value::{normalise, read_object, validate};
use crate::{Error, ErrorCode, Message, Violations};

/// The form in which a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// AWS JSON 1.1.
    AwsJson,
    /// Protobuf, as gRPC carries it.
    Proto,
}

/// Decodes and validates a message. In JSON an empty body stands for `{}`, `null` for an absent
/// member, and members that are not known are ignored.
///
/// # Errors
/// `SerializationException` for a body that is not such a message: malformed, a value of the wrong
/// type, a member or map key twice. `ValidationException` naming everything that the message's
/// constraints forbid.
pub fn decode<M: Message>(wire: Wire, body: &[u8]) -> Result<M, Error> {
    let mut violations = Violations::new(wire);
    let message = match wire {
        Wire::AwsJson if body.is_empty() => M::default(),
        Wire::AwsJson => {
            let mut json = serde_json::Deserializer::from_slice(body);
            let read = read_object(&mut json, &mut violations)
                .and_then(|message| json.end().map(|()| message));
            match read {
                Ok(message) => message,
                Err(error) => return Err(unreadable(&error, violations)),
            }
        }
        Wire::Proto => {
            let mut message = M::decode(body).map_err(|_| {
                let text = "The request body is not a valid message.";
                Error::new(ErrorCode::SerializationException, text)
            })?;
            normalise(&mut message);
            message
        }
    };
    validate(&message, &mut violations);
    violations.finish().map(|()| message)
}

/// Encodes a message. In JSON, members that are not set are left out.
pub fn encode<M: Message>(wire: Wire, message: &M) -> Bytes {
    match wire {
        Wire::AwsJson => serde_json::to_vec(message)
            .expect("invariant: messages have string keys only and write to memory")
            .into(),
        Wire::Proto => message.encode_to_vec().into(),
    }
}

/// Says what is wrong with a body, without repeating any of it.
fn unreadable(error: &serde_json::Error, violations: Violations) -> Error {
    let text = if error.is_data() {
        violations.into_fault()
    } else {
        let (line, column) = (error.line(), error.column());
        format!("The request body is not valid JSON: line {line}, column {column}.")
    };
    Error::new(ErrorCode::SerializationException, text)
}
