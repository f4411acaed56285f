//! Whether a signature is one for these bytes, by one of the keys.

use minisign_verify::{Error, Signature};

use super::super::refusal::Refusal;
use super::claim::Claim;
use super::keys::{self, Key};

/// Largest signature file, in bytes: two comments of 8 KiB at most, two short lines.
pub(crate) const SIGNATURE_LIMIT: usize = 20 * 1024;

const SIGN: &str = "sign the file anew with `cargo xtask sign-plugin` or minisign, and put the .minisig beside it";

/// A signature that is right.
#[derive(Debug)]
pub(crate) struct Verified<'a> {
    /// What was signed.
    pub(crate) claim: Claim,
    /// Who signed it.
    pub(crate) key: &'a Key,
}

/// Verifies a signature and reads its trusted comment.
///
/// # Errors
/// Anything at all is wrong; each fault has a cause and a cure of its own.
pub(crate) fn verify<'a>(bytes: &[u8], signature: &[u8], keys: &'a [Key]) -> Result<Verified<'a>, Refusal> {
    if signature.len() > SIGNATURE_LIMIT {
        return Err(Refusal::new(format!("its signature has more than {SIGNATURE_LIMIT} bytes"), SIGN));
    }
    let no_signature =
        |why: &str| Refusal::new(format!("what should be its signature is no minisign signature ({why})"), SIGN);
    let text = std::str::from_utf8(signature).map_err(|_| no_signature("it is no text"))?;
    let signature = Signature::decode(text).map_err(|error| match error {
        Error::UnsupportedAlgorithm => no_signature("its algorithm is unknown"),
        _ => no_signature("it is cut short or changed"),
    })?;
    let id = text.lines().nth(1).and_then(keys::id_of).unwrap_or_default();
    let mut fault = unknown_key(&id, keys);
    for key in keys {
        match key.key.verify(bytes, &signature, false) {
            Ok(()) => return Ok(Verified { claim: Claim::parse(signature.trusted_comment())?, key }),
            Err(Error::UnexpectedKeyId) => {}
            Err(Error::UnexpectedAlgorithm) => {
                let cause = "its signature is of minisign's legacy form, which is not accepted";
                return Err(Refusal::new(
                    cause,
                    "sign it without -l, with minisign 0.10 or later, or with `minisign -SH`",
                ));
            }
            Err(_) => {
                fault = Refusal::new(
                    format!(
                        "its signature by key {id} does not fit: the file or the trusted comment was changed, or it is \
                         the signature of another file"
                    ),
                    SIGN,
                );
            }
        }
    }
    Err(fault)
}

fn unknown_key(id: &str, keys: &[Key]) -> Refusal {
    let known: Vec<String> = keys.iter().map(|key| format!("{} ({})", key.id, key.file)).collect();
    Refusal::new(
        format!("it was signed with the key {id}, which is not trusted here; known are: {}", known.join(", ")),
        "sign it with one of these, or build the ramdisk with the other's public key",
    )
}

#[cfg(test)]
pub(crate) mod tests;
