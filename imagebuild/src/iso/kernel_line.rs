//! The kernel line: its parts, and how they get through GRUB unchanged.

use std::fmt;

use crate::arch::Arch;
use crate::failure::{Failure, Outcome};

/// COMMAND_LINE_SIZE of x86 and arm64, less the end and what the loader adds (`BOOT_IMAGE=/vmlinuz `).
const LIMIT: usize = 2048 - 1 - 20;

/// The parameters of a kernel, each without the quotes around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KernelLine(Vec<String>);

impl KernelLine {
    /// The default line for an architecture if wanted, then these parameters.
    ///
    /// # Errors
    /// Characters that GRUB would change on the way to the kernel, or too long a line.
    pub(super) fn new(more: &[String], default: Option<&Arch>) -> Outcome<Self> {
        let mut words: Vec<String> = Vec::new();
        if let Some(arch) = default {
            // What the Python agent's tool wrote, and both consoles that a bare-metal machine may have.
            words.extend(["boot_method=vmedia", "console=tty0"].map(str::to_owned));
            words.push(format!("console={},115200n8", arch.serial));
        }
        for text in more {
            words.extend(split(text)?);
        }
        let line = Self(words);
        let length = line.to_string().len();
        if length > LIMIT {
            return Err(Failure::new(format!("the kernel line has {length} bytes; the kernel takes {LIMIT}")));
        }
        Ok(line)
    }

    /// The words as GRUB's shell reads them: nothing in single quotes means anything to it.
    pub(super) fn for_grub(&self) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "=-_.,:/@+%".contains(c);
        let quoted = |word: &String| if word.chars().all(plain) { word.clone() } else { format!("'{word}'") };
        self.0.iter().map(quoted).collect::<Vec<_>>().join(" ")
    }
}

/// As the kernel shows it.
impl fmt::Display for KernelLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, word) in self.0.iter().enumerate() {
            let space = if position == 0 { "" } else { " " };
            let quote = if word.contains(' ') { "\"" } else { "" };
            write!(f, "{space}{quote}{word}{quote}")?;
        }
        Ok(())
    }
}

/// Words between blanks; a blank between double quotes belongs to its word, as for the kernel.
fn split(text: &str) -> Outcome<Vec<String>> {
    let refused = |why: &str| Failure::new(format!("kernel parameters {text:?}: {why}"));
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' | '\t' if !quoted => words.extend(word.take()),
            '\\' | '\'' => return Err(refused(&format!("GRUB cannot hand {c} to a kernel unchanged"))),
            c if c.is_control() => return Err(refused("control characters have no place in a kernel line")),
            c => word.get_or_insert_default().push(c),
        }
    }
    if quoted {
        return Err(refused("a double quote is not closed"));
    }
    words.extend(word.filter(|word| !word.is_empty()));
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Outcome<KernelLine> {
        KernelLine::new(&[text.to_owned()], None)
    }

    #[test]
    fn the_default_line_has_both_consoles_and_what_is_added_comes_last() {
        for (arch, serial) in [("amd64", "ttyS0"), ("arm64", "ttyAMA0")] {
            let more = ["  ipa-debug=1 ".to_owned(), "console=ttyS1".to_owned()];
            let line = KernelLine::new(&more, Some(Arch::named(arch).unwrap())).unwrap();
            let expected =
                format!("boot_method=vmedia console=tty0 console={serial},115200n8 ipa-debug=1 console=ttyS1");
            assert_eq!(line.to_string(), expected);
            assert_eq!(line.for_grub(), expected);
        }
    }

    #[test]
    fn what_means_something_to_grub_is_quoted() {
        assert_eq!(line("a=$b;c {x} #").unwrap().for_grub(), "'a=$b;c' '{x}' '#'");
    }

    #[test]
    fn quoted_blanks_stay_in_their_word() {
        let line = line("sshkey=\"ssh-ed25519 AAAA me\" x").unwrap();
        assert_eq!(line.for_grub(), "'sshkey=ssh-ed25519 AAAA me' x");
        assert_eq!(line.to_string(), "\"sshkey=ssh-ed25519 AAAA me\" x");
    }

    #[test]
    fn what_would_reach_the_kernel_changed_is_refused() {
        for text in [r"a=\x", "a='x'", "a=\"x", "a\nb"] {
            assert!(line(text).is_err(), "{text}");
        }
        assert!(line(&"x".repeat(3000)).unwrap_err().to_string().contains("3000 bytes"));
    }
}
