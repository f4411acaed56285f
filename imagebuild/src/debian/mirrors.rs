//! The mirrors of Debian that this machine's own apt uses, as sources for any release and architecture of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::failure::{Doing, Failure, Outcome};
use crate::process;

/// The release that everything is made for.
const RELEASE: &str = "bookworm";
/// The parts of it that the ramdisk is made of.
const COMPONENTS: &str = "main non-free-firmware";
/// The environment variable that names a file of sources.
pub const GIVEN: &str = "IPA_APT_SOURCES";
/// The keys of Debian's archive, from the package `debian-archive-keyring`.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const LOCAL: Duration = Duration::from_secs(60);
/// What is asked about every list of packages: address, origin, label, release.
const FORMAT: &str = "$(REPO_URI)|$(ORIGIN)|$(LABEL)|$(RELEASE)";

/// Where the packages of Debian lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrors {
    /// Address of the archive.
    archive: String,
    /// Address of the security updates, if this machine has them.
    security: Option<String>,
}

impl Mirrors {
    /// Those of this machine, whatever release of Debian it runs.
    ///
    /// # Errors
    /// If apt is missing, or knows no mirror of Debian, with what to do about it.
    pub fn of_machine() -> Outcome<Self> {
        let mut ask = Command::new("apt-get");
        ask.args(["indextargets", "--format", FORMAT, "Created-By: Packages"]).env("LC_ALL", "C");
        Self::among(&process::output(&mut ask, LOCAL)?).ok_or_else(|| {
            Failure::new(format!(
                "apt knows no mirror of Debian on this machine: on Debian, run `apt-get update`; elsewhere, install \
                 debian-archive-keyring, write `deb [signed-by={KEYS}] http://MIRROR/debian {RELEASE} {COMPONENTS}` and \
                 the same with debian-security and {RELEASE}-security into a file, and name the file by --apt-sources \
                 or {GIVEN}"
            ))
        })
    }

    /// Those in apt's answer. The first that has the release is as near as apt has one.
    fn among(answer: &str) -> Option<Self> {
        let rows: Vec<[&str; 4]> =
            answer.lines().filter_map(|line| line.split('|').collect::<Vec<_>>().try_into().ok()).collect();
        let first = |label: &str| {
            // A set of CDs is no mirror, and not every release is on it.
            let fits = |row: &&[&str; 4]| row[1] == "Debian" && row[2] == label && !row[0].starts_with("cdrom:");
            let exact = rows.iter().filter(fits).find(|row| row[3].starts_with(RELEASE));
            exact.or_else(|| rows.iter().find(fits)).map(|row| row[0].trim_end_matches('/').to_owned())
        };
        Some(Self { archive: first("Debian")?, security: first("Debian-Security") })
    }

    /// As a file of sources of a release with its updates, in apt's deb822 format.
    pub fn deb822(&self, release: &str, components: &str) -> String {
        let mut text = "# Where the ramdisk's packages come from, whatever the release of the machine that builds it. \
                        `--apt-sources` takes another\n# file, for a mirror or a snapshot.\n"
            .to_owned();
        for (number, (address, suites)) in self.suites(release).into_iter().enumerate() {
            let gap = if number == 0 { "" } else { "\n" };
            text.push_str(&format!(
                "{gap}Types: deb\nURIs: {address}\nSuites: {suites}\nComponents: {components}\nSigned-By: {KEYS}\n"
            ));
        }
        text
    }

    /// As lines of a `sources.list`.
    pub fn lines(&self, release: &str, components: &str) -> Vec<String> {
        let suites = self.suites(release);
        let each = suites.iter().flat_map(|(address, suites)| suites.split(' ').map(move |suite| (address, suite)));
        each.map(|(address, suite)| format!("deb [signed-by={KEYS}] {address} {suite} {components}")).collect()
    }

    /// Addresses with the suites of a release that lie there.
    fn suites(&self, release: &str) -> Vec<(&str, String)> {
        let archive = (self.archive.as_str(), format!("{release} {release}-updates"));
        let security = self.security.as_deref().map(|address| (address, format!("{release}-security")));
        [archive].into_iter().chain(security).collect()
    }
}

/// The file with the sources of the ramdisk's packages: `given`, or one below `directory` with this machine's mirrors.
///
/// # Errors
/// As [`Mirrors::of_machine`], or if the file cannot be written.
pub fn sources(given: Option<&Path>, directory: &Path) -> Outcome<PathBuf> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let mirrors = Mirrors::of_machine()?;
    if mirrors.security.is_none() {
        println!("    note: apt knows no mirror of Debian's security updates on this machine, so none are taken");
    }
    let text = mirrors.deb822(RELEASE, COMPONENTS);
    fs::create_dir_all(directory).doing(format_args!("making {}", directory.display()))?;
    let path = directory.join("debian.sources");
    fs::write(&path, text).doing(format_args!("writing {}", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "\
cdrom:[Debian GNU/Linux 13]/|Debian|Debian|trixie
https://packages.example/apt/|Example|Debian|bookworm
http://far.example/debian/|Debian|Debian|trixie
http://near.example/debian/|Debian|Debian|bookworm-updates
http://backports.example/debian/|Debian Backports|Debian Backports|bookworm-backports
mirror+file:/etc/apt/mirrors/security.list/|Debian|Debian-Security|trixie-security
";

    #[test]
    fn mirrors_are_debians_own_and_best_of_the_release() {
        let mirrors = Mirrors::among(ANSWER).unwrap();
        assert_eq!(mirrors.archive, "http://near.example/debian");
        assert_eq!(mirrors.security.as_deref(), Some("mirror+file:/etc/apt/mirrors/security.list"));
        let other = Mirrors::among("http://far.example/debian/|Debian|Debian|trixie\n").unwrap();
        assert_eq!((other.archive.as_str(), other.security), ("http://far.example/debian", None));
    }

    #[test]
    fn a_machine_of_another_distribution_has_none() {
        // Before the first update apt knows no origin of anything.
        for answer in
            ["http://mirror.example/ubuntu/|Ubuntu|Ubuntu|noble\n", "http://near.example/debian/|||bookworm\n", ""]
        {
            assert_eq!(Mirrors::among(answer), None, "{answer}");
        }
    }

    #[test]
    fn both_formats_name_the_same_suites() {
        let mirrors = Mirrors::among(ANSWER).unwrap();
        let text = mirrors.deb822("bookworm", "main non-free-firmware");
        assert!(text.contains(
            "\nURIs: http://near.example/debian\nSuites: bookworm bookworm-updates\nComponents: main non-free-firmware\n"
        ));
        assert!(
            text.contains(
                "\n\nTypes: deb\nURIs: mirror+file:/etc/apt/mirrors/security.list\nSuites: bookworm-security\n"
            )
        );
        assert_eq!(
            mirrors.lines("trixie", "main"),
            [
                format!("deb [signed-by={KEYS}] http://near.example/debian trixie main"),
                format!("deb [signed-by={KEYS}] http://near.example/debian trixie-updates main"),
                format!("deb [signed-by={KEYS}] mirror+file:/etc/apt/mirrors/security.list trixie-security main"),
            ]
        );
    }

    #[test]
    fn a_given_file_needs_no_mirror() {
        let given = Path::new("/site/debian.sources");
        assert_eq!(sources(Some(given), Path::new("/nonexistent")).unwrap(), given);
    }
}
