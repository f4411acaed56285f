//! A second, small archive with plugins, for a ramdisk that is not to be built again. A kernel unpacks one archive after
//! the other, whether the boot loader brings them as two files or they stand one behind the other in one.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use super::tree::Tree;
use crate::compress::Compression;
use crate::failure::{Doing, Failure, Outcome};

/// Where the agent looks for plugins.
pub(super) const PLUGINS: &str = "usr/lib/ipa/plugins";

/// Writes an archive with nothing but the plugins and the directories above them to `output` and gives its size in bytes.
/// Its length is a multiple of four if it is not compressed; a compressed one may stand behind an archive of any length.
///
/// # Errors
/// If there is no plugin, one is no ELF file, two have one name, or the archive cannot be written.
pub fn segment(output: &Path, plugins: &[PathBuf], compression: Compression, time: u32) -> Outcome<u64> {
    if plugins.is_empty() {
        return Err(Failure::new("an archive with plugins needs at least one plugin"));
    }
    let mut tree = Tree::default();
    for plugin in plugins {
        add_plugin(&mut tree, plugin)?;
    }
    let writing = || format!("writing {}", output.display());
    let plain = output.with_extension("cpio.partial");
    let file = File::create(&plain).doing(writing())?;
    tree.write(BufWriter::new(file), time, |_| true)?;
    let compressed = compression.compress(&plain, output);
    fs::remove_file(&plain).doing(format_args!("removing {}", plain.display()))?;
    compressed?;
    Ok(fs::metadata(output).doing(writing())?.len())
}

/// Puts a plugin where the agent finds it, with an owner and mode that the agent accepts.
pub(super) fn add_plugin(tree: &mut Tree, plugin: &Path) -> Outcome {
    let name = plugin.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".so"));
    let name = name.ok_or_else(|| {
        Failure::new(format!("{} cannot be a plugin: the agent loads files called *.so", plugin.display()))
    })?;
    let name = format!("{PLUGINS}/{name}");
    if tree.get(&name).is_some() {
        return Err(Failure::new(format!("two plugins would be /{name}; the second is {}", plugin.display())));
    }
    let bytes = fs::read(plugin).doing(format_args!("reading the plugin {}", plugin.display()))?;
    crate::elf::needs(&plugin.display().to_string(), &bytes)?;
    tree.file(&name, plugin, 0o644, "plugin")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::Method;

    fn plugin(directory: &Path, name: &str) -> PathBuf {
        let path = directory.join(name);
        fs::copy(std::env::current_exe().unwrap(), &path).unwrap();
        path
    }

    #[test]
    fn it_holds_the_plugins_alone_and_may_be_followed_by_another() {
        let directory = tempfile::tempdir().unwrap();
        let plugins = [plugin(directory.path(), "b.so"), plugin(directory.path(), "a.so")];
        let output = directory.path().join("plugins.initramfs");
        let plain = Compression::new(Method::None, None).unwrap();
        let size = segment(&output, &plugins, plain, 1).unwrap();
        let bytes = fs::read(&output).unwrap();
        assert_eq!((size, size % 4), (bytes.len() as u64, 0));
        // Mode and owner of a file stand before its name.
        let at = bytes.windows(24).position(|window| window == b"usr/lib/ipa/plugins/a.so").unwrap();
        assert_eq!(&bytes[at - 110..at - 72], b"07070100000005000081a40000000000000000");
        let other = directory.path().join("other");
        segment(&other, &[plugins[1].clone(), plugins[0].clone()], plain, 1).unwrap();
        assert_eq!(fs::read(other).unwrap(), bytes, "the order of plugins shows");
    }

    #[test]
    fn what_is_no_plugin_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let text = directory.path().join("text.so");
        fs::write(&text, "no library").unwrap();
        let twice = plugin(directory.path(), "twice.so");
        let plain = Compression::new(Method::None, None).unwrap();
        let output = directory.path().join("out");
        for (plugins, says) in [
            (vec![], "at least one"),
            (vec![text], "text.so"),
            (vec![twice.clone(), twice], "two plugins"),
            (vec![plugin(directory.path(), "program")], "*.so"),
        ] {
            let failure = segment(&output, &plugins, plain, 1).unwrap_err().to_string();
            assert!(failure.contains(says), "{failure}");
        }
    }
}
