//! The body of a request, read within bounds.

use std::time::Duration;

use bytes::Buf;
use futures_util::{Stream, StreamExt};
use serde_json::{Map, Value};
use warp::http::StatusCode;

use super::fault::Fault;

/// Deepest nesting of JSON.
const NESTING: usize = 64;

/// The command that a body asks for.
#[derive(Debug, PartialEq)]
pub(super) struct CommandRequest {
    pub(super) name: String,
    pub(super) params: Map<String, Value>,
}

/// Reads a body of at most so many bytes in at most so much time.
pub(super) async fn read<S, B, E>(body: S, limit: usize, deadline: Duration) -> Result<Vec<u8>, Fault>
where
    S: Stream<Item = Result<B, E>>,
    B: Buf,
    E: std::fmt::Display,
{
    let too_slow = |_| Fault::http(StatusCode::REQUEST_TIMEOUT, &format!("the body took longer than {deadline:?}"));
    let collect = async {
        let mut body = std::pin::pin!(body);
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await {
            let mut chunk = chunk
                .map_err(|error| Fault::http(StatusCode::BAD_REQUEST, &format!("the body ended early: {error}")))?;
            if chunk.remaining() > limit - bytes.len() {
                let text = format!("the body is larger than {limit} bytes");
                return Err(Fault::http(StatusCode::PAYLOAD_TOO_LARGE, &text));
            }
            while chunk.has_remaining() {
                let part = chunk.chunk();
                bytes.extend_from_slice(part);
                let length = part.len();
                chunk.advance(length);
            }
        }
        Ok(bytes)
    };
    tokio::time::timeout(deadline, collect).await.map_err(too_slow)?
}

/// Reads the command out of a body, whatever content type it claims.
pub(super) fn parse(bytes: &[u8]) -> Result<CommandRequest, Fault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if nesting(bytes) > NESTING {
        return Err(Fault::undecodable(&format!("it is nested deeper than {NESTING} levels")));
    }
    let value = serde_json::from_slice(bytes).map_err(|error| Fault::undecodable(&error.to_string()))?;
    let mut members = match value {
        Value::Object(members) => members,
        Value::Array(_) | Value::String(_) => return Err(Fault::no_command()),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            return Err(Fault::unforeseen("The request body must be a JSON object with name and params"));
        }
    };
    let (Some(name), Some(Value::Object(params))) = (members.remove("name"), members.remove("params")) else {
        return Err(Fault::no_command());
    };
    let Value::String(name) = name else {
        return Err(Fault::unforeseen("The name of a command must be text"));
    };
    if let Some(reserved) = ["command_name", "self"].into_iter().find(|name| params.contains_key(*name)) {
        return Err(Fault::unforeseen(&format!("A command cannot have a parameter called {reserved}")));
    }
    Ok(CommandRequest { name, params })
}

/// How deep brackets are nested outside of strings. Right for JSON; for anything else the parser has the word.
fn nesting(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures_util::stream;
    use serde_json::json;

    fn nested(levels: usize) -> Vec<u8> {
        // The body's own object and its params are two levels.
        let inner = levels - 2;
        format!(r#"{{"name": "a.b", "params": {{"x": {}{}}}}}"#, "[".repeat(inner), "]".repeat(inner)).into_bytes()
    }

    #[test]
    fn nesting_is_bounded_exactly() {
        assert!(parse(&nested(64)).is_ok());
        let fault = parse(&nested(65)).unwrap_err();
        assert_eq!(fault.status, StatusCode::BAD_REQUEST);
        assert!(fault.text.contains("nested deeper than 64"), "{}", fault.text);
        // Far deeper than any stack: refused before it is parsed.
        assert!(parse(&nested(1_000_000)).is_err());
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        let body = json!({"name": "a.b", "params": {"x": "[".repeat(1000), "y": "\\\"[[["}});
        assert_eq!(nesting(body.to_string().as_bytes()), 2);
        assert!(parse(body.to_string().as_bytes()).is_ok());
    }

    #[tokio::test]
    async fn a_body_within_the_limit_is_whole() {
        let chunks =
            |sizes: [usize; 3]| stream::iter(sizes.map(|size| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; size]))));
        let limit = Duration::from_secs(1);
        assert_eq!(read(chunks([3, 0, 7]), 10, limit).await.unwrap().len(), 10);
        let fault = read(chunks([3, 1, 7]), 10, limit).await.unwrap_err();
        assert_eq!(fault.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(fault.text, "413 Payload Too Large: the body is larger than 10 bytes");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let slow = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
        });
        let fault = read(slow, 1000, Duration::from_secs(60)).await.unwrap_err();
        assert_eq!(fault.status, StatusCode::REQUEST_TIMEOUT);
    }
}
