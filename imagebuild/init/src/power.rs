//! The end of the machine's run, as busybox and sysvinit have it: `poweroff`, `reboot` and `halt` signal PID 1, which
//! takes everything down in order.

use rustix::process::{Pid, Signal, getpid, kill_process};
use rustix::system::{RebootCommand, reboot};

/// What becomes of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It boots again.
    Reboot,
    /// Its power goes off.
    PowerOff,
    /// It stops and stays on.
    Halt,
}

impl Action {
    /// What a program of this name asks for.
    pub fn of_program(name: &str) -> Option<Self> {
        match name {
            "reboot" => Some(Self::Reboot),
            "poweroff" => Some(Self::PowerOff),
            "halt" => Some(Self::Halt),
            _ => None,
        }
    }

    /// What a signal to PID 1 asks for. The kernel sends SIGINT for Ctrl-Alt-Del.
    pub fn of_signal(number: i32) -> Option<Self> {
        let is = |signal: Signal| signal.as_raw() == number;
        if is(Signal::TERM) || is(Signal::INT) {
            Some(Self::Reboot)
        } else if is(Signal::USR2) {
            Some(Self::PowerOff)
        } else {
            is(Signal::USR1).then_some(Self::Halt)
        }
    }

    fn signal(self) -> Signal {
        match self {
            Self::Reboot => Signal::TERM,
            Self::PowerOff => Signal::USR2,
            Self::Halt => Signal::USR1,
        }
    }

    fn command(self) -> RebootCommand {
        match self {
            Self::Reboot => RebootCommand::Restart,
            Self::PowerOff => RebootCommand::PowerOff,
            Self::Halt => RebootCommand::Halt,
        }
    }

    /// Asks PID 1; with `at_once`, which is `-f`, the kernel.
    ///
    /// # Errors
    /// Whoever was asked refuses.
    pub fn ask(self, at_once: bool) -> Result<(), String> {
        if at_once {
            rustix::fs::sync();
            return reboot(self.command()).map_err(|error| format!("the kernel refuses: {error}"));
        }
        kill_process(Pid::INIT, self.signal()).map_err(|error| format!("PID 1 cannot be signalled: {error}"))
    }

    /// The last thing that PID 1 does. Nobody else may do it.
    pub fn finish(self) {
        if getpid() == Pid::INIT {
            rustix::fs::sync();
            // It only returns if the kernel cannot; then the machine stays as it is.
            let _ = reboot(self.command());
        }
    }
}

/// Has Ctrl-Alt-Del signal PID 1 instead of resetting the machine.
pub fn take_over_keys() {
    if getpid() == Pid::INIT {
        let _ = reboot(RebootCommand::CadOff);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_and_names_fit_each_other() {
        for name in ["reboot", "poweroff", "halt"] {
            let action = Action::of_program(name).unwrap();
            assert_eq!(Action::of_signal(action.signal().as_raw()), Some(action), "{name}");
        }
        assert_eq!(Action::of_program("shutdown"), None);
        assert_eq!(Action::of_signal(Signal::INT.as_raw()), Some(Action::Reboot));
        assert_eq!(Action::of_signal(Signal::HUP.as_raw()), None);
    }
}
