//! What an answer of Ironic says: its JSON, or why there is none.

use serde_json::Value;

/// Most commas and brackets in a JSON answer. Real ones have some thousand; a few bytes each would otherwise become a
/// hundred times as much memory.
const ELEMENTS: usize = 200_000;
/// Longest piece of a foreign text in a message, in characters.
const EXCERPT: usize = 300;

/// Parses the body of an answer.
///
/// # Errors
/// Half a sentence that says what came instead of JSON.
pub(crate) fn json(body: &[u8]) -> Result<Value, String> {
    if body.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count() > ELEMENTS {
        return Err(format!("it has more than {ELEMENTS} elements, which no answer of Ironic has"));
    }
    serde_json::from_slice(body).map_err(|error| match body.trim_ascii_start().first() {
        None => "it is empty".to_owned(),
        Some(b'<') => format!("it is a web page, not JSON ({}); is this the address of Ironic's API?", excerpt(body)),
        Some(_) => format!("it is no JSON: {error} ({})", excerpt(body)),
    })
}

/// `Error <status>: <text>`, with the text where Ironic, old or new, or one of its parts puts it.
pub(crate) fn error_text(status: u16, body: &[u8]) -> String {
    let text = json(body).ok().and_then(|body| fault(&body));
    format!("Error {status}: {}", text.unwrap_or_else(|| excerpt(body)))
}

fn fault(body: &Value) -> Option<String> {
    let inner = body.get("error_message").unwrap_or(body);
    // Before 2016 it was JSON text within JSON.
    let nested = inner.as_str().and_then(|text| json(text.as_bytes()).ok());
    let fault = nested.as_ref().unwrap_or(inner);
    let text = |key: &str| fault.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    text("faultstring").or_else(|| text("title")).map(shorten)
}

/// The beginning of a foreign text.
fn excerpt(body: &[u8]) -> String {
    let head = &body[..body.len().min(EXCERPT * 4)];
    match shorten(String::from_utf8_lossy(head).trim()) {
        text if text.is_empty() => "empty body".to_owned(),
        text => text,
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_error_is_found_in_every_form() {
        for (body, text) in [
            (
                r#"{"error_message": {"faultstring": "Node x could not be found.", "faultcode": "Client"}}"#,
                "Error 404: Node x could not be found.",
            ),
            (r#"{"error_message": "{\"faultstring\": \"old\", \"debuginfo\": null}"}"#, "Error 404: old"),
            (r#"{"faultstring": "bare"}"#, "Error 404: bare"),
            (r#"{"errors": [], "title": "from middleware"}"#, r#"Error 404: from middleware"#),
            (r#"{"error_message": "no JSON inside"}"#, r#"Error 404: {"error_message": "no JSON inside"}"#),
            (r#"{"faultstring": 5}"#, r#"Error 404: {"faultstring": 5}"#),
            ("<html>not here</html>", "Error 404: <html>not here</html>"),
            ("", "Error 404: empty body"),
        ] {
            assert_eq!(error_text(404, body.as_bytes()), text, "{body}");
        }
    }

    #[test]
    fn what_came_instead_of_json_is_named() {
        for (body, part) in [
            ("", "empty"),
            ("<html>Login</html>", "web page"),
            ("{\"node\": ", "no JSON"),
            (&"[".repeat(1000), "no JSON"),
            (&format!("[{}1]", "1,".repeat(ELEMENTS)), "more than 200000 elements"),
        ] {
            assert!(json(body.as_bytes()).expect_err("no JSON").contains(part), "{part}");
        }
        assert!(error_text(500, &[0xff; 10_000]).chars().count() < 400);
    }
}
