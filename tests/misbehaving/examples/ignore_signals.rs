//! Ignores SIGTERM, SIGINT and SIGHUP by handlers, then hangs in a step.

use ipa_misbehaving::*;

#[derive(Default)]
struct IgnoreSignals;

impl Fault for IgnoreSignals {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        extern "C" fn ignore(_signal: libc::c_int) {}
        let handler = ignore as extern "C" fn(libc::c_int) as libc::sighandler_t;
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            // SAFETY: the handler does nothing, which is safe in a signal.
            unsafe { libc::signal(signal, handler) };
        }
        hang()
    }
}

export_fault! { IgnoreSignals, name = "ignore_signals" }
