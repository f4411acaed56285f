//! Writes the manifest as JSON into an ELF note, at compile time.

use crate::spec::{API_VERSION, ArgSpec, ManifestSpec, RUSTC_VERSION, StepSpec};

/// An ELF note whose description is `LEN` bytes of JSON in a field of `PADDED` bytes.
#[repr(C, align(4))]
#[derive(Debug)]
pub struct Note<const PADDED: usize> {
    owner_size: u32,
    description_size: u32,
    kind: u32,
    owner: [u8; 4],
    description: [u8; PADDED],
}

impl<const PADDED: usize> Note<PADDED> {
    /// The note of a manifest; `PADDED` is [`padded_len`] of the same manifest.
    pub const fn new(spec: &ManifestSpec) -> Self {
        let mut json = Json::<PADDED>::new();
        json.manifest(spec);
        assert!(json.len <= PADDED && json.len < crate::manifest::MANIFEST_LIMIT, "the manifest is too large");
        // Checked above, and far below 4 GiB.
        #[allow(clippy::cast_possible_truncation)]
        let description_size = json.len as u32;
        Self {
            owner_size: 4,
            description_size,
            kind: crate::manifest::NOTE_TYPE,
            owner: *b"IPA\0",
            description: json.bytes,
        }
    }
}

/// Room that the manifest's JSON takes in a note: its length, rounded up to four bytes.
pub const fn padded_len(spec: &ManifestSpec) -> usize {
    let mut json = Json::<0>::new();
    json.manifest(spec);
    json.len.next_multiple_of(4)
}

/// A JSON writer for constant evaluation. It counts what does not fit, so that a run with `N = 0` measures.
struct Json<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Json<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    const fn byte(&mut self, byte: u8) {
        if self.len < N {
            self.bytes[self.len] = byte;
        }
        self.len += 1;
    }

    const fn raw(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            self.byte(bytes[at]);
            at += 1;
        }
    }

    const fn string(&mut self, text: &str) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let bytes = text.as_bytes();
        self.byte(b'"');
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'"' | b'\\' => {
                    self.byte(b'\\');
                    self.byte(bytes[at]);
                }
                control @ 0..0x20 => {
                    self.raw("\\u00");
                    self.byte(HEX[(control >> 4) as usize]);
                    self.byte(HEX[(control & 15) as usize]);
                }
                byte => self.byte(byte),
            }
            at += 1;
        }
        self.byte(b'"');
    }

    const fn key(&mut self, name: &str) {
        self.string(name);
        self.byte(b':');
    }

    const fn pair(&mut self, name: &str, value: &str) {
        self.key(name);
        self.string(value);
        self.byte(b',');
    }

    const fn flag(&mut self, name: &str, value: bool) {
        self.key(name);
        self.raw(if value { "true" } else { "false" });
    }

    const fn integer(&mut self, value: i64) {
        if value < 0 {
            self.byte(b'-');
        }
        self.unsigned(value.unsigned_abs());
    }

    const fn unsigned(&mut self, value: u64) {
        if value >= 10 {
            self.unsigned(value / 10);
        }
        self.byte(b'0' + (value % 10) as u8);
    }

    const fn strings(&mut self, name: &str, list: &[&str]) {
        self.key(name);
        self.byte(b'[');
        let mut at = 0;
        while at < list.len() {
            if at > 0 {
                self.byte(b',');
            }
            self.string(list[at]);
            at += 1;
        }
        self.raw("],");
    }

    const fn manifest(&mut self, spec: &ManifestSpec) {
        self.byte(b'{');
        self.pair("name", spec.name);
        self.pair("class_name", spec.class_name);
        self.pair("version", spec.version);
        self.pair("api", API_VERSION);
        self.pair("rustc", RUSTC_VERSION);
        self.pair("panic", spec.panic);
        self.strings("methods", spec.methods);
        self.steps("clean_steps", spec.clean_steps);
        self.steps("deploy_steps", spec.deploy_steps);
        self.steps("service_steps", spec.service_steps);
        self.strings("tools", spec.tools);
        self.flag("dynamic", spec.dynamic);
        self.byte(b'}');
    }

    const fn steps(&mut self, name: &str, steps: &[StepSpec]) {
        self.key(name);
        self.byte(b'[');
        let mut at = 0;
        while at < steps.len() {
            if at > 0 {
                self.byte(b',');
            }
            self.step(&steps[at]);
            at += 1;
        }
        self.raw("],");
    }

    const fn step(&mut self, step: &StepSpec) {
        self.byte(b'{');
        self.pair("step", step.step);
        self.key("priority");
        self.integer(step.priority);
        self.byte(b',');
        self.pair("interface", step.interface);
        self.flag("reboot_requested", step.reboot_requested);
        if let Some(abortable) = step.abortable {
            self.byte(b',');
            self.flag("abortable", abortable);
        }
        if let Some(seconds) = step.deadline_s {
            self.byte(b',');
            self.key("deadline_s");
            self.unsigned(seconds);
        }
        if !step.args.is_empty() {
            self.byte(b',');
            self.key("argsinfo");
            self.byte(b'{');
            let mut at = 0;
            while at < step.args.len() {
                if at > 0 {
                    self.byte(b',');
                }
                self.argument(&step.args[at]);
                at += 1;
            }
            self.byte(b'}');
        }
        self.byte(b'}');
    }

    const fn argument(&mut self, arg: &ArgSpec) {
        self.key(arg.name);
        self.byte(b'{');
        self.pair("description", arg.description);
        self.flag("required", arg.required);
        self.byte(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: ManifestSpec = ManifestSpec {
        name: "acme",
        class_name: "Acme\"Manager",
        version: "1.0.0",
        panic: "unwind",
        methods: &["get_bmc_address", "own"],
        dynamic: true,
        clean_steps: &[
            StepSpec::new("a")
                .priority(-12)
                .abortable(true)
                .args(&[ArgSpec::required("url", "tab\there, quote \" and é"), ArgSpec::optional("force", "")]),
            StepSpec::new("b").priority(i64::MAX).interface("raid").deadline_s(600).reboot_requested(true),
        ],
        deploy_steps: &[],
        service_steps: &[StepSpec::new("c")],
        tools: &["hdparm"],
    };
    static NOTE: Note<{ padded_len(&SPEC) }> = Note::new(&SPEC);

    #[test]
    fn the_note_holds_the_manifest() {
        let json = &NOTE.description[..NOTE.description_size as usize];
        let read: crate::manifest::Manifest = serde_json::from_slice(json).expect("valid JSON");
        assert_eq!(read, SPEC.to_manifest());
        assert_eq!(size_of_val(&NOTE) % 4, 0);
    }
}
