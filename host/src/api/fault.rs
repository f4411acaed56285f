//! Error answers. Ironic searches in their text, so the text is always a string.

use bytes::Bytes;
use ipa_plugin_api::error::HwError;
use serde::Serialize;
use warp::http::StatusCode;

/// An error answer before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

#[derive(Serialize)]
struct Wire<'a> {
    faultcode: &'a str,
    faultstring: &'a str,
}

impl Fault {
    /// An error of HTTP itself: `<status> <reason>: <description>`.
    pub(super) fn http(status: StatusCode, description: &str) -> Self {
        let reason = status.canonical_reason().unwrap_or("Error");
        Self { status, text: format!("{} {reason}: {description}", status.as_u16()) }
    }

    /// No such path.
    pub(super) fn not_found() -> Self {
        Self::http(
            StatusCode::NOT_FOUND,
            "The requested URL was not found on the server. If you entered the URL manually please check your \
             spelling and try again.",
        )
    }

    /// The path is there, but not for this method.
    pub(super) fn not_allowed() -> Self {
        Self::http(StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed for the requested URL.")
    }

    /// No token, or not the right one.
    pub(super) fn unauthorized() -> Self {
        Self::http(StatusCode::UNAUTHORIZED, "Token invalid.")
    }

    /// The body is no JSON that the agent reads.
    pub(super) fn undecodable(why: &str) -> Self {
        Self::http(StatusCode::BAD_REQUEST, &format!("Failed to decode JSON object: {why}"))
    }

    /// The body has no command.
    pub(super) fn no_command() -> Self {
        Self::http(StatusCode::BAD_REQUEST, "Missing or invalid name or params")
    }

    /// What the Python agent trips over. It is the client's mistake, but the status is kept.
    pub(super) fn unforeseen(text: &str) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, text: text.to_owned() }
    }

    /// The JSON form.
    pub(super) fn to_json(&self) -> Bytes {
        let faultcode = if self.status.as_u16() >= 500 { "Server" } else { "Client" };
        // Strings always serialise.
        Bytes::from(serde_json::to_vec(&Wire { faultcode, faultstring: &self.text }).unwrap_or_default())
    }
}

impl From<HwError> for Fault {
    fn from(error: HwError) -> Self {
        let status = StatusCode::from_u16(error.code()).ok().filter(|status| status.as_u16() >= 400);
        Self { status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), text: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_says_whose_fault_it_is() {
        let json = |fault: Fault| String::from_utf8(fault.to_json().to_vec()).unwrap();
        assert_eq!(
            json(Fault::unauthorized()),
            r#"{"faultcode":"Client","faultstring":"401 Unauthorized: Token invalid."}"#
        );
        assert_eq!(
            json(HwError::agent("X", 500, "It broke", "here").into()),
            r#"{"faultcode":"Server","faultstring":"It broke: here"}"#
        );
        // A manager may have given its error any number.
        for odd in [0, 200, 999, 1000] {
            assert!(Fault::from(HwError::agent("X", odd, "m", "d")).status.as_u16() >= 400, "{odd}");
        }
    }
}
