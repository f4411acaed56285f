//! `$name` in a value stands for the value of another option, as `oslo.config` has it.
//!
//! `$name`, `${name}`, `$group.name`; `$$` and `\$` are a dollar sign.

use std::cell::Cell;

/// Most names that are replaced for one value, those in values of values included; more is a circle.
const MOST: usize = 64;

/// Replaces the names in a text by what `lookup` knows of them: the raw text of an option of group `DEFAULT` or of
/// `group.name`, empty if it has none; None for an unknown name.
///
/// # Errors
/// What is wrong, with the cure.
pub(super) fn substitute(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    expand(text, lookup, &Cell::new(MOST))
}

fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>, left: &Cell<usize>) -> Result<String, String> {
    if !text.contains('$') {
        return Ok(text.to_owned());
    }
    let text = text.replace("\\$", "$$");
    let mut result = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            result.push('$');
            rest = after;
            continue;
        }
        let Some((name, after)) = name_of(after) else {
            // A dollar sign before anything else is one.
            result.push('$');
            rest = after;
            continue;
        };
        left.set(left.get().checked_sub(1).ok_or("a value that does not lead back to itself")?);
        let unknown = || format!("an option's name after a $, which {name:?} is not ($$ is a dollar sign)");
        result.push_str(&expand(&lookup(name).ok_or_else(unknown)?, lookup, left)?);
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

/// The name at the beginning of a text, in braces or not, and what comes after it.
fn name_of(text: &str) -> Option<(&str, &str)> {
    let (inner, braces) = text.strip_prefix('{').map_or((text, false), |inner| (inner, true));
    let begins = inner.starts_with(|first: char| first == '_' || first.is_ascii_alphabetic());
    let end = inner.find(|next: char| !(next == '_' || next == '.' || next.is_ascii_alphanumeric()));
    let (name, after) = inner.split_at(end.unwrap_or(inner.len()));
    let after = if braces { after.strip_prefix('}')? } else { after };
    begins.then_some((name, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> Option<String> {
        let value = match name {
            "host" => "h",
            "metrics.prefix" => "p$host",
            "circle" => "${circle}",
            "empty" => "",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn names_braces_groups_and_dollar_signs() {
        for (text, expected) in [
            ("http://$host:80/${host}x", "http://h:80/hx"),
            ("$metrics.prefix-", "ph-"),
            ("a$$b\\$c", "a$b$c"),
            ("100$ $1 ${", "100$ $1 ${"),
            ("<$empty>", "<>"),
        ] {
            assert_eq!(substitute(text, &known).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn unknown_names_and_circles_are_refused() {
        assert!(substitute("pa$word", &known).expect_err("unknown").contains("\"word\""));
        assert!(substitute("$circle", &known).expect_err("circle").contains("lead back"));
    }

    #[test]
    fn every_short_text_of_special_characters_has_an_answer() {
        let alphabet = ["$", "\\", "{", "}", ".", "_", "1", "empty", "ß"];
        let mut texts = vec![String::new()];
        for _ in 0..5 {
            texts = texts.iter().flat_map(|text| alphabet.map(|next| format!("{text}{next}"))).collect();
            for text in &texts {
                let answer = substitute(text, &known);
                assert!(answer.is_err() || text.contains('$') || answer.as_ref() == Ok(text), "{text:?}: {answer:?}");
            }
        }
    }

    #[test]
    fn there_is_an_end_to_replacing() {
        let bomb = "$bomb$bomb".repeat(1000);
        let lookup = |_: &str| Some(bomb.clone());
        assert!(substitute("$bomb", &lookup).expect_err("endless").contains("lead back"));
        assert!(substitute(&"$empty".repeat(1000), &known).is_err());
    }
}
