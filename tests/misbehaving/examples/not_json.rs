//! Answers a step with a text that is no JSON.

use ipa_misbehaving::*;

export_seam! {
    NotJson, name = "not_json",
    fn call(method: &str) -> (u32, Vec<u8>) {
        match method {
            "misbehave" => (reply::VALUE, b"done, thank you".to_vec()),
            _ => (reply::ABSENT, b"{}".to_vec()),
        }
    }
}
