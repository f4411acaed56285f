//! What Ignition does at the first boot, as far as our configuration asks for it: files, directories and units.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::debian::done;

/// Puts everything of a configuration into the file system below `root`. `remote` stands for what has to be fetched.
///
/// # Panics
/// The configuration asks for what Ignition can and this cannot.
pub fn apply(configuration: &Path, root: &Path, remote: &Path) {
    let text = fs::read(configuration).unwrap_or_else(|error| panic!("{}: {error}", configuration.display()));
    let config: Value = serde_json::from_slice(&text).expect("a configuration is JSON");
    only(&config, &["ignition", "storage", "systemd"]);
    only(&config["storage"], &["directories", "files"]);
    for directory in list(&config["storage"]["directories"]) {
        only(directory, &["mode", "path"]);
        let place = root.join(path(directory));
        fs::create_dir_all(&place).expect("our own tree");
        mode(&place, directory, 0o755);
    }
    for file in list(&config["storage"]["files"]) {
        only(file, &["contents", "mode", "path"]);
        only(&file["contents"], &["source", "verification"]);
        let source = file["contents"]["source"].as_str().expect("every file has a source");
        let place = root.join(path(file));
        match source.strip_prefix("data:;base64,") {
            Some(base64) => write(&place, &STANDARD.decode(base64).expect("base64")),
            None => write(&place, &fs::read(remote).expect("the file that is to be fetched")),
        }
        mode(&place, file, 0o644);
    }
    let units = root.join("etc/systemd/system");
    for unit in list(&config["systemd"]["units"]) {
        only(unit, &["contents", "dropins", "enabled", "mask", "name"]);
        let name = unit["name"].as_str().expect("every unit has a name");
        if let Some(contents) = unit["contents"].as_str() {
            write(&units.join(name), contents.as_bytes());
        }
        for dropin in list(&unit["dropins"]) {
            let part = dropin["name"].as_str().expect("every drop-in has a name");
            let contents = dropin["contents"].as_str().expect("text");
            write(&units.join(format!("{name}.d/{part}")), contents.as_bytes());
        }
        if unit["mask"] == true {
            symlink("/dev/null", units.join(name)).expect("our own tree");
        }
        if unit["enabled"] == true {
            done(Command::new("systemctl").arg("--root").arg(root).args(["--quiet", "enable", name]));
        }
    }
}

/// What says nothing is written as null.
fn only(object: &Value, known: &[&str]) {
    for (key, value) in object.as_object().expect("an object") {
        assert!(value.is_null() || known.contains(&key.as_str()), "{key} is not known here");
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn path(node: &Value) -> &str {
    node["path"].as_str().expect("everything has a path").trim_start_matches('/')
}

fn mode(place: &Path, node: &Value, otherwise: u32) {
    let mode = node["mode"].as_u64().map_or(otherwise, |mode| u32::try_from(mode).expect("permission bits"));
    fs::set_permissions(place, Permissions::from_mode(mode)).expect("our own tree");
}

fn write(place: &Path, content: &[u8]) {
    fs::create_dir_all(place.parent().expect("below the root")).expect("our own tree");
    fs::write(place, content).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
}
