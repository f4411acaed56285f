//! Files that lie in a plugin directory and are no plugins, or none that may be trusted.
//!
//! Most are made of the well-behaved plugin by one change, so that only this change can be why they are refused.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use crate::artifacts;
use crate::plugin_dir::{PluginDir, replace_all};

/// Offsets in the header of an ELF file.
mod elf {
    pub(super) const CLASS: usize = 4;
    pub(super) const MACHINE: usize = 18;
    pub(super) const PROGRAM_HEADERS: usize = 32;
    pub(super) const PROGRAM_HEADER_COUNT: usize = 56;
    pub(super) const CLASS_32: u8 = 1;
    pub(super) const AARCH64: u16 = 183;
}

/// A file that must be refused.
#[derive(Debug, Clone, Copy)]
pub struct Broken {
    /// Its name in the directory.
    pub file: &'static str,
    /// Makes it.
    make: fn(&PluginDir, &str),
    /// Texts of which the reason must hold one, in lower case. They name the fault in any wording.
    pub reasons: &'static [&'static str],
    /// True if `ipa-host plugins check FILE` can tell without running it.
    pub checkable: bool,
}

impl Broken {
    /// Puts the file into a directory.
    pub fn put(&self, plugins: &PluginDir) {
        (self.make)(plugins, self.file);
    }
}

const fn broken(file: &'static str, make: fn(&PluginDir, &str), reasons: &'static [&'static str]) -> Broken {
    Broken { file, make, reasons, checkable: true }
}

const fn fails_when_loaded(file: &'static str, make: fn(&PluginDir, &str), reasons: &'static [&'static str]) -> Broken {
    Broken { file, make, reasons, checkable: false }
}

/// All files that a host must refuse, each with one clear line.
pub const ALL: &[Broken] = &[
    broken("empty.so", |dir, file| write(dir, file, b""), &["empty"]),
    broken("text.so", |dir, file| write(dir, file, b"#!/bin/sh\necho not a library\n"), &["elf"]),
    broken("truncated.so", truncated, &["cut short"]),
    broken(
        "header_only.so",
        |dir, file| write(dir, file, &good()[..64]),
        &["truncated", "end", "outside", "beyond", "past"],
    ),
    broken("magic_only.so", |dir, file| write(dir, file, b"\x7fELF"), &["truncated", "short", "end", "header"]),
    broken("elf32.so", |dir, file| patched(dir, file, elf::CLASS, &[elf::CLASS_32]), &["32"]),
    broken(
        "aarch64.so",
        |dir, file| patched(dir, file, elf::MACHINE, &elf::AARCH64.to_le_bytes()),
        &["machine", "aarch64", "183"],
    ),
    broken(
        "no_segments.so",
        |dir, file| patched(dir, file, elf::PROGRAM_HEADER_COUNT, &[0, 0]),
        &["note", "segment", "program header"],
    ),
    broken(
        "far_headers.so",
        |dir, file| patched(dir, file, elf::PROGRAM_HEADERS, &[0xff; 8]),
        &["header", "outside", "beyond", "past", "end"],
    ),
    broken("no_note.so", |dir, file| copy(dir, file, "no_note"), &["note", "manifest"]),
    broken("note_only.so", |dir, file| copy(dir, file, "note_only"), &["ipa_plugin_entry_v1"]),
    broken(
        "note_not_json.so",
        |dir, file| replaced(dir, file, b"{\"name\":\"acme\"", b"{\"name\":\"acme "),
        &["manifest", "json"],
    ),
    broken("note_other_major.so", |dir, file| replaced(dir, file, b"\"api\":\"1.", b"\"api\":\"7."), &["7."]),
    broken("world_writable.so", |dir, file| mode(dir, file, 0o646), &["write"]),
    broken("group_writable.so", |dir, file| mode(dir, file, 0o664), &["write"]),
    broken("other_owner.so", other_owner, &["1000", "root", "owner"]),
    broken("link_out.so", link_out, &["link"]),
    broken("link_dangling.so", |dir, file| link(dir, file, "nothing_there"), &["link"]),
    broken("link_loop.so", |dir, file| link(dir, file, file), &["link"]),
    broken("pipe.so", pipe, &["pipe", "fifo", "regular file"]),
    broken("directory.so", directory, &["directory", "regular file"]),
    broken("na\nme.so", |dir, file| write(dir, file, b"x"), &["elf"]),
    fails_when_loaded(
        "undefined_symbol.so",
        |dir, file| copy(dir, file, "undefined_symbol"),
        &["acme_vendor_library_init"],
    ),
    fails_when_loaded("missing_library.so", missing_library, &["libnone9.so.1"]),
    fails_when_loaded("ctor_hang.so", |dir, file| copy(dir, file, "ctor_hang"), &["deadline", "within", "took longer"]),
    fails_when_loaded("ctor_exit.so", |dir, file| copy(dir, file, "ctor_exit"), &["exit", "ended", "status 0"]),
    fails_when_loaded("ctor_abort.so", |dir, file| copy(dir, file, "ctor_abort"), &["sigabrt", "signal 6", "abort"]),
];

/// The well-behaved plugin.
fn good() -> Vec<u8> {
    fs::read(artifacts::minimal()).expect("the plugin was built")
}

fn write(plugins: &PluginDir, file: &str, bytes: &[u8]) {
    plugins.put(file, bytes);
}

fn copy(plugins: &PluginDir, file: &str, example: &str) {
    plugins.put(file, &fs::read(artifacts::misbehaving(example)).expect("the plugin was built"));
}

fn truncated(plugins: &PluginDir, file: &str) {
    let good = good();
    plugins.put(file, &good[..good.len() / 2]);
}

/// The well-behaved plugin with other bytes at a place of its header.
fn patched(plugins: &PluginDir, file: &str, at: usize, bytes: &[u8]) {
    let mut good = good();
    good[at..at + bytes.len()].copy_from_slice(bytes);
    plugins.put(file, &good);
}

/// The well-behaved plugin with one text replaced.
fn replaced(plugins: &PluginDir, file: &str, from: &[u8], to: &[u8]) {
    let mut good = good();
    assert!(replace_all(&mut good, from, to) > 0, "{} is not in the plugin", String::from_utf8_lossy(from));
    plugins.put(file, &good);
}

/// Needs a library that does not exist, in the place of one that does. It has a name of its own, since the second file
/// of one name is refused for that.
fn missing_library(plugins: &PluginDir, file: &str) {
    let mut good = good();
    for (from, to) in [
        (&b"libgcc_s.so.1"[..], &b"libnone9.so.1"[..]),
        (b"\"name\":\"acme\"", b"\"name\":\"acne\""),
        (b"\"class_name\":\"Acme\"", b"\"class_name\":\"Acne\""),
    ] {
        assert!(replace_all(&mut good, from, to) > 0, "{} is not in the plugin", String::from_utf8_lossy(from));
    }
    plugins.put(file, &good);
}

fn mode(plugins: &PluginDir, file: &str, mode: u32) {
    let path = plugins.put(file, &good());
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
}

fn other_owner(plugins: &PluginDir, file: &str) {
    let path = plugins.put(file, &good());
    chown(path, Some(1000), None).expect("these tests run as root");
}

/// A link to a good plugin outside of the directory.
fn link_out(plugins: &PluginDir, file: &str) {
    let outside = plugins.home().join("outside.so");
    fs::write(&outside, good()).expect("our own directory");
    symlink(outside, plugins.path().join(file)).expect("our own directory");
}

fn link(plugins: &PluginDir, file: &str, target: &str) {
    symlink(target, plugins.path().join(file)).expect("our own directory");
}

fn pipe(plugins: &PluginDir, file: &str) {
    let path = plugins.path().join(file);
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).expect("our own directory");
}

fn directory(plugins: &PluginDir, file: &str) {
    fs::create_dir(plugins.path().join(file)).expect("our own directory");
}

/// A copy of the well-behaved plugin with random bytes in its first `reach` bytes. The same seed gives the same file.
pub fn corrupt(seed: u64, reach: usize) -> Vec<u8> {
    let mut bytes = good();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        // xorshift64: enough for a reproducible mess.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..8 {
        let [value, ..] = next().to_le_bytes();
        let at = usize::try_from(next() % (reach as u64)).expect("below reach");
        bytes[at] = value;
    }
    bytes
}

/// True if a reason names one of the faults, in any case.
pub fn names(reason: &str, faults: &[&str]) -> bool {
    let reason = reason.to_lowercase();
    faults.iter().any(|fault| reason.contains(fault))
}

/// A file's name as a host prints it: control characters escaped.
pub fn printed(file: &str) -> String {
    Path::new(file).as_os_str().as_bytes().escape_ascii().to_string()
}
