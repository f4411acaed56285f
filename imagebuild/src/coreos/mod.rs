//! The agent for Fedora CoreOS: its file system, and the Ignition configuration that runs it there.
//!
//! What is tested, and what is not: the units, the container with the machine's devices, restart, rescue and power-off run
//! in a virtual machine with Debian 12 and its systemd 252, into which the configuration is put as Ignition would. Never
//! seen by a test are Fedora CoreOS itself with its newer systemd, Ignition, NetworkManager, `coreos-installer`, its SSH
//! server and SELinux.
//!
//! The unit needs no option for SELinux, by Fedora's policy as of 2024: it has no domain for `systemd-nspawn`, which
//! systemd therefore starts as `unconfined_service_t`, with everything that runs below it, whatever the labels of the
//! unpacked files. `--selinux-context`, `--selinux-apifs-context` and `SELinuxContext=` could only take away from that. Of
//! what creates the rescue user only `systemd-tmpfiles` has a domain of its own, which may write there.

mod butane;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use crate::digest;
use crate::failure::{Doing, Failure, Outcome};
pub use tree::Base;

/// The packed file system.
pub const ROOT_FILE_SYSTEM: &str = "ipa-rootfs.tar.gz";
/// The Ignition configuration.
pub const IGNITION: &str = "ipa.ign";

/// What is to be made of what.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// The top of the sources.
    pub repository: &'a Path,
    /// The agent's Debian package.
    pub package: &'a Path,
    /// The distribution that it is put into.
    pub base: &'a Base,
    /// From where machines will load the file system.
    pub url: &'a str,
    /// Directory of the results.
    pub output: &'a Path,
}

/// Makes the file system and the configuration, and gives their paths.
///
/// # Errors
/// A source that is missing or is none, or what a tool said.
pub fn build(plan: &Plan<'_>) -> Outcome<Vec<PathBuf>> {
    fs::create_dir_all(plan.output).doing(format_args!("making {}", plan.output.display()))?;
    let packed = plan.output.join(ROOT_FILE_SYSTEM);
    tree::pack(plan.base, plan.package, &packed)?;
    let sha256 = digest::of_file(&packed)?;
    let source = Source { url: plan.url, sha256: &sha256 };
    let json = ignition(&plan.repository.join("imagebuild"), &source)?;
    let configuration = plan.output.join(IGNITION);
    fs::write(&configuration, json).doing(format_args!("writing {}", configuration.display()))?;
    Ok(vec![packed, configuration])
}

/// The packages that the file system has beside the agent's, as the Dockerfile installs them.
///
/// # Errors
/// The list cannot be read.
pub fn packages(repository: &Path) -> Outcome<Vec<String>> {
    let path = repository.join("imagebuild/coreos/packages");
    let list = fs::read_to_string(&path).doing(format_args!("reading {}", path.display()))?;
    Ok(list.split_whitespace().map(str::to_owned).collect())
}

/// A file that machines load, and what it must be.
#[derive(Debug, Clone, Copy)]
struct Source<'a> {
    url: &'a str,
    /// As hexadecimal digits.
    sha256: &'a str,
}

/// Compiles `coreos/ipa.bu` below a directory to an Ignition configuration.
fn ignition(files: &Path, source: &Source<'_>) -> Outcome<String> {
    let path = files.join("coreos/ipa.bu");
    let text = fs::read_to_string(&path).doing(format_args!("reading {}", path.display()))?;
    let mut config = butane::compile(&text, files).doing(path.display())?;
    let mut placed = false;
    for file in config.storage.iter_mut().flat_map(|storage| storage.files.iter_mut().flatten()) {
        if file.path.ends_with(ROOT_FILE_SYSTEM)
            && let Some(contents) = &mut file.contents
        {
            contents.source = Some(source.url.to_owned());
            contents.verification = Some(butane::sha256(source.sha256));
            placed = true;
        }
    }
    if !placed {
        return Err(Failure::new(format!("{}: no file {ROOT_FILE_SYSTEM} in it", path.display())));
    }
    serde_json::to_string_pretty(&config).doing("writing JSON").map(|json| json + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shipped_compiles_to_a_configuration_that_ignition_takes() {
        let files = Path::new(env!("CARGO_MANIFEST_DIR"));
        let digest = "ab".repeat(32);
        let source = Source { url: "https://images.example/ipa.tar.gz", sha256: &digest };
        let json = ignition(files, &source).unwrap();
        let (config, warnings) = ignition_config::Config::parse_str(&json).unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        let ignition_config::Config::V3_4(config) = config else { panic!("{json}") };
        let systemd = config.systemd.unwrap();
        let unit = |name: &str| {
            let units = systemd.units.as_ref().unwrap();
            units.iter().find(|unit| unit.name == name).unwrap_or_else(|| panic!("{name}")).clone()
        };
        let agent = unit("ironic-python-agent.service");
        assert_eq!(agent.enabled, Some(true));
        assert!(agent.contents.unwrap().contains("systemd-nspawn"));
        assert_eq!(unit("zincati.service").mask, Some(true));
        let rescue = unit("ironic-agent-create-rescue-user.service").dropins.unwrap();
        assert!(rescue[0].contents.as_ref().unwrap().contains("/etc/ipa/rescue/sysusers.conf"));
        let file =
            config.storage.unwrap().files.unwrap().into_iter().find(|file| file.path.contains("rootfs")).unwrap();
        let contents = file.contents.unwrap();
        assert_eq!(contents.source.as_deref(), Some(source.url));
        assert_eq!(contents.verification.unwrap().hash, Some(format!("sha256-{digest}")));
    }
}
