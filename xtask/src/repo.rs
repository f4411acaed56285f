//! Where things lie in the repository.

use std::fs;
use std::path::{Path, PathBuf};

use ipa_imagebuild::failure::{Doing, Outcome};

/// The top of the repository.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// A path below the build directory.
pub(crate) fn target(path: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir));
    target.join(path)
}

/// Makes the directory new and empty.
pub(crate) fn fresh_directory(path: &Path) -> Outcome {
    if path.exists() {
        fs::remove_dir_all(path).doing(format_args!("removing {}", path.display()))?;
    }
    fs::create_dir_all(path).doing(format_args!("making {}", path.display()))
}

/// As [`fresh_directory`], writable by its owner alone whatever the umask: the host refuses other plugin directories.
pub(crate) fn fresh_plugin_directory(path: &Path) -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    fresh_directory(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .doing(format_args!("setting the mode of {}", path.display()))
}

/// Copies a file and gives the new one mode 0755 for plugins and programs.
pub(crate) fn install(from: &Path, to: &Path) -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    fs::copy(from, to).doing(format_args!("copying {} to {}", from.display(), to.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))
        .doing(format_args!("setting the mode of {}", to.display()))
}
