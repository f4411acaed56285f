//! Gives a support that no 64-bit integer holds.

use ipa_misbehaving::*;

export_seam! {
    HugeSupport, name = "huge_support",
    fn evaluate() -> (u32, Vec<u8>) {
        (reply::VALUE, b"1e300".to_vec())
    }
}
