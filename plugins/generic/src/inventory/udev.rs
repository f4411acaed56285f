//! The udev database: what the rules of the running system found out about a device.

use std::collections::HashMap;

use crate::root::Root;

/// The properties of one block device.
#[derive(Debug, Default)]
pub(super) struct Properties(HashMap<String, String>);

impl Properties {
    /// The properties of the block device with this number, written `major:minor`; none if udev does not know it.
    pub(super) fn of_block(root: &Root, number: &str) -> Self {
        let text = root.text(format!("run/udev/data/b{number}")).unwrap_or_default();
        let property = |line: &str| {
            let (key, value) = line.strip_prefix("E:")?.split_once('=')?;
            Some((key.to_owned(), value.to_owned()))
        };
        Self(text.lines().filter_map(property).collect())
    }

    /// A property that is there and not empty.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The first of several properties that is there.
    pub(super) fn first(&self, keys: &[&str]) -> Option<&str> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// A property in the encoding of udev's `*_ENC` keys, decoded.
    pub(super) fn decoded(&self, key: &str) -> Option<String> {
        self.get(key).map(decode)
    }
}

/// Replaces `\xNN` by the byte it stands for.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        match escaped(rest) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[4..];
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The byte that `\xNN` at the beginning stands for.
fn escaped(text: &[u8]) -> Option<u8> {
    let digits = text.strip_prefix(b"\\x")?.get(..2)?;
    let value = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(value(digits[0])? << 4 | value(digits[1])?).ok()
}

/// Trims, and makes every run of white space one blank, as lsblk does with serial numbers and models.
pub(super) fn squeeze(text: &str) -> String {
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::fixture::Tree;

    #[test]
    fn a_database_entry() {
        let tree = Tree::new();
        // Recorded: systemd 252, QEMU SATA disk (shortened).
        tree.file(
            "run/udev/data/b8:0",
            "S:disk/by-id/wwn-0x5000c50012345678\nI:1034\nE:ID_ATA=1\nE:ID_MODEL=LABSATA\n\
             E:ID_MODEL_ENC=LAB\\x20SATA\\x20\\x20\\x20\nE:ID_SERIAL_SHORT=SATA-0001\nE:ID_EMPTY=\nG:systemd\n",
        );
        let properties = Properties::of_block(&tree.root(), "8:0");
        assert_eq!(properties.first(&["ID_SERIAL", "ID_SERIAL_SHORT"]), Some("SATA-0001"));
        assert_eq!(properties.decoded("ID_MODEL_ENC").map(|model| squeeze(&model)).as_deref(), Some("LAB SATA"));
        assert_eq!(properties.get("ID_EMPTY"), None);
        assert_eq!(Properties::of_block(&tree.root(), "8:16").get("ID_ATA"), None);
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        assert_eq!(decode(r"a\x2"), r"a\x2");
        assert_eq!(decode(r"a\xzz\x41"), r"a\xzzA");
        assert_eq!(decode(r"\"), r"\");
        assert_eq!(decode(r"\x+1é"), r"\x+1é");
        assert_eq!(squeeze("  a \t b\n"), "a b");
    }
}
