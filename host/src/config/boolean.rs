//! The words for true and false.

/// Reads a boolean as the Python agent does: `1`, `t`, `true`, `on`, `y`, `yes` and their opposites, in any case.
pub fn parse(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Some(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Some(false),
        _ => None,
    }
}

/// Reads `ipa-debug`, where a word that means neither is false.
pub fn lenient(text: &str) -> bool {
    parse(text).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::{lenient, parse};

    #[test]
    fn the_vocabulary() {
        assert!(["1", "T", "true", "ON", "y", "Yes"].iter().all(|word| parse(word) == Some(true)));
        assert!(["0", "f", "False", "off", "N", "no"].iter().all(|word| parse(word) == Some(false)));
        assert!(["", "2", "maybe"].iter().all(|word| parse(word).is_none()));
        assert!(lenient("Y") && !lenient("maybe"));
    }
}
