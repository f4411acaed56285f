//! Flags of options that the help does not list, read before clap sees the command line.
//!
//! There are sixty of them for each of three commands; told of all, clap takes five times as long over every command
//! line, which a start has no time for.

use std::ffi::OsString;

use super::option_flags::{check, is_listed};
use crate::config::Flag;
use crate::config::options::OPTIONS;
use crate::config::spec::Kind;

/// Flags of upstream's logging library, which have no effect here.
const LOGGING: &[(&str, Kind)] = &[
    ("log_config_append", Kind::Text),
    ("log_date_format", Kind::Text),
    ("syslog_log_facility", Kind::Text),
    ("use_journal", Kind::Boolean),
    ("use_syslog", Kind::Boolean),
];

/// Takes these flags out of a command line whose long flags have dashes. Gives what is left, and the flags.
///
/// # Errors
/// A flag has no value, or one that its option does not accept.
pub(super) fn take(args: Vec<OsString>) -> Result<(Vec<OsString>, Vec<Flag>), String> {
    let (mut left, mut flags) = (Vec::with_capacity(args.len()), Vec::new());
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            left.push(arg);
            left.extend(args);
            break;
        }
        let text = arg.to_str().and_then(|text| text.strip_prefix("--")).unwrap_or_default();
        let (flag, given) = text.split_once('=').map_or((text, None), |(flag, value)| (flag, Some(value)));
        let Some((name, kind, truth)) = find(flag) else {
            // Made tokens may begin with a dash, for which clap takes a value for a flag.
            let needs_value = given.is_none() && is_listed_with_value(flag);
            let value = needs_value.then(|| value_of(flag, &mut args)).transpose()?;
            left.push(value.map_or_else(|| arg.clone(), |value| format!("--{flag}={value}").into()));
            continue;
        };
        let value = match (truth, given) {
            (Some(truth), None) => truth.to_string(),
            (Some(_), Some(_)) => return Err(format!("--{flag} takes no value")),
            (None, Some(given)) => given.to_owned(),
            (None, None) => value_of(flag, &mut args)?,
        };
        check(kind, &value).map_err(|why| format!("Invalid value for '--{flag}': {why}"))?;
        flags.push(Flag { name, value, flag: flag.to_owned() });
    }
    Ok((left, flags))
}

/// What follows a flag as its value, which two dashes or a single letter after one make another flag.
fn value_of(flag: &str, args: &mut impl Iterator<Item = OsString>) -> Result<String, String> {
    let next = args.next().and_then(|value| value.into_string().ok());
    let is_flag = |value: &str| match value.as_bytes() {
        [b'-', letter] => letter.is_ascii_alphabetic(),
        bytes => bytes.starts_with(b"--"),
    };
    next.filter(|value| !is_flag(value)).ok_or_else(|| {
        format!("--{flag} needs a value; give one that looks like a flag in one word, as --{flag}=VALUE")
    })
}

/// True for a flag that clap knows and that is no switch.
fn is_listed_with_value(flag: &str) -> bool {
    let mut options = OPTIONS.iter().filter(|spec| is_listed(spec.name) && spec.kind != Kind::Boolean);
    options.any(|spec| is(spec.name, flag))
}

/// True if a flag is that of an option.
fn is(name: &str, flag: &str) -> bool {
    name.len() == flag.len() && name.bytes().zip(flag.bytes()).all(|(n, f)| f == if n == b'_' { b'-' } else { n })
}

/// The option of a flag, what it accepts, and for a switch what the flag means.
fn find(flag: &str) -> Option<(&'static str, Kind, Option<bool>)> {
    let options = OPTIONS.iter().filter(|spec| spec.has_flag() && !is_listed(spec.name));
    let all = options.map(|spec| (spec.name, spec.kind)).chain(LOGGING.iter().copied());
    for (name, kind) in all {
        if is(name, flag) {
            return Some((name, kind, (kind == Kind::Boolean).then_some(true)));
        }
        if kind == Kind::Boolean && flag.strip_prefix("no").is_some_and(|flag| is(name, flag)) {
            return Some((name, kind, Some(false)));
        }
    }
    None
}
