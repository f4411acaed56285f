//! What a program, library or kernel module says about itself.

use goblin::elf::Elf;
use goblin::elf::symver::VER_FLG_WEAK;

use crate::failure::{Doing, Failure, Outcome};

/// What a program or library needs to be loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Value of `e_machine`.
    pub machine: u16,
    /// The loader's path, if it is a program that needs one.
    pub interpreter: Option<String>,
    /// Names of libraries.
    pub libraries: Vec<String>,
    /// Directories to look for them first, `$ORIGIN` not yet replaced.
    pub search: Vec<String>,
    /// Versions of a library's symbols that must be there, such as `libc.so.6` and `GLIBC_2.36`.
    pub versions: Vec<(String, String)>,
    /// Versions of symbols that it has for others.
    pub defines: Vec<String>,
}

/// Whether these are the first bytes of an ELF file.
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

/// Reads what the file needs; `name` is for the error.
///
/// # Errors
/// If it is no whole ELF file.
pub fn needs(name: &str, bytes: &[u8]) -> Outcome<Needs> {
    let elf = Elf::parse(bytes).doing(format_args!("reading the ELF file {name}"))?;
    let mut search: Vec<String> = Vec::new();
    // The newer kind makes the loader ignore the older one.
    let paths = if elf.runpaths.is_empty() { &elf.rpaths } else { &elf.runpaths };
    for path in paths {
        search.extend(path.split(':').filter(|path| !path.is_empty()).map(str::to_owned));
    }
    let text = |at: usize| elf.dynstrtab.get_at(at).unwrap_or_default().to_owned();
    let mut versions = Vec::new();
    for library in elf.verneed.iter().flatten() {
        let needed = library.iter().filter(|version| version.vna_flags & VER_FLG_WEAK == 0);
        versions.extend(needed.map(|version| (text(library.vn_file), text(version.vna_name))));
    }
    // The first name of a version is its own, the others those that it follows.
    let defines =
        elf.verdef.iter().flatten().filter_map(|version| Some(text(version.iter().next()?.vda_name))).collect();
    Ok(Needs {
        machine: elf.header.e_machine,
        interpreter: elf.interpreter.map(str::to_owned),
        libraries: elf.libraries.iter().map(|&library| library.to_owned()).collect(),
        search,
        versions,
        defines,
    })
}

/// The values that a kernel module has for `key` in its section `.modinfo`.
///
/// # Errors
/// If it is no module.
pub fn modinfo(name: &str, bytes: &[u8], key: &str) -> Outcome<Vec<String>> {
    let elf = Elf::parse(bytes).doing(format_args!("reading the kernel module {name}"))?;
    let section = elf
        .section_headers
        .iter()
        .find(|section| elf.shdr_strtab.get_at(section.sh_name) == Some(".modinfo"))
        .and_then(|section| bytes.get(section.file_range()?))
        .ok_or_else(|| Failure::new(format!("{name} is no kernel module: it has no section .modinfo")))?;
    let pairs = section.split(|byte| *byte == 0).filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='));
    Ok(pairs.filter(|(is, _)| *is == key).map(|(_, value)| value.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_needs_a_loader_and_the_c_library() {
        let path = std::env::current_exe().unwrap();
        let needs = needs("test", &std::fs::read(path).unwrap()).unwrap();
        assert!(needs.interpreter.as_deref().is_some_and(|loader| loader.contains("ld-linux")), "{needs:?}");
        assert!(needs.libraries.iter().any(|library| library == "libc.so.6"), "{needs:?}");
        let of_c = |(library, version): &(String, String)| library == "libc.so.6" && version.starts_with("GLIBC_2.");
        assert!(needs.versions.iter().any(of_c), "{needs:?}");
        assert_eq!(needs.machine, crate::arch::Arch::native().unwrap().machine);
    }

    #[test]
    fn what_is_cut_off_or_no_elf_at_all_is_an_error_with_its_name() {
        let whole = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        for bytes in [&b""[..], b"\x7fELF", b"#!/bin/sh\n", &whole[..100]] {
            let failure = needs("usr/bin/x", bytes).unwrap_err().to_string();
            assert!(failure.contains("usr/bin/x"), "{failure}");
        }
        assert!(modinfo("x.ko", &whole, "depends").unwrap_err().to_string().contains(".modinfo"));
    }
}
