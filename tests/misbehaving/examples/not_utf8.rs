//! Answers a step with bytes that are not UTF-8.

use ipa_misbehaving::*;

export_seam! {
    NotUtf8, name = "not_utf8",
    fn call(method: &str) -> (u32, Vec<u8>) {
        match method {
            "misbehave" => (reply::VALUE, b"\"serial \xff\xfe\"".to_vec()),
            _ => (reply::ABSENT, b"{}".to_vec()),
        }
    }
}
