//! From the parameters of a request to a message, and from a message to the XML of a response.

use super::form::Node;
use super::xml::{Xml, reply};
use super::{Fault, FaultCode, Params};
use crate::value::{read_object, validate, write_elements};
use crate::{Message, Violations, Wire};

/// Reads and validates a message. Parameters that it has no members for are ignored, as `Action`
/// and `Version` are.
///
/// # Errors
/// `MalformedInput` for parameters that are not such a message: a value of the wrong type, a list
/// whose items are not numbered from 1 on. `ValidationError` naming everything that the message's
/// constraints forbid.
pub fn decode<M: Message>(params: &Params) -> Result<M, Fault> {
    // Enumerations are texts here as in JSON.
    let mut violations = Violations::new(Wire::AwsJson);
    let message: M = match read_object(Node::root(params), &mut violations) {
        Ok(message) => message,
        Err(malformed) => {
            let text = violations.into_fault_or(malformed.0);
            return Err(Fault::new(FaultCode::MalformedInput, text));
        }
    };
    validated(&message, violations).map(|()| message)
}

/// Validates a message that came in another way than by parameters.
///
/// # Errors
/// `ValidationError` naming everything that the message's constraints forbid.
pub fn check<M: Message>(message: &M) -> Result<(), Fault> {
    validated(message, Violations::new(Wire::AwsJson))
}

fn validated<M: Message>(message: &M, mut violations: Violations) -> Result<(), Fault> {
    validate(message, &mut violations);
    match violations.into_text() {
        Some(text) => Err(Fault::new(FaultCode::ValidationError, text)),
        None => Ok(()),
    }
}

/// Messages without members that AWS answers within an `<ActionResult>`, which its clients look for.
pub const WRAPPED_EMPTY: [&str; 1] = ["UpdateRoleResponse"];

/// The reply to `action`: `<ActionResponse>`, in it `<ActionResult>` with the message's members if
/// it has any or is one of [`WRAPPED_EMPTY`], and the request's id. Members that are not set are left out.
pub fn encode<M: Message>(action: &str, namespace: &str, request_id: &str, message: &M) -> String {
    let write = |xml: &mut Xml| write_elements(message, xml);
    let shape = M::shape();
    let wrapped = !shape.members.is_empty() || WRAPPED_EMPTY.contains(&shape.name);
    let result = wrapped.then_some(write);
    reply(action, namespace, request_id, result)
}
