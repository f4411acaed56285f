//! A library with the note of a plugin and without its entry symbol.

use ipa_misbehaving::ipa_plugin_api::note::{Note, padded_len};
use ipa_misbehaving::ipa_plugin_api::spec::ManifestSpec;

const SPEC: ManifestSpec = ipa_misbehaving::spec("note_only");

#[used]
#[unsafe(link_section = ".note.ipa.plugin")]
static NOTE: Note<{ padded_len(&SPEC) }> = Note::new(&SPEC);
