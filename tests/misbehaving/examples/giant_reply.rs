//! Answers a step with a text of 200 MB.

use ipa_misbehaving::*;

export_seam! {
    GiantReply, name = "giant_reply",
    fn call(method: &str) -> (u32, Vec<u8>) {
        match method {
            "misbehave" => (reply::VALUE, ["\"", &"x".repeat(200_000_000), "\""].concat().into_bytes()),
            _ => (reply::ABSENT, b"{}".to_vec()),
        }
    }
}
