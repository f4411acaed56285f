//! `ipa-host plugins check FILE`: everything that can be told of a plugin file without running any of it.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ipa_plugin_api::manifest::Manifest;
use serde::Serialize;

use super::elf::{Dynamic, Elf};
use super::libraries::{Libraries, parse_version};
use super::refusal::Refusal;
use super::sealed::Sealed;
use super::signed::beside::{SignatureReport, State};
use super::text::printable;
use super::{manifest, trust, vet};

/// Imports by which a plugin can leave the paths the host prepared for it.
const NOTEWORTHY: &[(&str, &str)] = &[
    ("_exit", "ends its worker"),
    ("quick_exit", "ends its worker"),
    ("fork", "makes processes the host does not know"),
    ("vfork", "makes processes the host does not know"),
    ("daemon", "leaves its worker"),
    ("setsid", "leaves the worker's process group, so the host cannot end it"),
    ("setpgid", "leaves the worker's process group, so the host cannot end it"),
    ("system", "runs a shell; use the host's commands"),
    ("popen", "runs a shell; use the host's commands"),
    ("signal", "changes signal handlers"),
    ("sigaction", "changes signal handlers"),
    ("setuid", "changes its user"),
    ("setgid", "changes its group"),
    ("chroot", "changes its root"),
    ("dlopen", "loads further libraries that are not checked"),
    ("setrlimit", "changes its limits"),
    ("reboot", "can reboot the machine"),
];

/// Functions that every Rust library runs when it is loaded.
const USUAL_CONSTRUCTORS: u64 = 2;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It would be loaded.
    Fits,
    /// It would be loaded, but something should be looked at.
    FitsWithWarnings,
    /// It would be refused or could not be loaded.
    Refused,
}

/// Something that a plugin needs, and whether it is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Need {
    /// The name of a library or program.
    pub name: String,
    /// True if it is on this machine.
    pub found: bool,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The file.
    pub file: String,
    /// The outcome.
    pub verdict: Verdict,
    /// What keeps it from being used.
    pub problems: Vec<Refusal>,
    /// What should be looked at.
    pub warnings: Vec<String>,
    /// Size in bytes.
    pub size: u64,
    /// What it says about itself.
    pub manifest: Option<Manifest>,
    /// Shared libraries that it needs.
    pub libraries: Vec<Need>,
    /// The newest glibc version that it needs, as `2.34`.
    pub glibc_needed: Option<String>,
    /// The glibc version of this machine.
    pub glibc_here: Option<String>,
    /// Imports that are worth knowing, and what they mean.
    pub imports: Vec<(String, String)>,
    /// True if code of it runs as soon as it is loaded, beside what every Rust library runs.
    pub constructors: bool,
    /// Programs that its manifest names.
    pub tools: Vec<Need>,
    /// Its signature, if it has a manifest.
    pub signature: Option<SignatureReport>,
}

/// Checks a file. With a public key its signature must be there and valid; otherwise it is checked with the keys of
/// this machine if there is one.
pub fn check(path: &Path, key: Option<&Path>) -> Report {
    let mut report = Report {
        file: printable(path.as_os_str()),
        verdict: Verdict::Refused,
        problems: Vec::new(),
        warnings: Vec::new(),
        size: 0,
        manifest: None,
        libraries: Vec::new(),
        glibc_needed: None,
        glibc_here: None,
        imports: Vec::new(),
        constructors: false,
        tools: Vec::new(),
        signature: None,
    };
    if let Some(file) = report.open(path)
        && let Err(refusal) = report.read(&file, path, key)
    {
        report.problems.push(refusal);
    }
    report.verdict = match (report.problems.is_empty(), report.warnings.is_empty()) {
        (false, _) => Verdict::Refused,
        (true, false) => Verdict::FitsWithWarnings,
        (true, true) => Verdict::Fits,
    };
    report
}

impl Report {
    /// Opens the file as the host would. If the host would not, the file is looked at all the same: it may be checked
    /// before it is installed.
    fn open(&mut self, path: &Path) -> Option<File> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().unwrap_or_default();
        let trusted = trust::open_directory(directory).and_then(|directory| trust::open_file(&directory, name));
        match trusted {
            Ok(file) => return Some(file),
            Err(refusal) => self.problems.push(refusal),
        }
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
        let file = File::options().read(true).custom_flags(nonblocking).open(path).ok()?;
        file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0).then_some(file)
    }

    fn read(&mut self, file: &File, path: &Path, key: Option<&Path>) -> Result<(), Refusal> {
        let unreadable = |error: std::io::Error| Refusal::new(format!("it cannot be read: {error}"), "check the file");
        let sealed = Sealed::copy(file, "ipa-plugin-check", trust::SIZE_LIMIT).map_err(unreadable)?;
        self.size = sealed.len() as u64;
        let mapping = sealed.map().map_err(unreadable)?;
        let elf = Elf::parse(&mapping).map_err(|error| Refusal::new(error.to_string(), "build or copy it again"))?;
        match manifest::read(&elf) {
            Ok(manifest) => {
                self.judge_signature(SignatureReport::of(path, &mapping, &manifest, key), key.is_some());
                self.judge_manifest(manifest);
            }
            Err(refusal) => self.problems.push(refusal),
        }
        let dynamic = elf.dynamic().map_err(|error| Refusal::new(error.to_string(), "build it again"))?;
        self.judge_dynamic(&dynamic, &Libraries::of(Path::new("/")));
        Ok(())
    }

    fn judge_manifest(&mut self, manifest: Manifest) {
        if manifest.panic == "abort" {
            self.warnings.push("it is built with panic = \"abort\": a panic ends its worker, not just its call".into());
        }
        self.tools = manifest
            .tools
            .iter()
            .map(|tool| Need { name: tool.clone(), found: crate::process::find_program(Path::new(tool)).is_some() })
            .collect();
        for tool in self.tools.iter().filter(|tool| !tool.found) {
            self.warnings.push(format!("the program {} that it runs is not installed here", tool.name));
        }
        self.manifest = Some(manifest);
    }

    fn judge_signature(&mut self, report: SignatureReport, must_be_valid: bool) {
        let refusal = match &report.state {
            State::Valid { .. } => None,
            State::Missing => must_be_valid.then(|| Refusal::new("it is not signed", "sign it")),
            State::Unchecked(refusal) => must_be_valid.then(|| refusal.clone()),
            State::Refused(refusal) => Some(refusal.clone()),
        };
        match refusal {
            Some(refusal) if must_be_valid => self.problems.push(refusal),
            Some(refusal) => self.warnings.push(format!("no host would take it from a URL: {refusal}")),
            None => {}
        }
        self.signature = Some(report);
    }

    fn judge_dynamic(&mut self, dynamic: &Dynamic<'_>, here: &Libraries) {
        self.problems.extend(vet::without_entry(dynamic));
        self.libraries =
            dynamic.needed().iter().map(|name| Need { name: (*name).to_owned(), found: here.has(name) }).collect();
        for library in self.libraries.iter().filter(|library| !library.found) {
            self.problems.push(Refusal::new(
                format!("the library {} that it needs is not on this machine", library.name),
                "install it in the ramdisk, or link it statically",
            ));
        }
        let versions = dynamic.versions().iter().filter_map(|(_, version)| version.strip_prefix("GLIBC_"));
        let needed = versions.filter_map(parse_version).max();
        let found = here.glibc();
        if let (Some(needed), Some(found)) = (needed, found)
            && needed > found
        {
            self.problems.push(Refusal::new(
                format!("it needs glibc {}, this machine has {}", dotted(needed), dotted(found)),
                "build it on the distribution of the ramdisk, or an older one",
            ));
        }
        (self.glibc_needed, self.glibc_here) = (needed.map(dotted), found.map(dotted));
        let imported = |name: &str| dynamic.symbols().iter().any(|symbol| !symbol.defined && symbol.name == name);
        self.imports = NOTEWORTHY
            .iter()
            .filter(|(name, _)| imported(name))
            .map(|(name, meaning)| ((*name).to_owned(), (*meaning).to_owned()))
            .collect();
        self.constructors = dynamic.constructors() > USUAL_CONSTRUCTORS;
    }
}

fn dotted((major, minor): (u32, u32)) -> String {
    format!("{major}.{minor}")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Fits => "would be loaded",
            Verdict::FitsWithWarnings => "would be loaded, with warnings",
            Verdict::Refused => "would be refused",
        };
        writeln!(f, "{}: {verdict}", self.file)?;
        for problem in &self.problems {
            writeln!(f, "  problem: {}\n    cure: {}", problem.cause, problem.cure)?;
        }
        for warning in &self.warnings {
            writeln!(f, "  warning: {warning}")?;
        }
        if let Some(manifest) = &self.manifest {
            writeln!(f, "  manager:   {} {} (class {})", manifest.name, manifest.version, manifest.class_name)?;
            writeln!(f, "  built for: plugin-api {} by {}", manifest.api, or_dash(&manifest.rustc))?;
            for (what, steps) in [
                ("clean steps", &manifest.clean_steps),
                ("deploy steps", &manifest.deploy_steps),
                ("service steps", &manifest.service_steps),
            ] {
                if !steps.is_empty() {
                    let names: Vec<String> =
                        steps.iter().map(|step| format!("{} ({})", step.step, step.priority)).collect();
                    writeln!(f, "  {what}: {}", names.join(", "))?;
                }
            }
            if !manifest.methods.is_empty() {
                let dynamic = if manifest.dynamic { ", and more at run time" } else { "" };
                writeln!(f, "  methods:   {}{dynamic}", manifest.methods.join(", "))?;
            }
        }
        if let Some(SignatureReport { comment, state }) = &self.signature {
            writeln!(f, "  signature: {state}")?;
            if let Some(comment) = comment {
                writeln!(f, "  comment:   {comment}")?;
            }
        }
        writeln!(f, "  size:      {} bytes", self.size)?;
        for (what, needs) in [("libraries", &self.libraries), ("programs", &self.tools)] {
            if !needs.is_empty() {
                let names: Vec<String> = needs
                    .iter()
                    .map(|need| format!("{}{}", need.name, if need.found { "" } else { " (missing)" }))
                    .collect();
                writeln!(f, "  {:10} {}", format!("{what}:"), names.join(", "))?;
            }
        }
        if let Some(needed) = &self.glibc_needed {
            writeln!(
                f,
                "  glibc:     needs {needed}, here is {}",
                or_dash(self.glibc_here.as_deref().unwrap_or_default())
            )?;
        }
        for (name, meaning) in &self.imports {
            writeln!(f, "  imports:   {name}: {meaning}")?;
        }
        if self.constructors {
            writeln!(f, "  note:      code of it runs as soon as it is loaded")?;
        }
        Ok(())
    }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// Several files, for `ipa-host plugins check` on a directory.
pub fn check_directory(path: &Path) -> std::io::Result<Vec<Report>> {
    Ok(super::scan::scan(path)?.into_iter().map(|name| check(&PathBuf::from(path).join(name), None)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_object_without_manifest_is_refused_with_what_can_be_told() {
        let directory = tempfile::tempdir().expect("tempdir");
        let path = directory.path().join("libtest.so");
        std::fs::copy(std::env::current_exe().expect("own path"), &path).expect("copy");
        let report = check(&path, None);
        assert_eq!(report.verdict, Verdict::Refused);
        let causes: Vec<&str> = report.problems.iter().map(|problem| problem.cause.as_str()).collect();
        assert!(causes[0].contains("no manifest note"), "{causes:?}");
        assert!(causes[1].contains("ipa_plugin_entry_v1 nor ipa_plugin_c1"), "{causes:?}");
        assert_eq!(causes.len(), 2, "{causes:?}");
        assert!(report.libraries.iter().all(|library| library.found), "{:?}", report.libraries);
        assert!(report.glibc_needed.is_some() && report.glibc_here.is_some());
    }

    #[test]
    fn what_is_no_plugin_at_all_has_a_report_too() {
        let report = check(Path::new("/nonexistent/libx.so"), None);
        assert_eq!(report.verdict, Verdict::Refused);
        assert!(report.to_string().starts_with("/nonexistent/libx.so: would be refused\n  problem: "), "{report}");
        let script = check(Path::new("/etc/passwd"), None);
        assert!(script.problems.iter().any(|problem| problem.cause == "it is no ELF file"), "{script}");
    }
}
