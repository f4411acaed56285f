//! Gives its support as a text.

use ipa_misbehaving::*;

export_seam! {
    WrongSupport, name = "wrong_support",
    fn evaluate() -> (u32, Vec<u8>) {
        (reply::VALUE, b"\"very well\"".to_vec())
    }
}
