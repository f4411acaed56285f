//! `cargo xtask fixtures`: the plugins that the tests load, each made wrong in its own way.
//!
//! Beside the misbehaving ones there are plugins built against other versions of plugin-api: a later minor one that
//! the host must load, a later major one that it must refuse. Each of these is `examples/minimal` in a workspace of
//! its own with an edited copy of `plugin-api`. The edits are exact texts, so a change of the source that they no
//! longer fit stops the build instead of testing nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::{Table, Value};

use crate::failure::{Doing, Failure, Outcome};
use crate::steps::Steps;
use crate::{process, repo};

const BUILD: Duration = Duration::from_secs(1200);

/// One replacement of a text that stands exactly once in a file of plugin-api.
#[derive(Debug)]
struct Edit {
    file: &'static str,
    find: &'static str,
    replace: &'static str,
}

/// A version of plugin-api that is not today's.
#[derive(Debug)]
struct Api {
    name: &'static str,
    version: &'static str,
    edits: &'static [Edit],
}

const APIS: [Api; 2] = [
    Api { name: "api-1.9", version: "1.9.0", edits: &[version("version = \"1.9.0\""), LATER_FIELD, LATER_FUNCTION] },
    Api { name: "api-2.0", version: "2.0.0", edits: &[version("version = \"2.0.0\"")] },
];

/// The prefix module gets a field at its end, which is how a later minor version may grow.
const LATER_FIELD: Edit = Edit {
    file: "src/abi/module.rs",
    find: "    pub destroy: extern \"C\" fn(usize) -> AbiReply,\n",
    replace: "    pub destroy: extern \"C\" fn(usize) -> AbiReply,\n    /// New in 1.9.\n    \
              pub later: extern \"C\" fn(usize) -> AbiReply,\n",
};
const LATER_FUNCTION: Edit = Edit {
    file: "src/abi/glue.rs",
    find: "        destroy: destroy::<M>,\n",
    replace: "        destroy: destroy::<M>,\n        later: destroy::<M>,\n",
};

const fn version(replace: &'static str) -> Edit {
    Edit { file: "Cargo.toml", find: "version = \"1.0.0\"", replace }
}

pub(crate) fn run() -> Outcome {
    let mut steps = Steps::new();
    build(&mut steps)?;
    println!("{}", steps.summary());
    Ok(())
}

/// Builds everything that tests load beside the workspace's own plugins.
pub(crate) fn build(steps: &mut Steps) -> Outcome {
    steps.command(
        "misbehaving plugins",
        &mut process::cargo(&["build", "--package", "ipa-misbehaving", "--examples"]),
    )?;
    let aborting = ["build", "--package", "ipa-misbehaving", "--profile", "abort", "--example", "panic_abort"];
    steps.command("aborting plugin", &mut process::cargo(&aborting))?;
    steps.step("plugins of other API versions", "cargo xtask fixtures", || APIS.iter().try_for_each(build_against))
}

/// Builds `target/fixtures/libipa_example_minimal-api-1.9.so` and so on.
fn build_against(api: &Api) -> Outcome {
    let workspace = repo::target("fixtures").join(api.name);
    lay_out(repo::root(), &workspace, api)?;
    let target = repo::target("fixtures/build");
    let mut cargo = process::cargo(&["build", "--quiet", "--package", "ipa-example-minimal", "--target-dir"]);
    process::run(cargo.arg(&target).current_dir(&workspace), BUILD)?;
    repo::install(&target.join("debug/libipa_example_minimal.so"), &plugin(api.name))
}

fn plugin(name: &str) -> PathBuf {
    repo::target("fixtures").join(format!("libipa_example_minimal-{name}.so"))
}

/// Makes the workspace with the edited copy.
fn lay_out(root: &Path, workspace: &Path, api: &Api) -> Outcome {
    repo::fresh_directory(workspace)?;
    for member in MEMBERS {
        repo::copy_tree(&root.join(member), &workspace.join(member))?;
    }
    repo::install(&root.join("Cargo.lock"), &workspace.join("Cargo.lock"))?;
    let manifest = read(&root.join("Cargo.toml"))?;
    write(&workspace.join("Cargo.toml"), &workspace_manifest(&manifest, api.version)?)?;
    for edit in api.edits {
        let path = workspace.join("plugin-api").join(edit.file);
        let text = substitute(&read(&path)?, edit.find, edit.replace)
            .map_err(|why| Failure::new(format!("plugin-api/{} for {}: {why}", edit.file, api.name)))?;
        write(&path, &text)?;
    }
    Ok(())
}

const MEMBERS: [&str; 2] = ["plugin-api", "examples/minimal"];

/// The project's own workspace manifest, cut down to the two members and asking for the other version.
fn workspace_manifest(text: &str, version: &str) -> Outcome<String> {
    let mut manifest: Table = text.parse().doing("reading Cargo.toml")?;
    let changed = (|| {
        let workspace = manifest.get_mut("workspace")?.as_table_mut()?;
        workspace.remove("default-members");
        workspace.insert("members".to_owned(), Value::from(MEMBERS.to_vec()));
        let api = workspace.get_mut("dependencies")?.get_mut("ipa-plugin-api")?.as_table_mut()?;
        api.insert("version".to_owned(), Value::from(version)).map(drop)
    })();
    changed.ok_or_else(|| {
        Failure::new("Cargo.toml: no [workspace.dependencies] with path and version of ipa-plugin-api")
    })?;
    Ok(manifest.to_string())
}

/// Replaces a text that must stand there exactly once.
fn substitute(text: &str, find: &str, replace: &str) -> Result<String, String> {
    match text.matches(find).count() {
        1 => Ok(text.replacen(find, replace, 1)),
        count => Err(format!(
            "the text to edit stands there {count} times instead of once; adapt xtask/src/fixtures.rs: `{}`",
            find.lines().next().unwrap_or_default()
        )),
    }
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).doing(format_args!("reading {}", path.display()))
}

fn write(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).doing(format_args!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_that_no_longer_fits_is_refused() {
        assert_eq!(substitute("a b c", "b", "x").unwrap(), "a x c");
        assert!(substitute("a c", "b", "x").unwrap_err().contains("0 times"));
        assert!(substitute("b b", "b", "x").unwrap_err().contains("2 times"));
    }

    #[test]
    fn the_manifest_keeps_what_the_members_inherit() {
        let text = read(&repo::root().join("Cargo.toml")).unwrap();
        let manifest: Table = workspace_manifest(&text, "1.9.0").unwrap().parse().unwrap();
        let workspace = &manifest["workspace"];
        assert_eq!(workspace["members"].as_array().map(Vec::len), Some(MEMBERS.len()));
        assert_eq!(workspace["dependencies"]["ipa-plugin-api"]["version"].as_str(), Some("1.9.0"));
        assert!(workspace["package"].get("edition").is_some() && workspace["lints"].get("rust").is_some());
        assert!(workspace_manifest("[package]", "1.9.0").is_err());
    }

    /// The edits are applied to today's plugin-api, so a change that breaks them is seen without the slow build.
    #[test]
    fn every_edit_fits_todays_source() {
        for edit in APIS.iter().flat_map(|api| api.edits) {
            let text = read(&repo::root().join("plugin-api").join(edit.file)).unwrap();
            substitute(&text, edit.find, edit.replace).unwrap();
        }
    }
}
