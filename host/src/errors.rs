//! The errors that only the host raises, under the class names that Ironic knows.
//!
//! They are built on the one error type of the product, [`HwError`]; the classes that managers share live there.

use ipa_plugin_api::error::HwError;

/// Details of an error class that was raised without any.
const NO_DETAILS: &str = "An unexpected error occurred. Please try back later.";

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

/// No plugin supports this machine.
pub fn manager_not_found() -> HwError {
    HwError::agent("HardwareManagerNotFound", 500, "No valid HardwareManager found", NO_DETAILS)
}

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
