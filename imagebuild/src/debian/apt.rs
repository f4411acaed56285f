//! Which packages there are: apt, with sources, lists and cache of its own, so that the machine's release and packages
//! do not matter and no other apt is in the way.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::arch::Arch;
use crate::digest;
use crate::failure::{Doing, Failure, Outcome};
use crate::process;

/// For lists and packages over a slow line.
const NETWORK: Duration = Duration::from_secs(900);
const LOCAL: Duration = Duration::from_secs(120);
/// Lists and what was found in them are asked for again after this time.
const FRESH: Duration = Duration::from_secs(24 * 3600);

/// A version of a package that the sources offer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Name, such as `libc6`.
    pub name: String,
    /// Version, with its epoch if it has one.
    pub version: String,
    /// Architecture, `all` included.
    pub architecture: String,
    /// Name of the source package.
    pub source: String,
    /// Section of the archive, such as `libs`.
    pub section: String,
    /// Hex SHA-256 of the package's file.
    pub sha256: String,
}

impl Package {
    /// The name that apt gives its file.
    pub fn file_name(&self) -> String {
        format!("{}_{}_{}.deb", self.name, self.version.replace(':', "%3a"), self.architecture)
    }

    /// Whether it is there for its shared libraries.
    fn is_library(&self) -> bool {
        self.section.rsplit('/').next() == Some("libs")
    }
}

/// An apt of one's own.
#[derive(Debug)]
pub struct Apt {
    home: PathBuf,
    sources: PathBuf,
    arch: &'static Arch,
}

/// What was found, and for which question.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    question: String,
    packages: Vec<Package>,
}

impl Apt {
    /// Keeps lists and packages below `home`. `sources` is a file in one of apt's formats.
    ///
    /// # Errors
    /// If the directories cannot be made or the sources not be read.
    pub fn new(home: &Path, sources: &Path, arch: &'static Arch) -> Outcome<Self> {
        // Lists of other sources would answer with packages that these do not have.
        let text = fs::read_to_string(sources).doing(format_args!("reading the apt sources {}", sources.display()))?;
        let home = home.join(format!("{}-{}", arch.debian, &digest::of_bytes(text.as_bytes())[..12]));
        for directory in ["lists/partial", "cache/archives/partial", "packages"] {
            let path = home.join(directory);
            fs::create_dir_all(&path).doing(format_args!("making {}", path.display()))?;
        }
        // apt takes only absolute names, and tells a format by the file's ending.
        let home = home.canonicalize().doing(format_args!("finding {}", home.display()))?;
        let is_list = text.lines().any(|line| line.starts_with("deb "));
        let sources = home.join(if is_list { "ramdisk.list" } else { "ramdisk.sources" });
        fs::write(&sources, text).doing("writing the apt sources")?;
        fs::write(home.join("status"), "").doing("writing apt's list of installed packages")?;
        Ok(Self { sources, home, arch })
    }

    /// The packages `names` and all libraries that they depend on, directly or not. `kernel` is a package that depends on
    /// a kernel, which is found without what it would like to be installed with.
    ///
    /// # Errors
    /// If apt knows one of them not, or cannot have its lists.
    pub fn resolve(&self, kernel: &str, names: &[&str]) -> Outcome<Vec<Package>> {
        let mut sorted: Vec<&str> = names.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let question = format!("{kernel} {}", sorted.join(" "));
        let remembered = self.home.join("resolved.json");
        if younger_than(&remembered, FRESH)
            && let Ok(text) = fs::read_to_string(&remembered)
            && let Ok(answer) = serde_json::from_str::<Answer>(&text)
            && answer.question == question
        {
            return Ok(answer.packages);
        }
        let lists = self.home.join("updated");
        if !younger_than(&lists, FRESH) {
            process::output(self.command("apt-get").args(["-q", "update", "--error-on=any"]), NETWORK)?;
            fs::write(&lists, "").doing("noting the age of apt's lists")?;
        }
        let packages = self.ask(kernel, &sorted)?;
        let answer = Answer { question, packages };
        let text = serde_json::to_string_pretty(&answer).doing("writing down what apt found")?;
        fs::write(&remembered, text).doing(format_args!("writing {}", remembered.display()))?;
        Ok(answer.packages)
    }

    fn ask(&self, kernel: &str, names: &[&str]) -> Outcome<Vec<Package>> {
        let depends = process::output(self.command("apt-cache").args(["depends", "--important", kernel]), LOCAL)?;
        let image = dependency(&depends, "linux-image-")
            .ok_or_else(|| Failure::new(format!("the package {kernel} depends on no kernel: {}", depends.trim())))?;
        let simulated =
            process::output(self.command("apt-get").args(["-s", "-q", "-y", "install"]).args(names), LOCAL)?;
        let mut wanted = installs(&simulated);
        let requested = |name: &str| name == image || names.contains(&name);
        wanted.push(image.to_owned());
        let shown =
            process::output(self.command("apt-cache").args(["show", "--no-all-versions"]).args(&wanted), LOCAL)?;
        let mut packages = stanzas(&shown)?;
        packages.retain(|package| requested(&package.name) || package.is_library());
        packages.sort();
        if let Some(name) = names.iter().chain([&image]).find(|name| !packages.iter().any(|found| found.name == **name))
        {
            return Err(Failure::new(format!("apt offers no package of its own called {name}")));
        }
        Ok(packages)
    }

    /// The files of the packages, fetched unless they are there.
    ///
    /// # Errors
    /// If one cannot be had, or is not what the lists say.
    pub fn fetch(&self, packages: &[Package]) -> Outcome<Vec<PathBuf>> {
        let directory = self.home.join("packages");
        let missing: Vec<&Package> =
            packages.iter().filter(|package| !directory.join(package.file_name()).is_file()).collect();
        if !missing.is_empty() {
            println!("    fetching {} packages", missing.len());
            // Into a directory of their own first: a file that was cut off must not look like a package.
            let partial = self.home.join("fetching");
            fs::create_dir_all(&partial).doing(format_args!("making {}", partial.display()))?;
            let wanted: Vec<String> = missing.iter().map(|p| format!("{}={}", p.name, p.version)).collect();
            let mut download = self.command("apt-get");
            download.args(["-q", "download"]).args(&wanted).current_dir(&partial);
            if let Err(failure) = process::output(&mut download, NETWORK) {
                // What the lists name may be gone from the archive since.
                let _ = fs::remove_file(self.home.join("updated"));
                let _ = fs::remove_file(self.home.join("resolved.json"));
                return Err(Failure::new(format!("{failure}; run it again, with lists of today")));
            }
            for package in missing {
                let (from, to) = (partial.join(package.file_name()), directory.join(package.file_name()));
                let sha256 = digest::of_file(&from)?;
                if sha256 != package.sha256 {
                    return Err(Failure::new(format!(
                        "{} has the SHA-256 {sha256}, and should have {}",
                        from.display(),
                        package.sha256
                    )));
                }
                fs::rename(&from, &to).doing(format_args!("moving {}", from.display()))?;
            }
        }
        Ok(packages.iter().map(|package| directory.join(package.file_name())).collect())
    }

    /// Where unpacked packages may be kept.
    pub fn home(&self) -> &Path {
        &self.home
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let mut set = |key: &str, value: OsString| {
            let mut option = OsString::from(format!("{key}="));
            option.push(value);
            command.arg("-o").arg(option);
        };
        set("Dir::State", self.home.clone().into());
        set("Dir::State::lists", self.home.join("lists").into());
        set("Dir::State::status", self.home.join("status").into());
        set("Dir::Cache", self.home.join("cache").into());
        set("Dir::Etc::sourcelist", self.sources.clone().into());
        for nothing in ["sourceparts", "preferences", "preferencesparts"] {
            set(&format!("Dir::Etc::{nothing}"), "/dev/null".into());
        }
        set("APT::Architecture", self.arch.debian.into());
        set("APT::Architectures", self.arch.debian.into());
        set("APT::Install-Recommends", "false".into());
        set("Acquire::Languages", "none".into());
        set("Acquire::Retries", "3".into());
        // Its own user could not write below the build directory.
        set("APT::Sandbox::User", "".into());
        command.env("LC_ALL", "C");
        command
    }
}

fn younger_than(path: &Path, age: Duration) -> bool {
    let changed = fs::metadata(path).and_then(|metadata| metadata.modified());
    changed.is_ok_and(|changed| SystemTime::now().duration_since(changed).is_ok_and(|is| is < age))
}

/// The first dependency of an `apt-cache depends` that begins so.
fn dependency<'a>(depends: &'a str, prefix: &str) -> Option<&'a str> {
    depends.lines().filter_map(|line| line.trim().strip_prefix("Depends: ")).find(|name| name.starts_with(prefix))
}

/// The packages that a simulated installation would install.
fn installs(simulated: &str) -> Vec<String> {
    let names = simulated.lines().filter_map(|line| line.strip_prefix("Inst ")?.split_whitespace().next());
    names.map(str::to_owned).collect()
}

/// What `apt-cache show` says about packages.
fn stanzas(shown: &str) -> Outcome<Vec<Package>> {
    shown.split("\n\n").filter(|stanza| !stanza.trim().is_empty()).map(stanza).collect()
}

fn stanza(text: &str) -> Outcome<Package> {
    // A line that begins with a space goes on with the field before, and none of those is wanted.
    let fields: BTreeMap<&str, &str> =
        text.lines().filter(|line| !line.starts_with(' ')).filter_map(|line| line.split_once(": ")).collect();
    let field = |name: &str| {
        fields.get(name).map(|value| (*value).trim().to_owned()).ok_or_else(|| {
            let package = fields.get("Package").unwrap_or(&"?");
            Failure::new(format!("apt shows the package {package} without its field {name}"))
        })
    };
    let name = field("Package")?;
    // "Source: name (version)" where the versions differ; nothing where the names are the same.
    let source = fields.get("Source").and_then(|source| source.split_whitespace().next()).unwrap_or(&name).to_owned();
    Ok(Package {
        version: field("Version")?,
        architecture: field("Architecture")?,
        source,
        section: field("Section")?,
        sha256: field("SHA256")?,
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Recorded on Debian 12, cut to the fields that matter and some that do not.
    const SHOWN: &str = "\
Package: liblzma5
Source: xz-utils
Version: 5.4.1-1+deb12u2
Architecture: amd64
Description-en: XZ-format compression library
 XZ is the successor to the Lempel-Ziv/Markov-chain Algorithm
 Section: not a field
Section: libs
Filename: pool/main/x/xz-utils/liblzma5_5.4.1-1+deb12u2_amd64.deb
Size: 205796
SHA256: 5c3f4ab3d4d5c1de9d9cde2c58bb4fbb93f4a9d40cd1ce0dca7fdeff79bd2b08

Package: busybox
Source: busybox (1:1.35.0-4+deb12u1)
Version: 1:1.35.0-4+deb12u1+b1
Architecture: amd64
Section: utils
SHA256: 9868385b599b31db1379edd0221a0020aa
";

    #[test]
    fn sources_of_either_format_get_the_ending_by_which_apt_knows_it() {
        let home = tempfile::tempdir().unwrap();
        let sources = home.path().join("site");
        for (text, name) in
            [("# ours\ndeb http://near/debian bookworm main\n", "ramdisk.list"), ("Types: deb\n", "ramdisk.sources")]
        {
            fs::write(&sources, text).unwrap();
            let apt = Apt::new(home.path(), &sources, Arch::named("arm64").unwrap()).unwrap();
            assert_eq!(apt.sources.file_name().unwrap(), name);
            assert_eq!(fs::read_to_string(&apt.sources).unwrap(), text);
        }
    }

    #[test]
    fn packages_are_read_with_source_and_file_name() {
        let packages = stanzas(SHOWN).unwrap();
        assert_eq!(packages.len(), 2);
        assert_eq!((packages[0].source.as_str(), packages[1].source.as_str()), ("xz-utils", "busybox"));
        assert_eq!(packages[1].file_name(), "busybox_1%3a1.35.0-4+deb12u1+b1_amd64.deb");
        assert!(packages[0].is_library() && !packages[1].is_library());
    }

    #[test]
    fn a_missing_field_is_named() {
        let failure = stanzas("Package: a\nVersion: 1\n").unwrap_err().to_string();
        assert_eq!(failure, "apt shows the package a without its field Architecture");
    }

    #[test]
    fn names_come_from_a_simulated_installation() {
        let simulated = "NOTE: This is only a simulation!\nInst gcc-12-base (12.2.0-14 Debian:12.11/stable [amd64])\n\
                         Inst libc6 (2.36-9 Debian:12/stable [amd64]) []\nConf libc6 (2.36-9)\n";
        assert_eq!(installs(simulated), ["gcc-12-base", "libc6"]);
    }

    #[test]
    fn the_kernel_is_what_the_meta_package_depends_on() {
        let depends = "linux-image-amd64\n  Depends: linux-image-6.1.0-56-amd64\n";
        assert_eq!(dependency(depends, "linux-image-"), Some("linux-image-6.1.0-56-amd64"));
        assert_eq!(dependency("linux-image-amd64\n", "linux-image-"), None);
    }
}
