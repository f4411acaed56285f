use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::process::{Request, Runner, Spawner};

/// A machine in a directory with a CD `config-2` that is mounted already, or is not.
fn machine(mounted: bool) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    write(root.path(), "sys/class/block/sr0/dev", "11:0\n");
    write(root.path(), "sys/class/block/sr0/device/type", "5\n");
    write(root.path(), "run/udev/data/b11:0", "E:ID_FS_LABEL=config-2\n");
    if mounted {
        write(root.path(), "proc/self/mountinfo", "41 27 11:0 / /cd ro - iso9660 /dev/sr0 ro\n");
    }
    root
}

fn write(root: &Path, path: &str, text: &str) -> PathBuf {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("below the root")).expect("made");
    fs::write(&path, text).expect("written");
    path
}

fn runner() -> Runner {
    Runner::with_shim(Spawner::start().expect("a thread"), Vec::new())
}

/// The sources in words, and the notes.
async fn copied(root: &Path) -> (Vec<String>, Vec<String>) {
    let runner = runner();
    let mut media = VirtualMedia::new(root, &runner);
    let sources = media.copy_plugins().await;
    (sources.iter().map(|source| format!("{source:?}")).collect(), media.into_notes())
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

const ON_CD: &str = "cd/usr/lib/ipa/plugins";
const COPY: &str = "run/ipa/plugins/media/sr0";

#[tokio::test]
async fn plain_plugin_files_are_copied_where_only_root_can_write() {
    let root = machine(true);
    let on_cd = |name: &str, text: &str| write(root.path(), &format!("{ON_CD}/{name}"), text);
    let own = on_cd("libacme.so", "acme");
    fs::set_permissions(own, fs::Permissions::from_mode(0o777)).expect("our own");
    on_cd("README", "x");
    on_cd(".hidden.so", "x");
    on_cd("a b.so", "x");
    on_cd("directory.so/x.so", "x");
    write(root.path(), "secret", "the machine's own");
    symlink("../../../../../secret", root.path().join(ON_CD).join("link.so")).expect("linked");
    let large = on_cd("large.so", "");
    File::create(large).and_then(|file| file.set_len(LARGEST + 1)).expect("a sparse file");

    let (sources, notes) = copied(root.path()).await;
    let copy = root.path().join(COPY);
    assert_eq!(names(&copy), ["libacme.so"]);
    assert_eq!(fs::read_to_string(copy.join("libacme.so")).expect("copied"), "acme");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o7777;
    assert_eq!((mode(&copy), mode(&copy.join("libacme.so"))), (0o700, 0o600));
    assert!(sources[0].contains("virtual media sr0") && sources[0].contains(COPY), "{sources:#?}");
    for (file, why) in [("directory.so", "no plain file"), ("large.so", "more than the allowed"), ("link.so", "plain")]
    {
        assert!(sources.iter().any(|source| source.contains(file) && source.contains(why)), "{file}: {sources:#?}");
    }
    assert_eq!(sources.len(), 4, "{sources:#?}");
    assert!(notes.iter().any(|note| note.contains("sr0: copied 1 plugins")), "{notes:#?}");
}

#[tokio::test]
async fn a_second_start_takes_what_the_medium_has_now_or_what_it_had() {
    let root = machine(true);
    let old = write(root.path(), &format!("{ON_CD}/old.so"), "x");
    copied(root.path()).await;
    fs::remove_file(old).expect("there");
    write(root.path(), &format!("{ON_CD}/new.so"), "x");
    copied(root.path()).await;
    assert_eq!(names(&root.path().join(COPY)), ["new.so"]);

    fs::remove_dir_all(root.path().join("sys")).expect("the medium is ejected");
    let (sources, notes) = copied(root.path()).await;
    assert!(sources[0].contains("virtual media sr0") && sources.len() == 1, "{sources:#?}");
    assert!(notes.iter().any(|note| note.contains("sr0 is gone")), "{notes:#?}");
    assert_eq!(names(&root.path().join(COPY)), ["new.so"]);
}

#[tokio::test]
async fn there_is_an_end_to_the_plugins_of_a_medium() {
    let root = machine(true);
    for number in 0..FILES + 2 {
        write(root.path(), &format!("{ON_CD}/{number:03}.so"), "x");
    }
    let (sources, _) = copied(root.path()).await;
    assert_eq!((names(&root.path().join(COPY)).len(), sources.len()), (FILES, 3));
    assert!(sources[2].contains("065.so") && sources[2].contains("more than 64 plugins"), "{sources:#?}");
    for number in 0..ENTRIES {
        write(root.path(), &format!("{ON_CD}/{number}.txt"), "");
    }
    let (sources, _) = copied(root.path()).await;
    assert!(sources.len() == 1 && sources[0].contains("more than 1024 files"), "{sources:#?}");
}

#[tokio::test]
async fn a_linked_directory_or_none_has_no_plugins_and_a_bad_medium_costs_nothing_else() {
    let root = machine(true);
    write(root.path(), "elsewhere/evil.so", "x");
    fs::create_dir_all(root.path().join("cd/usr/lib/ipa")).expect("made");
    symlink("../../../../elsewhere", root.path().join(ON_CD)).expect("linked");
    let (sources, notes) = copied(root.path()).await;
    assert!(sources.is_empty(), "{sources:#?}");
    assert!(notes.contains(&"sr0: there is no directory usr/lib/ipa/plugins".to_owned()), "{notes:#?}");

    // There is no such device to mount.
    let root = machine(false);
    let (sources, _) = copied(root.path()).await;
    assert!(sources[0].contains("cannot be copied") && sources[0].contains("insert it again"), "{sources:#?}");
}

/// A real file system behind a loop device, mounted by the real program.
#[tokio::test]
async fn plugins_on_a_real_medium_are_copied_and_it_is_unmounted() {
    if !rustix::process::geteuid().is_root() || !Path::new("/dev/loop-control").exists() {
        eprintln!("left out: mounting needs root and loop devices");
        return;
    }
    let root = machine(false);
    write(root.path(), "tree/usr/lib/ipa/plugins/libacme.so", "acme");
    let (tree, device) = (root.path().join("tree"), root.path().join("dev/sr0"));
    fs::create_dir(root.path().join("dev")).expect("made");
    let make = ["mke2fs", "-q", "-t", "ext2", "-d"].map(Into::into);
    let argv = make.into_iter().chain([tree.into_os_string(), device.into_os_string(), "256k".into()]);
    runner().run(Request::new(argv)).await.expect("e2fsprogs is installed");
    let (sources, notes) = copied(root.path()).await;
    assert_eq!(sources.len(), 1, "{sources:#?} {notes:#?}");
    assert_eq!(names(&root.path().join(COPY)), ["libacme.so"]);
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("Linux");
    assert!(!mounts.contains(&root.path().display().to_string()), "{mounts}");
}
