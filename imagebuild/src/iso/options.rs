//! The command line.

use std::path::{Path, PathBuf};

use structopt::StructOpt;

use super::Embedded;
use super::embedded;
use crate::failure::{Failure, Outcome};

/// What the Python agent's tool always used.
const PLAIN_LABEL: &str = "INSTALL_IMAGE";
/// The agent takes its configuration only from a medium with this label, or with the next one.
const AGENT_LABEL: &str = "VMEDIA_BOOT_ISO";
/// A medium with network data, as cloud-init, glean and the agent look for it.
const CONFIG_DRIVE_LABEL: &str = "config-2";
/// What the volume descriptor has room for.
const LABEL_LIMIT: usize = 32;

/// Makes a bootable ISO image from a kernel and a ramdisk.
///
/// The image boots by BIOS and by UEFI, also with Secure Boot if the kernel is signed by the distribution, from virtual
/// media, CD and USB stick; on arm64 by UEFI alone. The kernel line is `boot_method=vmedia console=tty0
/// console=ttyS0,115200n8`, on arm64 with ttyAMA0, and what --kernel-params adds. With SOURCE_DATE_EPOCH in the environment the image's files have that time.
#[derive(Debug, Clone, StructOpt)]
#[structopt(name = "iso-image-create")]
pub struct Options {
    /// The image to write; a file of that name is replaced once the image is complete
    #[structopt(short, long, parse(from_os_str), value_name = "FILE")]
    pub output: PathBuf,
    /// The ramdisk; give it several times to have several loaded, in this order
    #[structopt(
        short,
        long = "initrd",
        parse(from_os_str),
        value_name = "FILE",
        required = true,
        number_of_values = 1
    )]
    pub initrds: Vec<PathBuf>,
    /// The kernel
    #[structopt(short, long, parse(from_os_str), value_name = "FILE")]
    pub kernel: PathBuf,
    /// Adds parameters to the kernel line, for example `ipa-api-url=http://192.0.2.1:6385`
    #[structopt(short = "a", long, value_name = "PARAMETERS", number_of_values = 1, allow_hyphen_values = true)]
    pub kernel_params: Vec<String>,
    /// Leaves the default kernel line out, so that only --kernel-params counts
    #[structopt(long)]
    pub no_default_params: bool,
    /// Puts FILE at PATH into the image, for example `etc/ironic-python-agent.d/site.conf=site.conf`
    #[structopt(short, long = "file", value_name = "PATH=FILE", number_of_values = 1)]
    pub files: Vec<Embedded>,
    /// Takes the boot loaders from this directory, where their Debian packages are unpacked, instead of this system: for
    /// a kernel of another architecture
    #[structopt(long, value_name = "DIR", parse(from_os_str))]
    pub loaders: Option<PathBuf>,
    /// The volume label [default: INSTALL_IMAGE; with --file VMEDIA_BOOT_ISO, by which the agent finds its files;
    /// with a file below openstack/ config-2]
    #[structopt(short = "V", long = "label", value_name = "LABEL")]
    pub chosen_label: Option<String>,
}

impl Options {
    /// The volume label.
    pub(super) fn label(&self) -> Outcome<&str> {
        let Some(label) = &self.chosen_label else {
            return Ok(self.default_label());
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if label.is_empty() || label.len() > LABEL_LIMIT || !label.chars().all(fits) {
            return Err(Failure::new(format!(
                "label {label:?}: a volume label has 1 to {LABEL_LIMIT} ASCII letters, digits, '-', '_' or '.'"
            )));
        }
        Ok(label)
    }

    fn default_label(&self) -> &'static str {
        if self.files.iter().any(|file| file.path.starts_with(embedded::NETWORK_DATA)) {
            CONFIG_DRIVE_LABEL
        } else if self.files.is_empty() {
            PLAIN_LABEL
        } else {
            AGENT_LABEL
        }
    }

    /// Every file that gets into the image, in a fixed order.
    pub(super) fn inputs(&self) -> impl Iterator<Item = (&str, &Path)> {
        let own = std::iter::once(("kernel", self.kernel.as_path()));
        let initrds = self.initrds.iter().map(|path| ("initrd", path.as_path()));
        own.chain(initrds).chain(self.files.iter().map(|file| (file.path.as_str(), file.source.as_path())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &str) -> Result<Options, String> {
        let words = std::iter::once("iso-image-create").chain(arguments.split(' '));
        Options::from_iter_safe(words).map_err(|error| error.message)
    }

    #[test]
    fn the_python_agents_flags_are_taken_in_both_spellings() {
        for line in
            ["-o a.iso -i ipa.initramfs -k ipa.kernel", "--output=a.iso --initrd ipa.initramfs --kernel=ipa.kernel"]
        {
            let options = parsed(line).unwrap();
            assert_eq!(options.output, Path::new("a.iso"));
            assert_eq!(options.initrds, [Path::new("ipa.initramfs")]);
            assert_eq!(options.kernel, Path::new("ipa.kernel"));
            assert_eq!(options.label().unwrap(), "INSTALL_IMAGE");
        }
    }

    #[test]
    fn each_of_the_three_files_is_required_and_named() {
        for (line, missing) in [
            ("-i i -k k", "--output"),
            ("-o o -k k", "--initrd"),
            ("-o o -i i", "--kernel"),
            ("-o o -k k -i", "--initrd"),
        ] {
            let message = parsed(line).unwrap_err();
            assert!(message.contains(missing), "{line}: {message}");
        }
    }

    #[test]
    fn several_ramdisks_and_parameters_keep_their_order() {
        let options = parsed("-o o -k k -i a -i b -a x=1 --kernel-params --").unwrap();
        assert_eq!(options.initrds, [Path::new("a"), Path::new("b")]);
        assert_eq!(options.kernel_params, ["x=1", "--"]);
    }

    #[test]
    fn the_label_fits_what_the_agent_looks_for() {
        let label = |more: &str| {
            parsed(&format!("-o o -k k -i i{more}"))
                .and_then(|options| options.label().map(str::to_owned).map_err(|failure| failure.to_string()))
        };
        assert_eq!(label(" -f etc/ironic-python-agent.d/x.conf=y").unwrap(), "VMEDIA_BOOT_ISO");
        assert_eq!(label(" -f openstack/latest/network_data.json=y").unwrap(), "config-2");
        assert_eq!(label(" -f a=b -V MY-disk_1.0").unwrap(), "MY-disk_1.0");
        assert!(label(" -V ä").unwrap_err().contains("ASCII"));
        assert!(label(&format!(" -V {}", "A".repeat(33))).unwrap_err().contains("32"));
    }
}
