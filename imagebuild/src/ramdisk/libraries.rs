//! Adds the libraries and loaders that the programs of a tree need, until none is missing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;

use super::tree::{Content, Tree};
use crate::arch::Arch;
use crate::debian::Contents;
use crate::elf::{self, Needs};
use crate::failure::{Doing, Failure, Outcome};
use crate::names;

/// Largest program or library that is looked into.
const LARGEST: u64 = 256 * 1024 * 1024;

/// Adds what is missing from the packages.
///
/// # Errors
/// If a library is in no package or older than a program needs, or a program is of another architecture.
pub(super) fn complete(tree: &mut Tree, contents: &Contents, arch: &Arch) -> Outcome {
    let mut done: BTreeMap<String, Needs> = BTreeMap::new();
    // Which file a program gets for which library.
    let mut given: Vec<(String, String, String)> = Vec::new();
    loop {
        let fresh: Vec<(String, Needs)> = programs(tree, |name| done.contains_key(name))?;
        if fresh.is_empty() {
            return check_versions(tree, &done, &given);
        }
        for (name, needs) in fresh {
            if needs.machine != arch.machine {
                return Err(Failure::new(format!(
                    "/{name} is a program for another architecture than {}",
                    arch.debian
                )));
            }
            if let Some(path) = &needs.interpreter {
                add(tree, contents, path).doing(format_args!("adding the loader {path} of /{name}"))?;
            }
            for library in &needs.libraries {
                let directories = directories(&name, &needs.search, arch);
                let found = directories
                    .iter()
                    .map(|directory| format!("{directory}/{library}"))
                    .find(|path| tree.get(path).is_some() || contents.get(path).is_some());
                let path = found.ok_or_else(|| {
                    Failure::new(format!(
                        "/{name} needs the library {library}, which is in none of the packages; name the one that has it"
                    ))
                })?;
                add(tree, contents, &path).doing(format_args!("adding the library {library} of /{name}"))?;
                given.push((name.clone(), library.clone(), path));
            }
            done.insert(name, needs);
        }
    }
}

/// Whether the libraries have all versions of symbols that are asked of them. A program that was built where the
/// libraries are newer would not start.
fn check_versions(tree: &Tree, done: &BTreeMap<String, Needs>, given: &[(String, String, String)]) -> Outcome {
    for (name, library, path) in given {
        let file = tree.follow(path).and_then(|file| done.get(&file));
        let file = file.ok_or_else(|| Failure::new(format!("/{path}, which /{name} needs, is no library")))?;
        let asked = done.get(name).into_iter().flat_map(|needs| &needs.versions);
        let missing = asked.filter(|(of, version)| of == library && !file.defines.contains(version)).max();
        if let Some((_, version)) = missing {
            return Err(Failure::new(format!(
                "/{name} needs {version}, which the {library} of the ramdisk is too old for; build it on Debian 12"
            )));
        }
    }
    Ok(())
}

/// The ELF files of a tree that `known` does not know, with what they need. Kernel modules are none.
fn programs(tree: &Tree, known: impl Fn(&str) -> bool) -> Outcome<Vec<(String, Needs)>> {
    let mut programs = Vec::new();
    for (name, entry) in tree.iter().filter(|(name, _)| !known(name) && !name.starts_with("usr/lib/modules/")) {
        let bytes = match &entry.content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::File(path) => {
                let reading = || format!("reading {}", path.display());
                let mut file = File::open(path).doing(reading())?;
                let mut start = Vec::new();
                Read::by_ref(&mut file).take(4).read_to_end(&mut start).doing(reading())?;
                if !elf::is_elf(&start) {
                    continue;
                }
                if fs::metadata(path).doing(reading())?.len() > LARGEST {
                    return Err(Failure::new(format!("{} is too large for a program", path.display())));
                }
                file.take(LARGEST).read_to_end(&mut start).doing(reading())?;
                start
            }
            Content::Directory | Content::Link(_) | Content::Character(..) => continue,
        };
        if elf::is_elf(&bytes) {
            programs.push((name.to_owned(), elf::needs(&format!("/{name}"), &bytes)?));
        }
    }
    Ok(programs)
}

/// Where the loader looks for the libraries of the file `name`.
fn directories(name: &str, search: &[String], arch: &Arch) -> Vec<String> {
    let origin = name.rsplit_once('/').map_or("", |(directory, _)| directory);
    let named = search.iter().filter_map(|path| {
        let path = path.replace("${ORIGIN}", "$ORIGIN");
        match path.strip_prefix("$ORIGIN") {
            Some(rest) => names::resolve(&format!("{origin}/x"), &format!("./{rest}")),
            None => Some(names::merged(&path)),
        }
    });
    let usual = [format!("usr/lib/{}", arch.triplet), "usr/lib".to_owned(), "usr/lib64".to_owned()];
    named.chain(usual).collect()
}

/// Adds a file from the packages, with what it is a link to, unless it is there.
fn add(tree: &mut Tree, contents: &Contents, path: &str) -> Outcome {
    let name = names::merged(path);
    if tree.get(&name).is_some() {
        return Ok(());
    }
    let found = contents.get(&name).ok_or_else(|| Failure::new(format!("no package has /{name}")))?;
    tree.package_file(contents, &name, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_looks_beside_the_program_first_where_it_is_told_to() {
        let arch = Arch::named("amd64").unwrap();
        let search = ["$ORIGIN/../lib".to_owned(), "/lib/x86_64-linux-gnu/private".to_owned()];
        let directories = directories("usr/bin/x", &search, arch);
        assert_eq!(directories[..3], ["usr/lib", "usr/lib/x86_64-linux-gnu/private", "usr/lib/x86_64-linux-gnu"]);
    }

    #[test]
    fn a_missing_library_is_named_with_who_needs_it() {
        let mut tree = Tree::default();
        let program = std::env::current_exe().unwrap();
        tree.file("usr/bin/x", &program, 0o755, "test").unwrap();
        let arch = Arch::native().unwrap();
        let failure = complete(&mut tree, &Contents::default(), arch).unwrap_err().to_string();
        assert!(failure.contains("/usr/bin/x"), "{failure}");
        let other = ["amd64", "arm64"].into_iter().find(|name| *name != arch.debian).unwrap();
        let failure = complete(&mut tree, &Contents::default(), Arch::named(other).unwrap()).unwrap_err().to_string();
        assert!(failure.contains("another architecture"), "{failure}");
    }
}
