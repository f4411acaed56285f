//! Who is asked first, and which of two files with the same name stays.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;

use ipa_plugin_api::manifest::Manifest;
use semver::Version;
use serde_json::Value;

/// The support that a manager claims; none for zero and below. As in Python, true counts as 1.
///
/// # Errors
/// Half a sentence, if it is no integer.
pub(crate) fn support(value: &Value) -> Result<Option<i64>, String> {
    match value {
        Value::Bool(supported) => Ok(supported.then_some(1)),
        Value::Number(number) => match number.as_i64() {
            Some(support) => Ok(Some(support).filter(|support| *support > 0)),
            None => Err(format!("its support {number} is no integer that fits 64 bits")),
        },
        _ => Err("its support is no integer".to_owned()),
    }
}

/// The order of two managers: larger support first, then class name, then name.
pub(crate) fn order(left: (i64, &Manifest), right: (i64, &Manifest)) -> Ordering {
    let key =
        |(support, manifest): (i64, &Manifest)| (Reverse(support), manifest.class_name.clone(), manifest.name.clone());
    key(left).cmp(&key(right))
}

/// For each of several manifests in order of their files: none if it stays, else the place of the one that took its
/// name or class name. The highest version stays; of equal versions the first.
pub(crate) fn duplicates(manifests: &[&Manifest]) -> Vec<Option<usize>> {
    let mut places: Vec<usize> = (0..manifests.len()).collect();
    // Stable, so that the first file stays first.
    places.sort_by(|left, right| version_order(&manifests[*right].version, &manifests[*left].version));
    let (mut names, mut classes) = (HashMap::new(), HashMap::new());
    let mut verdicts = vec![None; manifests.len()];
    for place in places {
        let manifest = manifests[place];
        let taken = names.get(manifest.name.as_str()).or_else(|| classes.get(manifest.class_name.as_str())).copied();
        verdicts[place] = taken;
        if taken.is_none() {
            names.insert(manifest.name.as_str(), place);
            classes.insert(manifest.class_name.as_str(), place);
        }
    }
    verdicts
}

/// Versions by semver; what is no version at all comes before all others.
fn version_order(left: &str, right: &str) -> Ordering {
    version(left).cmp(&version(right))
}

/// A version; a shorter one is filled with zeros.
pub(crate) fn version(text: &str) -> Option<Version> {
    let filled = match text.bytes().filter(|byte| *byte == b'.').count() {
        0 => format!("{text}.0.0"),
        1 => format!("{text}.0"),
        _ => text.to_owned(),
    };
    Version::parse(&filled).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn manifest(name: &str, class: &str, version: &str) -> Manifest {
        serde_json::from_value(json!({"name": name, "class_name": class, "version": version, "api": "1.0.0"}))
            .expect("manifest")
    }

    #[test]
    fn only_positive_integers_and_true_are_support() {
        assert_eq!(support(&json!(3)), Ok(Some(3)));
        assert_eq!(support(&json!(i64::MAX)), Ok(Some(i64::MAX)));
        assert_eq!(support(&json!(true)), Ok(Some(1)));
        for none in [json!(0), json!(-1), json!(i64::MIN), json!(false)] {
            assert_eq!(support(&none), Ok(None), "{none}");
        }
        for wrong in [json!(1.5), json!(u64::MAX), json!("1"), json!(null), json!([1])] {
            assert!(support(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_levels_are_those_of_the_python_agent() {
        use ipa_plugin_api::manager::Support;
        let recorded: Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/names/upstream.json")).unwrap();
        for (name, Support(level)) in [
            ("NONE", Support::NONE),
            ("GENERIC", Support::GENERIC),
            ("MAINLINE", Support::MAINLINE),
            ("SERVICE_PROVIDER", Support::SERVICE_PROVIDER),
        ] {
            assert_eq!(recorded["support"][name], level, "{name}");
        }
    }

    #[test]
    fn support_comes_before_names() {
        let (b_high, a, b) = (manifest("x", "B", "1"), manifest("y", "A", "1"), manifest("z", "B", "1"));
        let mut managers = [(1, &b), (1, &a), (3, &b_high), (1, &b_high)];
        managers.sort_by(|left, right| order(*left, *right));
        let names: Vec<(i64, &str)> =
            managers.iter().map(|(support, manifest)| (*support, manifest.name.as_str())).collect();
        assert_eq!(names, [(3, "x"), (1, "y"), (1, "x"), (1, "z")]);
    }

    #[test]
    fn the_highest_version_of_a_name_or_class_stays() {
        let all = [
            manifest("acme", "Acme", "1.9.0"),
            manifest("acme", "Other", "1.10.0"),
            manifest("third", "Acme", "1.0.0"),
            manifest("fourth", "Acme", "1.0.0"),
        ];
        let verdicts = duplicates(&all.iter().collect::<Vec<_>>());
        assert_eq!(verdicts, [Some(1), None, None, Some(2)]);
    }

    #[test]
    fn python_style_versions_are_compared_too() {
        assert_eq!(version_order("1.2", "1.2.0"), Ordering::Equal);
        assert_eq!(version_order("2", "1.10"), Ordering::Greater);
        assert_eq!(version_order("first", "0.0.1"), Ordering::Less);
    }
}
