//! Lists 100,000 steps with a description each.

use ipa_misbehaving::*;

fn list() -> Vec<u8> {
    let step = |number: u32| {
        json!({"step": format!("misbehave_{number}"), "priority": 1, "interface": "deploy",
               "argsinfo": {"why": {"description": "x".repeat(200), "required": false}}})
    };
    json!((0..100_000).map(step).collect::<Vec<_>>()).to_string().into_bytes()
}

export_seam! {
    StepsHuge, name = "steps_huge",
    fn call(method: &str) -> (u32, Vec<u8>) {
        match method {
            "get_clean_steps" => (reply::VALUE, list()),
            _ => (reply::ABSENT, b"{}".to_vec()),
        }
    }
}
