//! Plugins that are fetched at boot: `ipa-plugin-urls=https://host/libacme.so#1.2.0`.
//!
//! A plugin runs with all rights of the agent, so what the network gives must be proven to come from whoever built the
//! ramdisk. Beside each file lies its signature, `libacme.so.minisig`, made by one of the keys in the ramdisk,
//! `/etc/ipa/plugin-keys/*.pub`. Format and tools are minisign's. The trusted comment, which the signature covers, says
//! what was signed:
//!
//! ```text
//! ipa-plugin name=acme version=1.2.0 file=libacme.so
//! ```
//!
//! `cargo xtask sign-plugin FILE` writes it; so does `minisign -Sm FILE -t "$(ipa-host plugins check --comment FILE)"`.
//!
//! # What an attacker can do
//!
//! Trusted are the ramdisk with its keys, whoever holds the secret keys, and the kernel line (who writes that can name
//! another `ipa-plugin-dir` or boot another kernel). Not trusted are the network, the server, and, with `ipa-insecure`,
//! whoever stands in between: TLS hides the requests and keeps idlers out, the signature alone decides.
//!
//! | The attacker | What happens |
//! |---|---|
//! | changes the file, the signature or its comment, cuts one short | refused: no part fits without the others |
//! | signs with a key of their own | refused: the key is not in the ramdisk |
//! | serves another plugin, validly signed, in the place of this one | refused: the signed `file` is the name in the URL |
//! | signs nothing, but renames a field of the manifest | refused: `name` and `version` are those of the manifest |
//! | serves an old version with its old, valid signature (replay) | refused if the URL has a version or a floor, `#1.2.0` or `#>=1.2.0`; otherwise it is used unless a higher version is there |
//! | serves nothing, or drips for ever | the plugin is missing after at most [`fetch::PATIENCE`]; the others serve, `plugins list` and the log say so |
//! | serves endless bytes, loops of redirects | bounded: [`fetch::PLUGIN_LIMIT`], five redirects, none out of TLS |
//! | attacks the readers of ELF and manifest | they see only bytes whose signature is valid |
//!
//! So who wants no old version ever again writes the version into the URL. A lost key is replaced by building the
//! ramdisk with another: a signature has no end by itself, as ramdisks have no clock to be trusted before NTP.
//!
//! Only prehashed signatures are taken, which the tool makes by default. A legacy one covers the bare bytes of a file.
//! The signature over comments covers bare bytes too, so a legacy signature of a well-chosen file would be one of a
//! comment that its signer never saw.
//!
//! Verified bytes go straight into a sealed memory file; nothing is written where it could be changed before it is
//! loaded, and a plugin that dies is started again from there.

pub(crate) mod beside;
mod claim;
pub(crate) mod fetch;
mod keys;
mod urls;
mod verify;

use std::path::Path;

pub(crate) use self::claim::Claim;
pub(crate) use self::keys::{Key, Keys};
pub(crate) use self::verify::{SIGNATURE_LIMIT, verify};
use super::refusal::Refusal;

/// Where the keys are, below the root.
pub(crate) const KEYS: &str = "etc/ipa/plugin-keys";

/// What is said where there is no key.
pub(crate) fn no_keys(directory: &Path) -> Refusal {
    Refusal::new(
        format!("there is no key to check signatures with ({}/*.pub)", directory.display()),
        "put the public key of the signer there when the ramdisk is built",
    )
}
