//! Lists `erase_devices` as its own: the step of another manager that wipes what the tenant left.

use ipa_misbehaving::*;

export_seam! {
    StepsShadow, name = "steps_shadow",
    fn call(method: &str) -> (u32, Vec<u8>) {
        match method {
            "get_clean_steps" => (reply::VALUE, br#"[{"step": "erase_devices", "priority": 10, "interface": "deploy"}]"#.to_vec()),
            _ => (reply::ABSENT, b"{}".to_vec()),
        }
    }
}
