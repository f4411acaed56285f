//! The errors that only the host raises, under the class names that Ironic knows.
//!
//! They are built on the one error type of the product, [`HwError`]; the classes that managers share live there.

use ipa_plugin_api::error::HwError;

/// Something named by its identifier does not exist, for example a `Command Result` or an `Extension`.
pub fn object_not_found(kind: &str, id: &str) -> HwError {
    HwError::agent("RequestedObjectNotFoundError", 404, "Not found", format!("{kind} with id {id} not found."))
}

/// An asynchronous command is still running.
pub fn agent_is_busy(command: &str) -> HwError {
    HwError::agent("AgentIsBusy", 409, "Agent is busy", format!("executing command {command}"))
}

/// The managers or their versions are not those that Ironic planned its steps with. Both texts are Python dicts, as
/// the operator of a mixed fleet is used to read them.
pub fn version_mismatch(current: &str, provided: &str) -> HwError {
    HwError::agent(
        VERSION_MISMATCH,
        409,
        "Hardware managers version mismatch, reload agent with correct version",
        format!("Current versions: {current}, versions used by ironic: {provided}"),
    )
}

/// Class of [`version_mismatch`]; it has a command status of its own.
pub const VERSION_MISMATCH: &str = "VersionMismatch";

/// No manager has the method, or none can use it on this hardware.
pub fn method_not_found(method: &str) -> HwError {
    HwError::agent(
        "HardwareManagerMethodNotFound",
        500,
        "No HardwareManager found to handle method",
        format!("Could not find method: {method}"),
    )
}

/// The command changes the machine and the agent was told not to.
pub fn read_only(command: &str) -> HwError {
    HwError::command_execution(format!(
        "{command} would change this machine, and the agent runs with --read-only. Restart it without that option to \
         allow the command."
    ))
}

/// True for errors that refuse a command before it starts. They end the request with a 4xx status and leave no trace
/// in the history.
pub fn refuses_command(error: &HwError) -> bool {
    matches!(error.class(), "InvalidContentError" | "InvalidCommandError" | "InvalidCommandParamsError")
}

/// The error as a command shows it: agent-defined errors stay, all others become `CommandExecutionError`.
pub fn for_command(error: HwError) -> HwError {
    if error.is_agent_defined() { error } else { HwError::command_execution(error.details()) }
}

/// The text of a task that panicked.
pub fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_are_those_of_the_wire() {
        let texts = [
            (object_not_found("Extension", "nope"), "Not found: Extension with id nope not found."),
            (agent_is_busy("execute_clean_step"), "Agent is busy: executing command execute_clean_step"),
            (method_not_found("x"), "No HardwareManager found to handle method: Could not find method: x"),
        ];
        for (error, text) in texts {
            assert_eq!(error.to_string(), text);
        }
    }

    /// Recorded from ironic-python-agent 13.0.0 by `tests/upstream/names.py`.
    #[test]
    fn the_classes_are_those_of_the_python_agent() {
        let recorded: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/fixtures/names/upstream.json")).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let with_details: &[fn(&'static str) -> HwError] = &[
            HwError::cleaning,
            HwError::deployment,
            HwError::servicing,
            HwError::command_execution,
            HwError::block_device_erase,
            HwError::block_device,
            HwError::software_raid,
            HwError::virtual_media_boot,
            HwError::device_not_found,
            HwError::invalid_image,
            HwError::clock_sync,
            HwError::incompatible_numa_format,
            HwError::invalid_content,
            HwError::invalid_command,
            HwError::invalid_command_params,
            HwError::incompatible,
            HwError::configuration,
        ];
        let mut ours: Vec<HwError> = with_details.iter().map(|class| class("details")).collect();
        ours.push(agent_is_busy("details"));
        ours.push(method_not_found("details"));
        ours.push(HwError::absent("details"));
        ours.push(object_not_found("Extension", "nope"));
        ours.push(version_mismatch("{'acme': '2.1'}", "{'acme': '2.0'}"));
        for error in ours {
            let theirs = &recorded["errors"][error.class()];
            assert!(theirs.is_object(), "{} is none of theirs", error.class());
            assert_eq!(theirs["type"], error.class());
            assert_eq!(theirs["code"], error.code(), "{}", error.class());
            assert_eq!(text(&theirs["message"]), error.message(), "{}", error.class());
            assert_eq!(text(&theirs["details"]), error.details(), "{}", error.class());
        }
        // Sentences of our own beside their classes and numbers.
        let protected = HwError::protected_device("/dev/sda", "VMFS partition");
        let theirs = &recorded["errors"]["ProtectedDeviceError"];
        assert_eq!((&theirs["type"], &theirs["code"]), (&protected.class().into(), &protected.code().into()));
        assert_eq!(theirs["message"], theirs["details"]);
        assert_eq!(protected.message(), protected.details());
        assert!(protected.details().contains("VMFS partition") && protected.details().contains("/dev/sda"));
    }

    #[test]
    fn only_the_invalid_family_refuses_a_command() {
        assert!(refuses_command(&HwError::invalid_command("x")));
        assert!(refuses_command(&HwError::invalid_command_params("x")));
        assert!(!refuses_command(&object_not_found("Extension", "x")));
    }

    #[test]
    fn a_foreign_error_becomes_a_command_error() {
        let error = for_command(HwError::other("OSError", "disk on fire"));
        assert_eq!((error.class(), error.details()), ("CommandExecutionError", "disk on fire"));
        assert_eq!(for_command(HwError::cleaning("x")).class(), "CleaningError");
    }
}
