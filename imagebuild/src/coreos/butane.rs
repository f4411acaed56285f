//! Butane, as far as it is used here: YAML for people, compiled to Ignition's JSON.
//!
//! What is not known is refused. Ignition's side is of its authors' own types, so that it is of its specification.

use std::fs;
use std::path::{Component, Path};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ignition_config::v3_4::{
    Config, Directory as IgnitionDirectory, Dropin as IgnitionDropin, File as IgnitionFile, Resource,
    Storage as IgnitionStorage, Systemd as IgnitionSystemd, Unit as IgnitionUnit, Verification,
};
use serde::Deserialize;

use crate::failure::{Doing, Failure, Outcome};

/// The variant and version of Butane that belong to version 3.4.0 of Ignition's specification.
const VARIANT: (&str, &str) = ("fcos", "1.5.0");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Butane {
    variant: String,
    version: String,
    #[serde(default)]
    storage: Storage,
    #[serde(default)]
    systemd: Systemd,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Storage {
    directories: Vec<Directory>,
    files: Vec<File>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Directory {
    path: String,
    mode: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    path: String,
    mode: Option<i64>,
    contents: Contents,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Contents {
    Source(String),
    Local(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Systemd {
    units: Vec<Unit>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unit {
    name: String,
    enabled: Option<bool>,
    mask: Option<bool>,
    contents_local: Option<String>,
    #[serde(default)]
    dropins: Vec<Dropin>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dropin {
    name: String,
    contents_local: String,
}

/// Compiles a text; local files are taken from a directory.
pub(super) fn compile(text: &str, files: &Path) -> Outcome<Config> {
    let octal = serde_saphyr::options! { legacy_octal_numbers: true };
    let butane: Butane =
        serde_saphyr::from_str_with_options(text, octal).doing("no Butane configuration of the known kind")?;
    if (butane.variant.as_str(), butane.version.as_str()) != VARIANT {
        return Err(Failure::new(format!(
            "variant {} {} of Butane; known is {} {}",
            butane.variant, butane.version, VARIANT.0, VARIANT.1
        )));
    }
    let mut storage = IgnitionStorage::default();
    for directory in butane.storage.directories {
        let mut ours = IgnitionDirectory::new(directory.path);
        ours.mode = directory.mode;
        storage.directories.get_or_insert_default().push(ours);
    }
    for file in butane.storage.files {
        let source = match file.contents {
            Contents::Source(url) => url,
            Contents::Local(path) => format!("data:;base64,{}", STANDARD.encode(local(files, &path)?)),
        };
        let mut ours = IgnitionFile::new(file.path);
        ours.mode = file.mode;
        ours.contents = Some(Resource { source: Some(source), ..Resource::default() });
        storage.files.get_or_insert_default().push(ours);
    }
    let mut systemd = IgnitionSystemd::default();
    for unit in butane.systemd.units {
        let mut ours = IgnitionUnit::new(unit.name);
        ours.enabled = unit.enabled;
        ours.mask = unit.mask;
        ours.contents = unit.contents_local.map(|path| local(files, &path)).transpose()?;
        for dropin in unit.dropins {
            let mut part = IgnitionDropin::new(dropin.name);
            part.contents = Some(local(files, &dropin.contents_local)?);
            ours.dropins.get_or_insert_default().push(part);
        }
        systemd.units.get_or_insert_default().push(ours);
    }
    Ok(Config { storage: Some(storage), systemd: Some(systemd), ..Config::default() })
}

/// What the content of a file must be, by its digest in hexadecimal digits.
pub(super) fn sha256(digest: &str) -> Verification {
    Verification { hash: Some(format!("sha256-{digest}")) }
}

/// A text file below the directory.
fn local(files: &Path, path: &str) -> Outcome<String> {
    if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(Failure::new(format!("{path} is not below the directory of local files")));
    }
    fs::read_to_string(files.join(path)).doing(format_args!("local file {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "variant: fcos\nversion: 1.5.0\n";

    fn compiled(body: &str) -> Outcome<String> {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("x"), "a b\n").unwrap();
        compile(&format!("{HEAD}{body}"), directory.path()).map(|config| serde_json::to_string(&config).unwrap())
    }

    #[test]
    fn modes_are_octal_and_local_files_are_inside() {
        let json =
            compiled("storage:\n  files:\n    - path: /x\n      mode: 0600\n      contents:\n        local: x\n")
                .unwrap();
        assert!(json.contains(r#""mode":384"#), "{json}");
        assert!(json.contains(r#""source":"data:;base64,YSBiCg==""#), "{json}");
        assert!(json.contains(r#""version":"3.4.0""#), "{json}");
    }

    #[test]
    fn what_is_unknown_or_outside_is_refused() {
        for body in [
            "passwd: {}\n",
            "systemd:\n  units:\n    - name: a\n      content: b\n",
            "systemd:\n  units:\n    - name: a\n      contents_local: ../x\n",
            "systemd:\n  units:\n    - name: a\n      contents_local: missing\n",
        ] {
            assert!(compiled(body).is_err(), "{body}");
        }
        let failure = compile("variant: flatcar\nversion: 1.1.0\n", Path::new("/")).unwrap_err().to_string();
        assert!(failure.contains("flatcar"), "{failure}");
    }
}
