//! The names of functions in a program, and what stays of them from build to build.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ipa_imagebuild::failure::{Failure, Outcome};
use ipa_imagebuild::process;

const LISTING: Duration = Duration::from_secs(60);
const HASH_DIGITS: usize = 16;

/// The names at each address, as the program file has them, of the functions that the linker can move.
pub(crate) fn functions(program: &Path) -> Outcome<BTreeMap<u64, Vec<String>>> {
    let functions = parse(&process::output(Command::new("nm").arg("--defined-only").arg(program), LISTING)?);
    if functions.is_empty() {
        return Err(Failure::new(format!("{} has no names of functions: it was stripped", program.display())));
    }
    Ok(functions)
}

/// Reads lines of `address type name`. Compilers give equal functions one address.
fn parse(listing: &str) -> BTreeMap<u64, Vec<String>> {
    let mut functions: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for line in listing.lines() {
        let mut words = line.split_whitespace();
        let (Some(address), Some("t" | "T" | "w" | "W"), Some(name)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        if let (Ok(address), Some(_)) = (u64::from_str_radix(address, 16), pattern(name)) {
            functions.entry(address).or_default().push(name.to_owned());
        }
    }
    functions
}

/// The name for a linker script, with stars for the hashes that differ between builds.
///
/// `None` for what no compiler of Rust has named: it has no section of its own, and may be a table among assembly.
pub(crate) fn pattern(name: &str) -> Option<String> {
    if name == "main" {
        return Some(name.to_owned());
    }
    let name = without_suffix(name);
    if name.starts_with("_ZN") {
        Some(without_legacy_hash(name))
    } else if name.starts_with("_R") {
        Some(without_crate_hashes(name))
    } else {
        None
    }
}

/// Without the `.llvm.123` or `.123` of a function that the optimiser made local or copied.
fn without_suffix(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((rest, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            rest.strip_suffix(".llvm").unwrap_or(rest)
        }
        _ => name,
    }
}

/// `_ZN…17h<hash>E` as `_ZN…17h*`.
fn without_legacy_hash(name: &str) -> String {
    let hash = |tail: &str| tail.len() == HASH_DIGITS && tail.bytes().all(|byte| byte.is_ascii_hexdigit());
    match name.strip_suffix('E').and_then(|rest| rest.rsplit_once("17h")) {
        Some((path, tail)) if hash(tail) => format!("{path}17h*"),
        _ => format!("{name}*"),
    }
}

/// Each `Cs<hash>_` before the length of a crate's name as `Cs*_`; the star at the end stands for the suffix.
fn without_crate_hashes(name: &str) -> String {
    let mut pattern = String::new();
    let mut rest = name;
    while let Some(start) = rest.find("Cs") {
        let (before, after) = rest.split_at(start + "Cs".len());
        pattern.push_str(before);
        rest = after;
        let length = after.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let (hash, tail) = after.split_at(length);
        if !hash.is_empty() && tail.starts_with('_') && tail[1..].starts_with(|next: char| next.is_ascii_digit()) {
            pattern.push('*');
            rest = tail;
        }
    }
    pattern + rest + "*"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legacy_name_loses_hash_and_suffix() {
        for suffix in ["", ".llvm.123456789", ".7"] {
            let name = format!("_ZN4core3ptr13drop_in_place$LT$alloc..vec..Vec$GT$17h0123456789abcdefE{suffix}");
            assert_eq!(pattern(&name).unwrap(), "_ZN4core3ptr13drop_in_place$LT$alloc..vec..Vec$GT$17h*");
        }
        // No hash: too short.
        assert_eq!(pattern("_ZN3a17h0123E").unwrap(), "_ZN3a17h0123E*");
    }

    #[test]
    fn a_v0_name_loses_the_hash_of_each_crate() {
        let name = "_RNvXsq_NtCslNYArtu3iFV_5alloc6stringNtB5_6StringNtNtCsgEmfK2I1SDS_4core3fmt7Display3fmt";
        let wanted = "_RNvXsq_NtCs*_5alloc6stringNtB5_6StringNtNtCs*_4core3fmt7Display3fmt*";
        assert_eq!(pattern(name).unwrap(), wanted);
        assert_eq!(pattern(&format!("{name}.llvm.42")).unwrap(), wanted);
        // The length of a name that begins with a line is followed by one more.
        assert_eq!(pattern("_RNvCsabc1_7___rustc12___rust_alloc").unwrap(), "_RNvCs*_7___rustc12___rust_alloc*");
        // Letters of a name are no crate.
        assert_eq!(pattern("_RNvC3lib6Css_ab").unwrap(), "_RNvC3lib6Css_ab*");
    }

    #[test]
    fn what_the_linker_cannot_move_has_no_pattern() {
        assert_eq!(pattern("main").unwrap(), "main");
        assert_eq!(pattern("_start"), None);
        assert_eq!(pattern("ring_core_0_17_14__OPENSSL_cpuid_setup"), None);
    }

    #[test]
    fn only_functions_are_listed_and_all_names_of_each() {
        let listing = "0000000000000010 t _RNvC1a1b\n0000000000000010 T _RNvC1a1c\n\
                       0000000000000020 r _RNvC1a1d\n                 U _RNvC1a1e\n0000000000000030 T _start\n";
        let functions = parse(listing);
        assert_eq!(functions, BTreeMap::from([(16, vec!["_RNvC1a1b".to_owned(), "_RNvC1a1c".to_owned()])]));
    }
}
