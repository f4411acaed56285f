//! Lists steps whose parts have the wrong types.

use ipa_misbehaving::*;

export_seam! {
    StepsWrongTypes, name = "steps_wrong_types",
    fn call(method: &str) -> (u32, Vec<u8>) {
        match method {
            "get_clean_steps" => (reply::VALUE, br#"["misbehave", {"step": 5, "priority": "high", "interface": null}, 7]"#.to_vec()),
            _ => (reply::ABSENT, b"{}".to_vec()),
        }
    }
}
