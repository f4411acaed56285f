//! Answers null where a list of steps is due.

use ipa_misbehaving::*;

export_seam! {
    StepsNull, name = "steps_null",
    fn call(method: &str) -> (u32, Vec<u8>) {
        match method {
            "get_clean_steps" => (reply::VALUE, b"null".to_vec()),
            _ => (reply::ABSENT, b"{}".to_vec()),
        }
    }
}
