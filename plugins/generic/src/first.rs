//! What need not be dispatched: a method that this manager would be asked for first anyway.

use std::sync::atomic::{AtomicBool, Ordering};

use ipa_plugin_api::prelude::*;

/// Whether a method would come to this manager first. The host is asked until it says so; then it stays so.
#[derive(Debug)]
pub(crate) struct First {
    method: &'static str,
    is_here: AtomicBool,
}

impl First {
    pub(crate) fn for_method(method: &'static str) -> Self {
        Self { method, is_here: AtomicBool::new(false) }
    }

    pub(crate) fn is_here(&self, cx: &Cx<'_>) -> bool {
        if !self.is_here.load(Ordering::Relaxed) {
            self.is_here.store(cx.answers_first(self.method), Ordering::Relaxed);
        }
        self.is_here.load(Ordering::Relaxed)
    }
}
