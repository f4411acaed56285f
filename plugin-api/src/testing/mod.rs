//! Runs a manager without a host: for the unit tests of plugins.
//!
//! [`FakeHost`] plays the host, [`Bench`] makes the manager and calls it as the host would, through JSON, and
//! [`conformance`] checks what Ironic and the host expect of every manager.
//!
//! ```
//! # use ipa_plugin_api::prelude::*;
//! # struct Acme;
//! # impl HardwareManager for Acme {
//! #     fn new(_config: &Value) -> HwResult<Self> { Ok(Acme) }
//! #     fn evaluate_hardware_support(&self, _cx: &Cx) -> HwResult<Support> { Ok(Support::MAINLINE) }
//! # }
//! # impl Acme {
//! #     fn flush(&self, cx: &Cx, _args: NoArgs) -> HwResult<String> {
//! #         let output = cx.run(&mut Command::new("acmectl").arg("flush"))?.check()?;
//! #         Ok(output.stdout)
//! #     }
//! # }
//! # export_manager! { Acme, name = "acme", version = "1.0.0", clean_steps { acme_flush => Acme::flush } }
//! use ipa_plugin_api::testing::{Bench, FakeHost, conformance, output};
//!
//! let host = FakeHost::new().command(&["acmectl", "flush"], output(0, "done\n", ""));
//! let bench = Bench::<Acme>::new(&host).unwrap();
//! assert_eq!(bench.call("acme_flush", json!({})).unwrap(), json!("done\n"));
//! assert_eq!(conformance::<Acme>(), Vec::<String>::new());
//! ```

mod conformance;
mod fake_host;

use std::marker::PhantomData;

use serde_json::Value;

pub use conformance::conformance;
pub use fake_host::{FakeHost, LogRecord, output};

use crate::error::{HwError, HwResult};
use crate::export::{self, Export};
use crate::manager::Support;

/// A manager on a [`FakeHost`], called as the host calls it.
#[derive(Debug)]
pub struct Bench<'h, M> {
    manager: M,
    host: &'h FakeHost,
    kind: PhantomData<M>,
}

impl<'h, M: Export> Bench<'h, M> {
    /// Makes the manager with the host's configuration section.
    pub fn new(host: &'h FakeHost) -> HwResult<Self> {
        Ok(Self { manager: M::new(&host.section())?, host, kind: PhantomData })
    }

    /// Takes a manager that the test made itself, for example one that reads a directory in the place of the machine.
    pub fn of(manager: M, host: &'h FakeHost) -> Self {
        Self { manager, host, kind: PhantomData }
    }

    /// The manager itself.
    pub fn manager(&self) -> &M {
        &self.manager
    }

    /// Ranks it.
    pub fn evaluate(&self) -> HwResult<Support> {
        Ok(Support(serde_json::from_slice(&export::evaluate(&self.manager, self.host, 0)?)?))
    }

    /// Calls a method with a JSON object of arguments.
    #[allow(clippy::needless_pass_by_value)] // Tests write `json!` in place.
    pub fn call(&self, method: &str, args: Value) -> HwResult<Value> {
        let args = if args.is_null() { "{}".to_owned() } else { args.to_string() };
        let body = export::call(&self.manager, self.host, 1, method, &args)?;
        serde_json::from_slice(&body).map_err(HwError::from)
    }
}
