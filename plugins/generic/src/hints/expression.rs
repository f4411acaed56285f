//! The small language of hints: `QEMU`, `s== QEMU`, `<in> QEMU`, `<or> a <or> b`, `>= 100`.
//!
//! It is the one of oslo's `specs_matcher` as the Python agent uses it: an expression is trimmed and in lower case, and
//! its values are quoted as in a URL, so that one word is one value. What is compared is quoted the same way.

use std::fmt::Write;

use super::number;

/// Beginnings that make a word an operator, or none at all.
const OPERATOR_BEGINNINGS: [&str; 8] = ["=", "!=", "<", ">", "s==", "s!=", "s<", "s>"];
/// Operators with one value, in the order in which they are tried.
const UNARY: [&str; 14] = ["==", "=", "!=", "<in>", ">=", "<=", ">", "<", "s==", "s!=", "s<=", "s<", "s>=", "s>"];
const OR: &str = "<or>";
const ALL_IN: &str = "<all-in>";
const RANGE_IN: &str = "<range-in>";
/// Values of `<range-in>`: two brackets and two bounds.
const RANGE_WORDS: usize = 4;

/// An operator with the values to compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expression {
    operator: String,
    values: Vec<String>,
}

impl Expression {
    /// Reads the hint for a text. A text without an operator must be equal.
    pub(super) fn of_text(text: &str) -> Result<Self, String> {
        let normal = normalize(text)?;
        Self::read(&normal, "s==")
    }

    /// Reads the hint for a number. One without an operator must be equal.
    pub(super) fn of_number(text: &str) -> Result<Self, String> {
        Self::read(text, "==")
    }

    fn read(text: &str, default: &str) -> Result<Self, String> {
        let words = parse(text).ok_or_else(|| format!("{text:?} is an operator without a value"))?;
        match words.split_first() {
            Some((operator, values)) if !values.is_empty() => {
                Ok(Self { operator: operator.clone(), values: values.to_vec() })
            }
            _ => Ok(Self { operator: default.to_owned(), values: words }),
        }
    }

    /// Whether a text matches that was [normalized](normalize).
    ///
    /// # Errors
    /// The operator does not compare such texts; a sentence says why.
    pub(super) fn matches_text(&self, text: &str) -> Result<bool, String> {
        let value = self.first()?;
        Ok(match self.operator.as_str() {
            "s==" => text == value,
            "s!=" => text != value,
            "s<" => text < value,
            "s<=" => text <= value,
            "s>" => text > value,
            "s>=" => text >= value,
            "<in>" => text.contains(value),
            OR => self.values.iter().any(|value| text == value),
            ALL_IN | RANGE_IN => return Err(self.compares_no("text")),
            _ => {
                let left = number::float(text).ok_or_else(|| not_a_number(text))?;
                return self.matches_number(left);
            }
        })
    }

    /// Whether a number matches. No number is equal to a text.
    ///
    /// # Errors
    /// The operator does not compare numbers; a sentence says why.
    pub(super) fn matches_number(&self, left: f64) -> Result<bool, String> {
        let right = || self.first().and_then(|value| number::float(value).ok_or_else(|| not_a_number(value)));
        Ok(match self.operator.as_str() {
            // As old as the language, and not what it looks like.
            "=" | ">=" => left >= right()?,
            "==" => equal(left, right()?),
            "!=" => !equal(left, right()?),
            "<" => left < right()?,
            "<=" => left <= right()?,
            ">" => left > right()?,
            "s==" | OR => false,
            "s!=" => true,
            _ => return Err(self.compares_no("number")),
        })
    }

    fn first(&self) -> Result<&str, String> {
        self.values.first().map(String::as_str).ok_or_else(|| format!("{} has no value", self.operator))
    }

    fn compares_no(&self, what: &str) -> String {
        format!("the operator {} compares no {what} of a disk", self.operator)
    }
}

/// Numbers as Python compares them.
#[expect(clippy::float_cmp, reason = "a size in GiB is equal to a whole number or it is not")]
fn equal(left: f64, right: f64) -> bool {
    left == right
}

fn not_a_number(text: &str) -> String {
    format!("{text:?} is no number, and the operator compares numbers")
}

/// Operator and values of an expression: trimmed, in lower case. The operator is empty if there is none.
pub(super) fn split(expression: &str) -> Result<(String, Vec<String>), String> {
    let text = expression.trim().to_lowercase();
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    let words = parse(&text).ok_or_else(|| format!("{text:?} is an operator without a value"))?;
    if words.len() <= 1 {
        return Ok((String::new(), vec![text]));
    }
    let operator = words[0].clone();
    let values = text.split(&operator).filter(|value| !value.is_empty()).map(|value| value.trim().to_owned());
    let values = values.collect();
    Ok((operator, values))
}

/// An expression, or the property of a disk, in the form in which they are compared.
///
/// # Errors
/// There is nothing to compare; a sentence says why.
pub(super) fn normalize(text: &str) -> Result<String, String> {
    let (operator, values) = split(text)?;
    let quoted: Vec<String> = values.iter().map(|value| format!(" {} ", quote(value))).collect();
    Ok(format!("{operator}{}", quoted.join(&operator)).trim().to_owned())
}

/// As Python's `urllib.parse.quote` has it.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-~/".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(quoted, "%{byte:02X}");
        }
    }
    quoted
}

/// The operator and what it is applied to, or one word. None if there is an operator and nothing for it. What follows
/// counts for nothing.
fn parse(text: &str) -> Option<Vec<String>> {
    let text = text.trim_start();
    if text.starts_with(OR) {
        let mut words = vec![OR.to_owned()];
        let mut rest = text;
        while let Some((word, after)) = rest.trim_start().strip_prefix(OR).and_then(atom) {
            words.push(word.to_owned());
            rest = after;
        }
        if words.len() > 1 {
            return Some(words);
        }
    }
    for (operator, least, most) in [(ALL_IN, 1, usize::MAX), (RANGE_IN, RANGE_WORDS, RANGE_WORDS)] {
        let Some(mut rest) = text.strip_prefix(operator) else { continue };
        let mut words = vec![operator.to_owned()];
        while words.len() <= most {
            let Some((word, after)) = atom(rest) else { break };
            words.push(word.to_owned());
            rest = after;
        }
        if words.len() > least {
            return Some(words);
        }
    }
    match UNARY.iter().find_map(|operator| text.strip_prefix(operator).map(|rest| (operator, rest))) {
        Some((operator, rest)) => atom(rest).map(|(word, _)| vec![(*operator).to_owned(), word.to_owned()]),
        None => atom(text).map(|(word, _)| vec![word.to_owned()]),
    }
}

/// The next word that is no operator, and what follows it.
fn atom(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    if text.is_empty() || OPERATOR_BEGINNINGS.iter().any(|beginning| text.starts_with(beginning)) {
        return None;
    }
    Some(text.split_at(text.find(char::is_whitespace).unwrap_or(text.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_have_an_operator_and_values() {
        for (text, operator, values) in [
            ("QEMU  Disk", "s==", &["qemu%20%20disk"][..]),
            ("<in> H730 Mini", "<in>", &["h730%20mini"]),
            ("<or> a b <or>c", "<or>", &["a%20b", "c"]),
            ("s!=x", "s!=", &["x"]),
            (">= 1", ">=", &["1"]),
            ("<range-in> [ 1 2 ]", "<", &["range-in>"]),
            ("50% \u{e9}/~", "s==", &["50%25%20%C3%A9/~"]),
        ] {
            let expression = Expression::of_text(text).expect(text);
            assert_eq!(
                (expression.operator.as_str(), expression.values.as_slice()),
                (operator, &*owned(values)),
                "{text}"
            );
        }
        for text in ["", " ", "s==", "<in>", "=== 5", "s==  s== b"] {
            Expression::of_text(text).expect_err(text);
        }
    }

    fn owned(values: &[&str]) -> Vec<String> {
        values.iter().map(|&value| value.to_owned()).collect()
    }
}
