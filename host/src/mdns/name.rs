//! Domain names as they stand in messages.

use std::fmt;

use super::message::Malformed;

/// Longest name in a message, in bytes.
const LONGEST: usize = 255;
/// Longest label, in bytes.
const LONGEST_LABEL: usize = 63;
/// Most jumps within one name. It has no more labels than that, so no honest one jumps more often.
const MOST_JUMPS: usize = 127;

/// A name: its labels, each after its length, in lower case, with the empty label at the end.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Name(Vec<u8>);

impl Name {
    /// A name written with dots, of which the last may be missing. Only for names of this program's own.
    pub(super) fn of(text: &str) -> Self {
        let mut wire = Vec::with_capacity(text.len() + 2);
        for label in text.split('.').filter(|label| !label.is_empty()) {
            debug_assert!(label.len() <= LONGEST_LABEL);
            wire.push(u8::try_from(label.len()).unwrap_or_default());
            wire.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
        }
        wire.push(0);
        Self(wire)
    }

    /// Reads a name at `start` of a message. Gives it and the place behind it.
    ///
    /// A part of it may stand elsewhere in the message. Each jump must lead further back than any before, so reading
    /// comes to an end.
    pub(super) fn read(message: &[u8], start: usize) -> Result<(Self, usize), Malformed> {
        let byte = |at: usize| message.get(at).copied().ok_or(Malformed("a name leaves the message"));
        let mut wire = Vec::new();
        let (mut at, mut lowest, mut behind, mut jumps) = (start, start, None, 0);
        loop {
            let length = byte(at)?;
            match length >> 6 {
                0b00 => {
                    let length = usize::from(length);
                    let label = message.get(at + 1..at + 1 + length).ok_or(Malformed("a name leaves the message"))?;
                    if wire.len() + 1 + length > LONGEST {
                        return Err(Malformed("a name is longer than 255 bytes"));
                    }
                    wire.push(message[at]);
                    wire.extend(label.iter().map(u8::to_ascii_lowercase));
                    at += 1 + length;
                    if length == 0 {
                        return Ok((Self(wire), behind.unwrap_or(at)));
                    }
                }
                0b11 => {
                    let target = usize::from(length & 0x3f) << 8 | usize::from(byte(at + 1)?);
                    behind.get_or_insert(at + 2);
                    jumps += 1;
                    if target >= lowest || jumps > MOST_JUMPS {
                        return Err(Malformed("a name goes round in circles"));
                    }
                    (at, lowest) = (target, target);
                }
                _ => return Err(Malformed("a name has a label of an unknown kind")),
            }
        }
    }

    /// As it stands in a message.
    pub(super) fn wire(&self) -> &[u8] {
        &self.0
    }

    /// True for names that only this link knows.
    pub(super) fn is_local(&self) -> bool {
        self.0.ends_with(b"\x05local\0")
    }

    /// The name of a host with dots between its labels and none at the end; None if no host can be called so.
    pub(super) fn host(&self) -> Option<String> {
        let labels: Vec<&[u8]> = self.labels().collect();
        let fits = |label: &&[u8]| label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        let text = String::from_utf8(labels.join(&b'.')).ok()?;
        (!labels.is_empty() && labels.iter().all(fits)).then_some(text)
    }

    fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (&length, behind) = rest.split_first()?;
            let (label, next) = behind.split_at_checked(usize::from(length))?;
            rest = next;
            (length > 0).then_some(label)
        })
    }
}

impl fmt::Display for Name {
    /// For people: with a dot at the end, bytes that are no text escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.labels().try_for_each(|label| write!(f, "{}.", label.escape_ascii()))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_one_piece_or_in_several() {
        let message = b"\x05Local\0\x06ironic\xc0\0\x01a\xc0\x07tail";
        let (local, behind) = Name::read(message, 0).expect("whole");
        assert_eq!((local.to_string().as_str(), behind, local.is_local()), ("local.", 7, true));
        assert_eq!(Name::read(message, 7).expect("one jump"), (Name::of("ironic.local."), 16));
        let (name, behind) = Name::read(message, 16).expect("two jumps");
        assert_eq!((name.host().as_deref(), behind), (Some("a.ironic.local"), 20));
    }

    #[test]
    fn names_that_would_never_end_or_lead_out_are_refused() {
        let itself = b"\xc0\x00";
        let each_other = b"\xc0\x02\xc0\x00";
        let forward = b"\x01a\xc0\x04\x01b\0";
        let behind_a_label = b"\x01a\xc0\x00";
        for message in [&itself[..], each_other, forward, behind_a_label] {
            for start in 0..message.len() {
                if let Err(error) = Name::read(message, start) {
                    assert!(!error.to_string().is_empty());
                }
            }
            assert_eq!(Name::read(message, 0), Err(Malformed("a name goes round in circles")), "{message:?}");
        }
        for message in [&b""[..], b"\x05loca", b"\x01a", b"\xc0", b"\x3f"] {
            assert_eq!(Name::read(message, 0), Err(Malformed("a name leaves the message")), "{message:?}");
        }
        assert!(Name::read(b"\x80\0", 0).is_err() && Name::read(b"\x40\0", 0).is_err());
        assert!(Name::read(b"\0", usize::MAX - 1).is_err());
    }

    #[test]
    fn a_name_is_neither_too_long_nor_a_chain_of_jumps() {
        let long = [b"\x3f".as_slice(), &[b'x'; 63]].concat().repeat(4);
        assert_eq!(Name::read(&[&long, &b"\0"[..]].concat(), 0), Err(Malformed("a name is longer than 255 bytes")));
        // 0: the end. 1: a jump to 0, 3: one to 1, and so on.
        let mut chain = vec![0];
        for jump in 0..200_u16 {
            let target = if jump == 0 { 0 } else { jump * 2 - 1 };
            chain.extend((0xc000 | target).to_be_bytes());
        }
        assert!(Name::read(&chain, 1 + 2 * 100).is_ok());
        assert!(Name::read(&chain, 1 + 2 * 199).is_err());
    }

    #[test]
    fn only_names_of_hosts_become_hosts() {
        assert_eq!(Name::of("Ironic-1.example.").host().as_deref(), Some("ironic-1.example"));
        for wire in [&b"\x03a.b\0"[..], b"\x02a@\0", b"\x02a/\0", b"\x01\xff\0", b"\0"] {
            assert_eq!(Name(wire.to_vec()).host(), None, "{wire:?}");
        }
        assert_eq!(Name(b"\x02\n\xff\0".to_vec()).to_string(), "\\n\\xff.");
    }
}
