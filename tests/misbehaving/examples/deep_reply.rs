//! Answers a step with 100,000 lists, one in another.

use ipa_misbehaving::*;

export_seam! {
    DeepReply, name = "deep_reply",
    fn call(method: &str) -> (u32, Vec<u8>) {
        match method {
            "misbehave" => (reply::VALUE, ["[".repeat(100_000), "]".repeat(100_000)].concat().into_bytes()),
            _ => (reply::ABSENT, b"{}".to_vec()),
        }
    }
}
