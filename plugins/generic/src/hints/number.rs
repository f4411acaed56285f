//! Numbers as Python reads them from text.

/// `float(text)`: none if it is no number.
pub(super) fn float(text: &str) -> Option<f64> {
    without_underscores(text.trim())?.parse().ok()
}

/// `int(text)`: none if it is no whole number.
pub(super) fn integer(text: &str) -> Option<i128> {
    without_underscores(text.trim())?.parse().ok()
}

/// Python takes an underscore between two digits.
fn without_underscores(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('_').collect();
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let fits = |pair: &[&str]| digit(pair[0].as_bytes().last()) && digit(pair[1].as_bytes().first());
    parts.windows(2).all(fits).then(|| parts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_pythons() {
        assert_eq!(
            (integer(" +1_00 "), integer("-1"), integer("1.0"), integer("_1")),
            (Some(100), Some(-1), None, None)
        );
        assert_eq!(
            (float("1e3"), float(" 4_4.5 "), float("1__0"), float("0x1")),
            (Some(1000.0), Some(44.5), None, None)
        );
        assert!(float("inf").is_some_and(f64::is_infinite));
    }
}
