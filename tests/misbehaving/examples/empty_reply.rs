//! Answers a step with nothing.

use ipa_misbehaving::*;

export_seam! {
    EmptyReply, name = "empty_reply",
    fn call(method: &str) -> (u32, Vec<u8>) {
        match method {
            "misbehave" => (reply::VALUE, Vec::new()),
            _ => (reply::ABSENT, b"{}".to_vec()),
        }
    }
}
