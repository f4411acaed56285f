//! Percent-encoding, paths and queries.

use std::borrow::Cow;

/// Decodes a path. An encoded slash stays encoded, as it separates nothing; bytes that are no UTF-8 are replaced.
pub(super) fn decode_path(path: &str) -> Cow<'_, str> {
    if path.contains('%') { decode(path, |byte| byte != b'/') } else { Cow::Borrowed(path) }
}

/// The first value of a parameter; an empty one is a value.
pub(super) fn parameter<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    query.split('&').filter(|pair| !pair.is_empty()).find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode_form(key) == name).then(|| decode_form(value))
    })
}

fn decode_form(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(decode(&text.replace('+', " "), |_| true).into_owned())
}

fn decode(text: &str, wanted: impl Fn(u8) -> bool) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let byte = match bytes[index..] {
            [b'%', high, low, ..] => hex(high).zip(hex(low)).map(|(high, low)| high * 16 + low),
            _ => None,
        };
        match byte.filter(|byte| wanted(*byte)) {
            Some(byte) => {
                decoded.push(byte);
                index += 3;
            }
            None => {
                decoded.push(bytes[index]);
                index += 1;
            }
        }
    }
    match String::from_utf8(decoded) {
        Ok(text) => Cow::Owned(text),
        Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Encodes what may not stand in a URL. What is encoded already stays as it is.
pub(super) fn encode(text: &str) -> Cow<'_, str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    if text.bytes().all(allowed) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if allowed(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(encoded)
}

/// True for a `Host` that may be repeated in an answer.
pub(super) fn is_harmless_host(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= 255
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]%".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (path, decoded) in [
            ("/v1/status", "/v1/status"),
            ("/%76%31/status", "/v1/status"),
            ("/v1%2fstatus", "/v1%2fstatus"),
            ("/%", "/%"),
            ("/%4", "/%4"),
            ("/%zz", "/%zz"),
            ("/%C3%A9", "/\u{e9}"),
            ("/%FF", "/\u{fffd}"),
            ("/a+b", "/a+b"),
        ] {
            assert_eq!(decode_path(path), decoded);
        }
    }

    #[test]
    fn the_first_parameter_counts() {
        let query = "a&b=1&b=2&c%5Fd=%30x+y&e=&=f";
        let found = |name| parameter(query, name).map(Cow::into_owned);
        assert_eq!(found("a").as_deref(), Some(""));
        assert_eq!(found("b").as_deref(), Some("1"));
        assert_eq!(found("c_d").as_deref(), Some("0x y"));
        assert_eq!(found("e").as_deref(), Some(""));
        assert_eq!(found("B"), None);
        assert_eq!(parameter("", "a"), None);
    }

    #[test]
    fn urls_are_encoded_once() {
        assert_eq!(encode("/v1/commands/?a=%20&b"), "/v1/commands/?a=%20&b");
        assert_eq!(encode("/\u{e9}\"<\r\n"), "/%C3%A9%22%3C%0D%0A");
    }

    #[test]
    fn hosts() {
        for host in ["10.0.0.5:9999", "[fd00::5%eth0]:9999", "agent.example"] {
            assert!(is_harmless_host(host), "{host}");
        }
        for host in ["", "a b", "evil\"", "a/b", "a@b", "a<b>"] {
            assert!(!is_harmless_host(host), "{host}");
        }
    }
}
