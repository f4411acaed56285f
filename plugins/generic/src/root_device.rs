//! The root device: the disk that an image is written to.

use std::collections::BTreeMap;

use ipa_plugin_api::error::{HwError, HwResult};
use ipa_plugin_api::inventory::BlockDevice;
use serde::Serialize;
use serde_json::Value;

use crate::hints::{Candidate, Hints, Verdict};
use crate::inventory::disks::Disk;

/// Smallest disk that is taken without hints, in bytes.
const SMALLEST: u64 = 4 << 30;
/// A hint for a RAID volume instead of a disk.
const VOLUME_NAME: &str = "volume_name";

/// The disks that may be chosen from: those that all managers have let through, with all names that are known of them.
/// What a manager changed in a disk holds.
pub fn candidates(listed: Vec<BlockDevice>, disks: &[Disk]) -> Vec<Candidate> {
    let of = |device: BlockDevice| {
        let known = disks.iter().find(|disk| disk.device.name == device.name);
        let all = |known: Option<&[Option<String>]>, was: Option<&Option<String>>, is: &Option<String>| match known {
            Some(known) if was == Some(is) => known.to_vec(),
            _ => vec![is.clone()],
        };
        let serials = all(known.map(|disk| &disk.serials[..]), known.map(|disk| &disk.device.serial), &device.serial);
        let wwns = all(known.map(|disk| &disk.wwns[..]), known.map(|disk| &disk.device.wwn), &device.wwn);
        Candidate { device, serials, wwns }
    };
    listed.into_iter().map(of).collect()
}

/// The hints of a node at its root device; those of the instance are above its own.
pub fn hints_of(node: &Value) -> Option<&Value> {
    ["instance_info", "properties"].iter().map(|part| &node[part]["root_device"]).find(|hints| is_some(hints))
}

/// False for what counts as nothing in Python.
fn is_some(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

/// The root device among these disks.
///
/// # Errors
/// `DeviceNotFound`: no disk matches the hints, they are wrong, or without hints no disk is large enough.
pub fn choose<'a>(disks: &'a [Candidate], hints: Option<&Value>) -> HwResult<&'a Candidate> {
    let Some(hints) = hints else { return smallest(disks) };
    let wrong = |why: String| {
        HwError::device_not_found(format!(
            "No devices could be found using the root device hints {hints} because they failed to validate. Error: {why}"
        ))
    };
    let parsed = Hints::parse(hints).map_err(wrong)?;
    for disk in disks {
        if parsed.fit(disk).map_err(wrong)? {
            return Ok(disk);
        }
    }
    let seen: Vec<&str> = disks.iter().map(|disk| disk.device.name.as_str()).collect();
    let seen =
        if seen.is_empty() { "there is no disk".to_owned() } else { format!("the disks are {}", seen.join(", ")) };
    Err(HwError::device_not_found(format!(
        "No suitable device was found for deployment using these hints {hints}; {seen}"
    )))
}

/// By size, then by name: a BIOS that tries one disk alone tries the first.
fn smallest(disks: &[Candidate]) -> HwResult<&Candidate> {
    let large = disks.iter().filter(|disk| disk.device.size >= SMALLEST);
    large.min_by_key(|disk| (disk.device.size, disk.device.name.as_str())).ok_or_else(|| {
        HwError::device_not_found(format!(
            "No suitable device was found for deployment - root device hints were not provided and all found block \
             devices are smaller than {SMALLEST}B."
        ))
    })
}

/// The list `skip_block_devices` of a node.
#[derive(Debug, Default, PartialEq)]
pub struct SkipList<'a> {
    disks: Vec<&'a Value>,
    /// Names of RAID volumes.
    pub volumes: Vec<String>,
}

impl<'a> SkipList<'a> {
    /// Reads it.
    ///
    /// # Errors
    /// `ValueError`: it is no list of objects. What is to be kept must not be guessed.
    pub fn of(node: &'a Value) -> HwResult<Self> {
        let list = &node["properties"]["skip_block_devices"];
        let wrong = |what: &Value| {
            HwError::other(
                "ValueError",
                format!("skip_block_devices of the node is no list of hints: {what}; correct it"),
            )
        };
        let mut skip = Self::default();
        if !is_some(list) {
            return Ok(skip);
        }
        for hints in list.as_array().ok_or_else(|| wrong(list))? {
            match hints.as_object().ok_or_else(|| wrong(hints))?.get(VOLUME_NAME) {
                Some(volume) => skip.volumes.push(volume.as_str().ok_or_else(|| wrong(hints))?.to_owned()),
                // It says nothing about any disk.
                None if !is_some(hints) => {}
                None => skip.disks.push(hints),
            }
        }
        Ok(skip)
    }

    /// The disks that are to be left alone, each with the hints that say so.
    ///
    /// # Errors
    /// `ValueError`: hints are wrong.
    pub fn skipped(&self, disks: &[Candidate]) -> HwResult<BTreeMap<String, String>> {
        let mut skipped = BTreeMap::new();
        for hints in &self.disks {
            let wrong = |why| {
                HwError::other("ValueError", format!("skip_block_devices of the node has the hints {hints}: {why}"))
            };
            let parsed = Hints::parse(hints).map_err(wrong)?;
            for disk in disks {
                if parsed.fit(disk).map_err(wrong)? {
                    skipped.entry(disk.device.name.clone()).or_insert_with(|| hints.to_string());
                }
            }
        }
        Ok(skipped)
    }
}

/// Which disk is chosen, and why no other.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The hints, if there are any.
    pub hints: Option<Value>,
    /// The disk that is chosen.
    pub root_device: Option<String>,
    /// Why none is.
    pub problem: Option<String>,
    /// All disks.
    pub disks: Vec<Explained>,
}

/// A disk that may be chosen.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// Device node.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// The hints by which it is left alone.
    pub skipped_by: Option<String>,
    /// What each hint says of it.
    pub hints: Vec<Verdict>,
    /// What becomes of it, in one sentence.
    pub verdict: String,
}

/// Explains the choice for a node.
///
/// # Errors
/// The skip list is wrong.
pub fn explain(disks: &[Candidate], node: &Value) -> HwResult<Explanation> {
    let skipped = SkipList::of(node)?.skipped(disks)?;
    let hints = hints_of(node);
    let parsed = hints.and_then(|hints| Hints::parse(hints).ok());
    let (left, _): (Vec<_>, Vec<_>) = disks.iter().cloned().partition(|disk| !skipped.contains_key(&disk.device.name));
    let chosen = choose(&left, hints).map(|disk| disk.device.name.clone());
    let explained = |disk: &Candidate| {
        let (name, size) = (disk.device.name.clone(), disk.device.size);
        let verdicts = parsed.as_ref().map(|hints| hints.verdicts(disk)).unwrap_or_default();
        let verdict = match (skipped.get(&name), verdicts.iter().find(|verdict| verdict.matches != Some(true))) {
            (Some(hints), _) => format!("left alone: skip_block_devices has {hints}"),
            _ if chosen.as_ref() == Ok(&name) => "the root device".to_owned(),
            (_, Some(Verdict { hint, matches: Some(_), .. })) => format!("does not match the hint {hint}"),
            (_, Some(Verdict { hint, .. })) => format!("cannot be compared with the hint {hint}"),
            _ if hints.is_none() && size < SMALLEST => format!("smaller than {SMALLEST} bytes"),
            _ if hints.is_none() => "larger than the root device, or later by name".to_owned(),
            _ if parsed.is_some() => "matches too, but another one comes first".to_owned(),
            _ => "the hints are wrong".to_owned(),
        };
        Explained { skipped_by: skipped.get(&name).cloned(), name, size, hints: verdicts, verdict }
    };
    Ok(Explanation {
        hints: hints.cloned(),
        disks: disks.iter().map(explained).collect(),
        problem: chosen.as_ref().err().map(|error| error.details().to_owned()),
        root_device: chosen.ok(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GIB: u64 = 1 << 30;

    fn disk(name: &str, size: u64) -> Candidate {
        let device = json!({"name": name, "size": size, "model": format!("disk {name}")});
        Candidate { device: serde_json::from_value(device).expect("a disk"), serials: vec![None], wwns: vec![None] }
    }

    fn chosen(disks: &[Candidate], hints: &Value) -> Result<String, String> {
        let hints = is_some(hints).then_some(hints);
        choose(disks, hints).map(|disk| disk.device.name.clone()).map_err(|error| error.details().to_owned())
    }

    #[test]
    fn without_hints_the_smallest_disk_that_is_large_enough_is_chosen() {
        let disks = [("c", 9), ("b", 8), ("a", 8), ("d", 1)].map(|(name, gib)| disk(name, gib * GIB));
        assert_eq!(chosen(&disks, &Value::Null), Ok("a".to_owned()));
        assert_eq!(chosen(&[disk("a", 4 * GIB)], &json!({})), Ok("a".to_owned()));
        let error = chosen(&[disk("a", 4 * GIB - 1)], &Value::Null).expect_err("too small");
        assert!(error.contains("root device hints were not provided and all found block devices are smaller than"));
        assert!(chosen(&[], &Value::Null).is_err());
    }

    #[test]
    fn with_hints_the_first_match_is_chosen_whatever_its_size() {
        let disks = [disk("/dev/sda", 9 * GIB), disk("/dev/sdb", 5), disk("/dev/sdc", 8 * GIB)];
        assert_eq!(chosen(&disks, &json!({"size": ">= 8"})), Ok("/dev/sda".to_owned()));
        assert_eq!(chosen(&disks, &json!({"size": ">= 8", "name": "s!= /dev/sda"})), Ok("/dev/sdc".to_owned()));
        assert_eq!(chosen(&disks, &json!({"model": "<in> sdb"})), Ok("/dev/sdb".to_owned()));
        let error = chosen(&disks, &json!({"model": "none"})).expect_err("no match");
        assert!(
            error.starts_with("No suitable device was found for deployment using these hints {\"model\":\"none\"}")
        );
        let error = chosen(&disks, &json!({"modell": "x"})).expect_err("no hint");
        assert!(error.contains("because they failed to validate. Error: The hints \"modell\" are invalid"), "{error}");
    }

    #[test]
    fn hints_of_the_instance_are_above_those_of_the_node() {
        let (one, other) = (json!({"name": "/dev/sda"}), json!({"name": "/dev/sdb"}));
        let node = |instance: &Value, own: &Value| json!({"instance_info": {"root_device": instance}, "properties": {"root_device": own}});
        assert_eq!(hints_of(&node(&one, &other)), Some(&one));
        for none in [json!(null), json!({}), json!("")] {
            assert_eq!(hints_of(&node(&none, &other)), Some(&other));
            assert_eq!(hints_of(&node(&none, &none)), None);
        }
        assert_eq!(hints_of(&json!({})), None);
    }

    #[test]
    fn the_skip_list_names_disks_and_volumes() {
        let disks = ["/dev/sda", "/dev/sdb", "/dev/sdc"].map(|name| disk(name, 8 * GIB));
        let node = |list: Value| json!({"properties": {"skip_block_devices": list}});
        let told = node(json!([{"name": "/dev/sda"}, {"volume_name": "large"}, {}, {"model": "<in> sdc"}]));
        let list = SkipList::of(&told).expect("good");
        assert_eq!(list.volumes, ["large"]);
        let skipped: Vec<String> = list.skipped(&disks).expect("good").into_keys().collect();
        assert_eq!(skipped, ["/dev/sda", "/dev/sdc"]);
        assert_eq!(SkipList::of(&json!({})).expect("none"), SkipList::default());
        for (list, says) in [(json!("x"), "no list"), (json!([1]), "no list"), (json!([{"volume_name": 1}]), "no list")]
        {
            let error = SkipList::of(&node(list)).expect_err("wrong").to_string();
            assert!(error.contains(says), "{error}");
        }
        let wrong = node(json!([{"size": "x"}]));
        let error = SkipList::of(&wrong).expect("read").skipped(&disks).expect_err("wrong").to_string();
        assert!(error.contains("skip_block_devices") && error.contains("is not an integer"), "{error}");
    }

    #[test]
    fn what_another_manager_changed_holds() {
        let mut disks = Vec::new();
        for (name, serial) in [("/dev/sda", "A"), ("/dev/sdb", "B")] {
            let mut device = disk(name, 8 * GIB).device;
            device.serial = Some(serial.to_owned());
            disks.push(Disk {
                serials: [Some(serial.to_owned()), None, Some(format!("LONG_{serial}"))],
                wwns: [None, None],
                kname: name.trim_start_matches("/dev/").to_owned(),
                kind: "disk".to_owned(),
                uuid: None,
                partuuid: None,
                device,
            });
        }
        let mut listed: Vec<BlockDevice> = disks.iter().map(|disk| disk.device.clone()).collect();
        listed[1].serial = Some("changed".to_owned());
        let candidates = candidates(listed, &disks);
        assert_eq!(chosen(&candidates, &json!({"serial": "LONG_A"})), Ok("/dev/sda".to_owned()));
        assert_eq!(chosen(&candidates, &json!({"serial": "changed"})), Ok("/dev/sdb".to_owned()));
        assert!(chosen(&candidates, &json!({"serial": "LONG_B"})).is_err());
    }

    #[test]
    fn every_disk_is_told_what_became_of_it() {
        let disks = [disk("/dev/sda", 8 * GIB), disk("/dev/sdb", 9 * GIB), disk("/dev/sdc", 10 * GIB)];
        let skip = json!([{"name": "/dev/sda"}]);
        let verdicts = |node: &Value| {
            let explanation = explain(&disks, node).expect("explained");
            (explanation.root_device, explanation.disks.into_iter().map(|disk| disk.verdict).collect::<Vec<_>>())
        };
        let (root, told) = verdicts(&json!({"properties": {"skip_block_devices": skip}}));
        assert_eq!(root.as_deref(), Some("/dev/sdb"));
        assert_eq!(told[0], "left alone: skip_block_devices has {\"name\":\"/dev/sda\"}");
        assert_eq!(told[1..], ["the root device", "larger than the root device, or later by name"]);
        let (root, told) = verdicts(&json!({"properties": {"root_device": {"size": "> 8"}}}));
        assert_eq!(root.as_deref(), Some("/dev/sdb"));
        assert_eq!(told[0], "does not match the hint size");
        assert_eq!(told[1..], ["the root device", "matches too, but another one comes first"]);
        let explanation = explain(&disks, &json!({"instance_info": {"root_device": {"x": 1}}})).expect("told");
        assert!(explanation.problem.is_some_and(|why| why.contains("Valid hints are")));
        assert_eq!(explanation.disks[0].verdict, "the hints are wrong");
    }
}
