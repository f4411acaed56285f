//! Lists a step without a priority.

use ipa_misbehaving::*;

export_seam! {
    StepsNoPriority, name = "steps_no_priority",
    fn call(method: &str) -> (u32, Vec<u8>) {
        match method {
            "get_clean_steps" => (reply::VALUE, br#"[{"step": "misbehave", "interface": "deploy"}]"#.to_vec()),
            _ => (reply::ABSENT, b"{}".to_vec()),
        }
    }
}
