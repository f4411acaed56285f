//! Lists a step of negative priority.

use ipa_misbehaving::*;

export_seam! {
    StepsNegative, name = "steps_negative",
    fn call(method: &str) -> (u32, Vec<u8>) {
        match method {
            "get_clean_steps" => (reply::VALUE, br#"[{"step": "misbehave", "priority": -1, "interface": "deploy"}]"#.to_vec()),
            _ => (reply::ABSENT, b"{}".to_vec()),
        }
    }
}
