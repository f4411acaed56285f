//! Why a request got no answer, in words that tell what to change.

use std::error::Error;
use std::io;
use std::time::SystemTime;

use rustls::{AlertDescription, CertificateError, Error as TlsError, PeerIncompatible};

/// What libraries wrap around a cause, which tells nothing about it.
const WRAPPERS: [&str; 2] = ["error sending request", "client error ("];

/// What the TLS library says of a server that leaves.
const HANDSHAKE_EOF: &str = "tls handshake eof";

/// The cause at the bottom of an error, and the cure where one is known.
pub(super) fn explain(error: &(dyn Error + 'static)) -> String {
    let mut causes = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(text) = tls_error(cause).map(of_tls) {
            return text;
        }
        let mut text = cause.to_string();
        if text == HANDSHAKE_EOF {
            text = format!("{HANDSHAKE_EOF} (the server hung up while TLS began; does it speak TLS?)");
        }
        // Some repeat the text of what they wrap.
        if causes.last().is_none_or(|last: &String| !last.ends_with(&text)) {
            causes.push(text);
        }
        next = cause.source();
    }
    let is_wrapper = |text: &String| WRAPPERS.iter().any(|wrapper| text.starts_with(wrapper));
    let told = causes.iter().position(|text| !is_wrapper(text)).unwrap_or(0);
    causes[told..].join(": ")
}

/// An I/O error hides what it was made of from those who ask for its source, and may be made of another one.
fn tls_error<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a TlsError> {
    match cause.downcast_ref::<io::Error>() {
        Some(io) => tls_error(io.get_ref()?),
        None => cause.downcast_ref(),
    }
}

fn of_tls(error: &TlsError) -> String {
    let cure = match error {
        TlsError::InvalidCertificate(invalid) => of_certificate(invalid),
        TlsError::AlertReceived(AlertDescription::ProtocolVersion)
        | TlsError::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13 | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => Some(
            "the server speaks no TLS version from tls_min_version on, which cannot be below 1.2; it needs an update"
                .into(),
        ),
        TlsError::AlertReceived(AlertDescription::HandshakeFailure) | TlsError::PeerIncompatible(_) => Some(
            "the server has no TLS version or cipher suite in common with tls_min_version and tls_cipher_suites".into(),
        ),
        TlsError::AlertReceived(AlertDescription::CertificateRequired) => {
            Some("the server wants a client certificate; give it with certfile and keyfile".into())
        }
        TlsError::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError,
        ) => Some("the server does not accept the client certificate of certfile".into()),
        TlsError::InvalidMessage(_) => {
            Some("the server does not speak TLS; does the address begin with http://?".into())
        }
        _ => None,
    };
    cure.map_or_else(|| format!("TLS: {error}"), |cure| format!("TLS: {error} ({cure})"))
}

fn of_certificate(invalid: &CertificateError) -> Option<String> {
    match invalid {
        CertificateError::UnknownIssuer => {
            Some("nobody who is trusted has signed it; name the file of its authority with cafile".into())
        }
        CertificateError::BadSignature => Some(
            "its signature is not that of the authority it names; perhaps another authority of the same name is in \
             cafile: is that file older than the server's certificate?"
                .into(),
        ),
        // A certificate of an authority is used as a server's: a self-signed one, in practice.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            Some("it is signed by itself; name its file with cafile".into())
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            let now = humantime::format_rfc3339_seconds(SystemTime::now());
            Some(format!("this machine's clock says {now}; if that is wrong, set it with ipa-ntp-server"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt;
    use std::sync::Arc;

    #[derive(Debug)]
    struct Wrapped(&'static str, Option<Box<dyn Error + Send + Sync>>);

    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Wrapped {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|source| source as &(dyn Error + 'static))
        }
    }

    fn sent(cause: impl Error + Send + Sync + 'static) -> String {
        let inner = Wrapped("client error (Connect)", Some(Box::new(cause)));
        explain(&Wrapped("error sending request", Some(Box::new(inner))))
    }

    #[test]
    fn wrappers_are_left_out_unless_there_is_nothing_else() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(
            sent(Wrapped("tcp connect error", Some(Box::new(refused)))),
            "tcp connect error: connection refused"
        );
        assert_eq!(explain(&Wrapped("error sending request", None)), "error sending request");
        let repeated = Wrapped("a: b", Some(Box::new(Wrapped("b", None))));
        assert_eq!(explain(&repeated), "a: b");
    }

    #[test]
    fn what_is_wrong_with_tls_comes_with_a_cure() {
        let invalid = TlsError::InvalidCertificate;
        let other = rustls::OtherError(Arc::new(Wrapped("CaUsedAsEndEntity", None)));
        for (error, part) in [
            (invalid(CertificateError::UnknownIssuer), "cafile"),
            (invalid(CertificateError::Other(other)), "signed by itself"),
            (invalid(CertificateError::Expired), "ipa-ntp-server"),
            (invalid(CertificateError::NotValidYet), "this machine's clock says 20"),
            (TlsError::AlertReceived(AlertDescription::ProtocolVersion), "tls_min_version"),
            (TlsError::AlertReceived(AlertDescription::CertificateRequired), "certfile and keyfile"),
            (TlsError::AlertReceived(AlertDescription::UnknownCA), "does not accept the client certificate"),
            (invalid(CertificateError::BadSignature), "older than the server's certificate"),
        ] {
            let text = sent(io::Error::other(io::Error::other(error)));
            assert!(text.starts_with("TLS: ") && text.contains(part), "{text}");
        }
        assert_eq!(sent(TlsError::DecryptError), "TLS: cannot decrypt peer's message");
    }
}
