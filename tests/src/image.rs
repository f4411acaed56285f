//! Container images, built of our own Dockerfile by buildah without a registry.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::artifacts;
use crate::debian::{self, done};

/// Longest time of a build, in seconds; it takes some tens of them.
const DEADLINE: &str = "600";

/// A store of images, which ends with it.
#[derive(Debug)]
pub struct Store(TempDir);

impl Store {
    /// A store with one image, which stands for a distribution's own: the Debian that tests begin with.
    pub fn with_debian(name: &str) -> Self {
        let home = tempfile::Builder::new().prefix("image-store-").tempdir_in(artifacts::target_dir());
        let store = Self(home.expect("a place"));
        let container = store.buildah(&["from", "scratch"]);
        let root = store.buildah(&["mount", &container]);
        done(Command::new("cp").args(["--archive", "--no-target-directory"]).arg(debian::tree()).arg(root));
        store.buildah(&["commit", "--quiet", "--rm", &container, name]);
        store
    }

    /// Builds an image from a Dockerfile and the files that it may copy.
    pub fn build(&self, dockerfile: &Path, context: &Path, name: &str) {
        let mut ignored = dockerfile.as_os_str().to_owned();
        ignored.push(".dockerignore");
        let mut build = self.command();
        // Nothing of it may need more than a chroot, and nothing be fetched but packages.
        build.args(["build", "--quiet", "--isolation", "chroot", "--pull-never", "--layers=false", "--tag", name]);
        build.arg("--ignorefile").arg(ignored).arg("--file").arg(dockerfile).arg(context);
        done(&mut build);
    }

    /// The file system of an image, as `docker export` gives it.
    pub fn root(&self, name: &str) -> PathBuf {
        let container = self.buildah(&["from", "--pull-never", name]);
        PathBuf::from(self.buildah(&["mount", &container]))
    }

    /// What an image runs if it is not told otherwise.
    pub fn command_of(&self, name: &str) -> Vec<String> {
        let text = self.buildah(&["inspect", "--type", "image", name]);
        let image: Value = serde_json::from_str(&text).expect("JSON");
        serde_json::from_value(image["OCIv1"]["config"]["Cmd"].clone()).expect("words")
    }

    fn buildah(&self, arguments: &[&str]) -> String {
        done(self.command().args(arguments)).trim().to_owned()
    }

    fn command(&self) -> Command {
        let mut command = Command::new("timeout");
        command.args([DEADLINE, "buildah", "--storage-driver", "vfs", "--root"]).arg(self.0.path().join("images"));
        command.arg("--runroot").arg(self.0.path().join("run"));
        command
    }
}
