//! The numbers that say what a reply is. They are part of the frozen seam: none is ever given another meaning, and a
//! number that this side does not know counts as [`FAILED`].

use crate::error::ErrorKind;

/// The body is the method's value as JSON; `null` is a value.
pub const VALUE: u32 = 0;
/// The manager has no such method.
pub const ABSENT: u32 = 1;
/// The method does not fit this hardware.
pub const INCOMPATIBLE: u32 = 2;
/// The manager's configuration is wrong.
pub const CONFIGURATION: u32 = 3;
/// The method failed; the body is an error object.
pub const FAILED: u32 = 4;
/// The method panicked; the body is an error object.
pub const PANICKED: u32 = 5;
/// The call was cancelled.
pub const CANCELLED: u32 = 6;
/// The arguments do not fit.
pub const BAD_ARGUMENTS: u32 = 7;

/// A reply before anyone has looked into it: a code of this module and a body, JSON when the sender is well-behaved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawReply {
    /// One of the constants of this module.
    pub code: u32,
    /// A JSON value for [`VALUE`], an error object otherwise.
    pub body: Vec<u8>,
}

/// The code that carries an error of this kind.
pub(crate) fn code_of(kind: ErrorKind) -> u32 {
    match kind {
        ErrorKind::Absent => ABSENT,
        ErrorKind::Incompatible => INCOMPATIBLE,
        ErrorKind::Configuration => CONFIGURATION,
        ErrorKind::Failed => FAILED,
        ErrorKind::Panicked => PANICKED,
        ErrorKind::Cancelled => CANCELLED,
        ErrorKind::BadArguments => BAD_ARGUMENTS,
    }
}

/// The kind of an error reply.
pub(crate) fn kind_of(code: u32) -> ErrorKind {
    match code {
        ABSENT => ErrorKind::Absent,
        INCOMPATIBLE => ErrorKind::Incompatible,
        CONFIGURATION => ErrorKind::Configuration,
        PANICKED => ErrorKind::Panicked,
        CANCELLED => ErrorKind::Cancelled,
        BAD_ARGUMENTS => ErrorKind::BadArguments,
        _ => ErrorKind::Failed,
    }
}
