//! Reads and judges the manifest of a plugin file.

use std::collections::HashSet;

use ipa_plugin_api::manifest::{MANIFEST_LIMIT, Manifest, NOTE_OWNER, NOTE_TYPE};
use ipa_plugin_api::spec::API_VERSION;
use ipa_plugin_api::step::Step;
use semver::Version;

use super::elf::Elf;
use super::json;
use super::refusal::Refusal;

const NAME_LIMIT: usize = 128;

/// The manifest in a plugin file's note.
pub(crate) fn read(elf: &Elf<'_>) -> Result<Manifest, Refusal> {
    let note = elf.note(NOTE_OWNER, NOTE_TYPE).map_err(|error| Refusal::new(error.to_string(), "build it again"))?;
    let note = note.ok_or_else(|| {
        Refusal::new("it has no manifest note, so it is no plugin of this agent", "build it with export_manager!")
    })?;
    parse(note)
}

/// A manifest from its JSON.
pub(crate) fn parse(note: &[u8]) -> Result<Manifest, Refusal> {
    let broken = |why: String| Refusal::new(format!("its manifest is broken: {why}"), "build it with export_manager!");
    if note.len() > MANIFEST_LIMIT {
        return Err(broken(format!("it has {} bytes, more than {MANIFEST_LIMIT}", note.len())));
    }
    let value = json::parse(note).map_err(broken)?;
    // The version first: a manifest of another major may have another form.
    check_api(value.get("api").and_then(serde_json::Value::as_str).unwrap_or_default())?;
    let manifest: Manifest = serde_json::from_value(value).map_err(|error| broken(error.to_string()))?;
    check(&manifest).map_err(broken)?;
    Ok(manifest)
}

/// Whether a plugin built against this version of plugin-api fits this host: the same major number, any minor.
fn check_api(api: &str) -> Result<(), Refusal> {
    let ours = Version::parse(API_VERSION).unwrap_or_else(|_| Version::new(1, 0, 0));
    let theirs = Version::parse(api).map_err(|error| {
        Refusal::new(format!("its plugin-api version {api:?} is no version: {error}"), "build it with export_manager!")
    })?;
    if theirs.major == ours.major {
        return Ok(());
    }
    Err(Refusal::new(
        format!("it was built for plugin-api {theirs}, this host speaks {}.x", ours.major),
        format!("build it against ipa-plugin-api {ours}, or install an agent that speaks {}.x", theirs.major),
    ))
}

fn check(manifest: &Manifest) -> Result<(), String> {
    identifier("name", &manifest.name)?;
    identifier("class_name", &manifest.class_name)?;
    let version = &manifest.version;
    if version.is_empty() || version.len() > NAME_LIMIT || !version.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("version {version:?} is not 1 to {NAME_LIMIT} visible ASCII characters"));
    }
    for method in &manifest.methods {
        method_name("method", method)?;
    }
    for (list, steps) in [
        ("clean_steps", &manifest.clean_steps),
        ("deploy_steps", &manifest.deploy_steps),
        ("service_steps", &manifest.service_steps),
    ] {
        check_steps(list, steps)?;
    }
    for tool in &manifest.tools {
        if tool.is_empty() || tool.len() > 256 || tool.contains('\0') {
            return Err(format!("tool {tool:?} is no name of a program"));
        }
    }
    Ok(())
}

fn check_steps(list: &str, steps: &[Step]) -> Result<(), String> {
    let mut seen = HashSet::new();
    for step in steps {
        method_name("step", &step.step)?;
        if step.priority < 0 {
            return Err(format!("{list}: step {} has the negative priority {}", step.step, step.priority));
        }
        if !seen.insert(step.step.as_str()) {
            return Err(format!("{list} names the step {} twice", step.step));
        }
    }
    Ok(())
}

fn method_name(what: &str, name: &str) -> Result<(), String> {
    identifier(what, name)?;
    if name.starts_with('_') {
        return Err(format!("{what} {name}: names that begin with an underscore are private and never called"));
    }
    Ok(())
}

fn identifier(what: &str, name: &str) -> Result<(), String> {
    let sane = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.is_empty() || name.len() > NAME_LIMIT || !name.bytes().all(sane) {
        return Err(format!("{what} {name:?} is not 1 to {NAME_LIMIT} letters, digits, '_', '-' or '.'"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn sample() -> Value {
        json!({"name": "acme", "class_name": "Acme", "version": "1.0.0", "api": "1.7.3", "future_key": [1]})
    }

    fn parsed(manifest: &Value) -> Result<Manifest, String> {
        parse(manifest.to_string().as_bytes()).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn any_minor_version_of_the_same_major_fits() {
        for api in ["1.0.0", "1.99.3", API_VERSION] {
            let mut manifest = sample();
            manifest["api"] = api.into();
            assert_eq!(parsed(&manifest).expect(api).class_name, "Acme");
        }
    }

    #[test]
    fn another_major_is_refused_whatever_else_the_manifest_says() {
        let refusal = parse(br#"{"api": "2.0.0"}"#).expect_err("refused").to_string();
        assert!(refusal.starts_with("it was built for plugin-api 2.0.0, this host speaks 1.x; build it"), "{refusal}");
        assert!(parse(b"{}").is_err());
    }

    #[test]
    fn faults_are_named() {
        let step = |name: &str, priority: i64| json!({"step": name, "priority": priority});
        for (key, value, expected) in [
            ("name", json!(""), "name \"\""),
            ("class_name", json!("a b"), "class_name"),
            ("version", json!("1\n2"), "version"),
            ("methods", json!(["_private"]), "private"),
            ("clean_steps", json!([step("a", 1), step("a", 2)]), "clean_steps names the step a twice"),
            ("deploy_steps", json!([step("a", -1)]), "negative priority -1"),
            ("service_steps", json!([{"priority": 1}]), "step"),
            ("tools", json!([""]), "tool"),
        ] {
            let mut manifest = sample();
            manifest[key] = value;
            let refusal = parsed(&manifest).expect_err(key);
            assert!(refusal.contains(expected), "{key}: {refusal}");
        }
    }
}
