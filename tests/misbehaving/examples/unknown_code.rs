//! Answers a step with a reply code that does not exist.

use ipa_misbehaving::*;

export_seam! {
    UnknownCode, name = "unknown_code",
    fn call(method: &str) -> (u32, Vec<u8>) {
        match method {
            "misbehave" => (4_000_000_000, b"a code of the year 2040".to_vec()),
            _ => (reply::ABSENT, b"{}".to_vec()),
        }
    }
}
