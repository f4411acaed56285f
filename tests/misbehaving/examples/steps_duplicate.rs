//! Lists the same step twice.

use ipa_misbehaving::*;

export_seam! {
    StepsDuplicate, name = "steps_duplicate",
    fn call(method: &str) -> (u32, Vec<u8>) {
        match method {
            "get_clean_steps" => (reply::VALUE, br#"[{"step": "misbehave", "priority": 10, "interface": "deploy"},
                    {"step": "misbehave", "priority": 90, "interface": "deploy"}]"#
                .to_vec()),
            _ => (reply::ABSENT, b"{}".to_vec()),
        }
    }
}
