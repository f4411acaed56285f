//! Where a worker keeps its manager: from its making until the last call that uses it has ended.

use std::sync::{Arc, Mutex, PoisonError};

use ipa_plugin_api::abi::loader::Instance;
use ipa_plugin_api::reply::{RawReply, VALUE};

use super::client::Client;
use crate::plugins::protocol::{Frame, Kind};

/// The place for one manager.
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<Option<Arc<Manager>>>);

/// A manager that tells the host how its end went.
#[derive(Debug)]
pub(super) struct Manager {
    /// None only while it ends.
    instance: Option<Instance>,
    client: Arc<Client>,
}

impl Slot {
    /// Keeps a manager that was just made.
    pub(super) fn fill(&self, instance: Instance, client: Arc<Client>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Arc::new(Manager { instance: Some(instance), client }));
    }

    /// The manager, if there is one.
    pub(super) fn get(&self) -> Option<Arc<Manager>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets go of the manager: it ends at once, or when the last call that runs does.
    pub(super) fn empty(&self, client: &Client) {
        let manager = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if manager.is_none() {
            tell(client, RawReply { code: VALUE, body: b"null".to_vec() });
        }
    }
}

impl Manager {
    pub(super) fn instance(&self) -> Option<&Instance> {
        self.instance.as_ref()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        if let Some(instance) = self.instance.take() {
            tell(&self.client, instance.destroy());
        }
    }
}

fn tell(client: &Client, reply: RawReply) {
    client.send(&Frame { code: reply.code, body: reply.body, ..Frame::new(Kind::Loaded, 0) });
}
