//! Files that are put into the image beside what boots.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::failure::{Failure, Outcome};

/// Where network data lies on a config drive.
pub(super) const NETWORK_DATA: &str = "openstack/";
/// What the image has of its own, in lower case.
const OWN: [&str; 5] = ["vmlinuz", "boot", ".disk", "efi", "boot.catalog"];
/// Longest name that Rock Ridge and Linux know, in bytes.
const NAME_LIMIT: usize = 255;

/// A file and its place in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded {
    /// Place in the image, without a leading slash.
    pub path: String,
    /// The file to copy.
    pub source: PathBuf,
}

impl FromStr for Embedded {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, source) = text.split_once('=').ok_or("it has to be PATH=FILE")?;
        if source.is_empty() {
            return Err("the file's name is missing behind '='".to_owned());
        }
        Ok(Self { path: place(path)?, source: source.into() })
    }
}

/// A clean path without leading slashes.
fn place(path: &str) -> Result<String, String> {
    let relative = path.trim_start_matches('/');
    let names: Vec<&str> = relative.split('/').collect();
    if names.iter().any(|name| ["", ".", ".."].contains(name)) {
        return Err(format!("{path:?} is no plain path of a file in the image"));
    }
    if relative.chars().any(char::is_control) || names.iter().any(|name| name.len() > NAME_LIMIT) {
        return Err(format!("{path:?} has a name that is too long or has control characters"));
    }
    let first = names[0].to_ascii_lowercase();
    if OWN.contains(&first.as_str()) || first.starts_with("initrd") {
        return Err(format!("{path:?} is a place that the image needs itself"));
    }
    Ok(relative.to_owned())
}

/// The files, once it is sure that each can be read and that no place is taken twice.
pub(super) fn checked(files: &[Embedded]) -> Outcome<Vec<&Embedded>> {
    let mut files: Vec<&Embedded> = files.iter().collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    for file in &files {
        if !file.source.is_file() {
            return Err(Failure::new(format!("file for {}: {} is no file", file.path, file.source.display())));
        }
    }
    for (position, file) in files.iter().enumerate() {
        let taken = |other: &&&Embedded| Path::new(&other.path).starts_with(&file.path);
        if let Some(other) = files[position + 1..].iter().find(taken) {
            return Err(Failure::new(format!("both {} and {} cannot be in the image", file.path, other.path)));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_equals_sign_parts_place_and_file() {
        let file: Embedded = "/etc/a b.conf=/src/x=y z".parse().unwrap();
        assert_eq!(file, Embedded { path: "etc/a b.conf".to_owned(), source: "/src/x=y z".into() });
    }

    #[test]
    fn places_outside_of_the_image_or_of_its_own_are_refused() {
        for text in
            ["x", "x=", "=y", "../x=y", "a//b=y", "a/./b=y", "a/=y", "vmlinuz=y", "EFI/BOOT/x=y", "initrd2=y", "a\nb=y"]
        {
            assert!(text.parse::<Embedded>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_place_taken_twice_is_refused() {
        let source = std::env::current_exe().unwrap();
        let file = |path: &str| Embedded { path: path.to_owned(), source: source.clone() };
        for paths in [["a", "a"], ["a/b", "a"]] {
            assert!(checked(&paths.map(file)).unwrap_err().to_string().contains("both"), "{paths:?}");
        }
        assert_eq!(checked(&["b", "a"].map(file)).unwrap().len(), 2);
    }
}
