//! JSON of foreign origin: bounded before it is parsed.

use serde_json::Value;

/// Deepest nesting of arrays and objects that is accepted.
pub(crate) const MAX_DEPTH: usize = 64;

/// Parses a value.
///
/// # Errors
/// Half a sentence: it is no UTF-8, nested too deeply, or no JSON.
pub(crate) fn parse(body: &[u8]) -> Result<Value, String> {
    let text = str::from_utf8(body).map_err(|error| format!("it is not UTF-8 (byte {})", error.valid_up_to()))?;
    if !within_depth(body, MAX_DEPTH) {
        return Err(format!("it is nested more than {MAX_DEPTH} deep"));
    }
    serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))
}

/// True if no array or object lies deeper than `limit`.
fn within_depth(json: &[u8], limit: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (true, b'"') => in_string = false,
            (true, _) => {}
            (false, b'"') => in_string = true,
            (false, b'[' | b'{') => {
                depth += 1;
                if depth > limit {
                    return false;
                }
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_of_strings() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(parse(nested(MAX_DEPTH + 1).as_bytes()).expect_err("too deep").contains("nested"));
        let text = serde_json::to_vec(&format!("\\\"{}", "[".repeat(1000))).expect("string");
        assert!(parse(&text).is_ok());
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(parse(b"\xff").expect_err("encoding").contains("UTF-8"));
        assert!(parse(b"NaN").expect_err("value").contains("no JSON"));
        assert!(parse(b"").is_err());
    }
}
