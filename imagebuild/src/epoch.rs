//! The time of the files that are made: `SOURCE_DATE_EPOCH`, by which whoever builds makes builds repeatable.

use crate::failure::{Failure, Outcome};

/// The name of the environment variable.
pub const NAME: &str = "SOURCE_DATE_EPOCH";
/// 1980-01-01, the first time that all formats know: FAT has none before. It stands for no time at all.
pub const FIRST: u32 = 315_532_800;

/// The time that the environment gives, in seconds since 1970. One before [`FIRST`] counts as that.
///
/// # Errors
/// It is no number, or of a year after 2106, which an archive for a kernel cannot tell.
pub fn given() -> Outcome<Option<u32>> {
    match std::env::var_os(NAME) {
        Some(text) => parse(&text.to_string_lossy()).map(Some),
        None => Ok(None),
    }
}

/// The time that the environment gives, or else the first.
///
/// # Errors
/// As [`given`].
pub fn given_or_first() -> Outcome<u32> {
    Ok(given()?.unwrap_or(FIRST))
}

/// Reads a time.
///
/// # Errors
/// As [`given`].
pub fn parse(text: &str) -> Outcome<u32> {
    match text.trim().parse() {
        Ok(seconds) => Ok(u32::max(seconds, FIRST)),
        Err(_) => Err(Failure::new(format!("{NAME}={text:?} is no number of seconds since 1970 up to {}", u32::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_one_that_all_formats_know() {
        assert_eq!(parse("1700000000\n").unwrap(), 1_700_000_000);
        assert_eq!(parse("0").unwrap(), FIRST);
        for text in ["", "now", "-1", "4294967296"] {
            let failure = parse(text).unwrap_err().to_string();
            assert!(failure.starts_with(&format!("SOURCE_DATE_EPOCH={text:?} is no number of seconds")), "{failure}");
        }
    }
}
