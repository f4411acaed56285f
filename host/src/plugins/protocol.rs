//! The frames that host and worker exchange over their socket.
//!
//! Both ends are the same program, so the format has no version. A frame is a head of 28 bytes, a name and a body;
//! all sizes are bounded, and no size that the other side claims is allocated before its bytes arrive.

use std::io::{self, Read, Write};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Largest body, in bytes.
pub(crate) const BODY_LIMIT: usize = 64 * 1024 * 1024;
/// Largest name, in bytes.
pub(crate) const NAME_LIMIT: usize = 8 * 1024;
const HEAD: usize = 28;
/// Bodies up to this size are written together with their head.
const SMALL: usize = 16 * 1024;

/// Code of a reply that a worker gives in place of one that it cannot pass on. The seam will never define it.
pub(crate) const UNUSABLE: u32 = u32::MAX;

/// What a frame is for. Those above the line go to the worker, those below come from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Load the plugin and make its manager; the body is the setup as JSON.
    Load = 1,
    /// Rank the manager.
    Evaluate,
    /// Call a method (name) with arguments (body); the code is how deep the call is nested.
    Call,
    /// The call should end early.
    Cancel,
    /// Answer to a host call: code and body, matched by ticket.
    HostReply,
    /// End the manager, once its calls have ended.
    Unload,
    // ----
    /// Answer to `Load` and `Unload`: code and body.
    Loaded,
    /// Answer to `Evaluate` and `Call`: code and body.
    Reply,
    /// A log record: level (code), message (name), pairs (body).
    Log,
    /// Progress: percent (code), message (name).
    Progress,
    /// A host call: method (name), arguments (body), ticket.
    HostCall,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        use Kind::{Call, Cancel, Evaluate, HostCall, HostReply, Load, Loaded, Log, Progress, Reply, Unload};
        [Load, Evaluate, Call, Cancel, HostReply, Unload, Loaded, Reply, Log, Progress, HostCall]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) code: u32,
    /// The call it belongs to, 0 if to none.
    pub(crate) call: u64,
    /// Matches the answer of a host call to its question.
    pub(crate) ticket: u64,
    pub(crate) name: String,
    pub(crate) body: Vec<u8>,
}

impl Frame {
    /// A frame without name, body and ticket.
    pub(crate) fn new(kind: Kind, call: u64) -> Self {
        Self { kind, code: 0, call, ticket: 0, name: String::new(), body: Vec::new() }
    }

    /// The head and name, followed by the body if it is small; true if the body is in it.
    fn encode(&self) -> io::Result<(Vec<u8>, bool)> {
        let too_large = |what: &str, len: usize, limit: usize| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("{what} of {len} bytes, more than {limit}"))
        };
        let body_len = u32::try_from(self.body.len()).ok().filter(|_| self.body.len() <= BODY_LIMIT);
        let body_len = body_len.ok_or_else(|| too_large("a body", self.body.len(), BODY_LIMIT))?;
        let name_len = u16::try_from(self.name.len()).ok().filter(|_| self.name.len() <= NAME_LIMIT);
        let name_len = name_len.ok_or_else(|| too_large("a name", self.name.len(), NAME_LIMIT))?;
        let with_body = self.body.len() <= SMALL;
        let mut bytes = Vec::with_capacity(HEAD + self.name.len() + if with_body { self.body.len() } else { 0 });
        bytes.extend(body_len.to_ne_bytes());
        bytes.extend(name_len.to_ne_bytes());
        bytes.extend([self.kind as u8, 0]);
        bytes.extend(self.code.to_ne_bytes());
        bytes.extend(self.call.to_ne_bytes());
        bytes.extend(self.ticket.to_ne_bytes());
        bytes.extend(self.name.as_bytes());
        if with_body {
            bytes.extend(&self.body);
        }
        Ok((bytes, with_body))
    }
}

/// A head that was read.
struct Head {
    frame: Frame,
    name_len: usize,
    body_len: usize,
}

fn decode(head: [u8; HEAD]) -> io::Result<Head> {
    fn part<const N: usize>(head: &[u8; HEAD], at: usize) -> [u8; N] {
        std::array::from_fn(|index| head[at + index])
    }
    let body_len = u32::from_ne_bytes(part(&head, 0)) as usize;
    let name_len = usize::from(u16::from_ne_bytes(part(&head, 4)));
    let kind = Kind::from_byte(head[6]).ok_or_else(|| broken(format!("no message has the kind {}", head[6])))?;
    if body_len > BODY_LIMIT || name_len > NAME_LIMIT {
        return Err(broken(format!("a message of {body_len} bytes with a name of {name_len}")));
    }
    let frame = Frame {
        kind,
        code: u32::from_ne_bytes(part(&head, 8)),
        call: u64::from_ne_bytes(part(&head, 12)),
        ticket: u64::from_ne_bytes(part(&head, 20)),
        name: String::new(),
        body: Vec::new(),
    };
    Ok(Head { frame, name_len, body_len })
}

impl Head {
    fn complete(mut self, mut rest: Vec<u8>) -> io::Result<Frame> {
        if rest.len() < self.name_len + self.body_len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.frame.body = rest.split_off(self.name_len);
        self.frame.name = String::from_utf8(rest).map_err(|_| broken("a name is not UTF-8".to_owned()))?;
        Ok(self.frame)
    }

    fn rest_len(&self) -> u64 {
        (self.name_len + self.body_len) as u64
    }
}

fn broken(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Writes a frame, blocking.
pub(crate) fn write(to: &mut impl Write, frame: &Frame) -> io::Result<()> {
    let (bytes, with_body) = frame.encode()?;
    to.write_all(&bytes)?;
    if with_body { Ok(()) } else { to.write_all(&frame.body) }
}

/// Reads a frame, blocking; none at the end of the stream.
pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Frame>> {
    let mut head = [0; HEAD];
    let mut filled = 0;
    while filled < HEAD {
        match from.read(&mut head[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let head = decode(head)?;
    let mut rest = Vec::new();
    from.take(head.rest_len()).read_to_end(&mut rest)?;
    head.complete(rest).map(Some)
}

/// Writes a frame.
pub(crate) async fn write_async(to: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> io::Result<()> {
    let (bytes, with_body) = frame.encode()?;
    to.write_all(&bytes).await?;
    if with_body { Ok(()) } else { to.write_all(&frame.body).await }
}

/// Reads a frame; none at the end of the stream.
pub(crate) async fn read_async(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let mut head = [0; HEAD];
    let mut filled = 0;
    while filled < HEAD {
        match from.read(&mut head[filled..]).await? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    let head = decode(head)?;
    let mut rest = Vec::new();
    from.take(head.rest_len()).read_to_end(&mut rest).await?;
    head.complete(rest).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(body: usize) -> Frame {
        Frame {
            kind: Kind::HostCall,
            code: 7,
            call: u64::MAX - 1,
            ticket: 3,
            name: "command_start".into(),
            body: vec![b'x'; body],
        }
    }

    #[test]
    fn frames_survive_the_blocking_way() {
        for size in [0, 10, SMALL + 1] {
            let mut bytes = Vec::new();
            write(&mut bytes, &sample(size)).expect("write");
            write(&mut bytes, &Frame::new(Kind::Cancel, 1)).expect("write");
            let mut from = bytes.as_slice();
            assert_eq!(read(&mut from).expect("read"), Some(sample(size)));
            assert_eq!(read(&mut from).expect("read"), Some(Frame::new(Kind::Cancel, 1)));
            assert_eq!(read(&mut from).expect("end"), None);
        }
    }

    #[tokio::test]
    async fn frames_survive_the_asynchronous_way() {
        let (mut near, mut far) = tokio::io::duplex(100);
        let frame = sample(SMALL * 3);
        let written = tokio::spawn(async move { write_async(&mut near, &sample(SMALL * 3)).await });
        assert_eq!(read_async(&mut far).await.expect("read"), Some(frame));
        written.await.expect("task").expect("write");
        assert_eq!(read_async(&mut far).await.expect("end"), None);
    }

    #[test]
    fn a_broken_stream_is_an_error_and_allocates_nothing() {
        let mut bytes = Vec::new();
        write(&mut bytes, &sample(10)).expect("write");
        for cut in 1..bytes.len() {
            assert!(read(&mut &bytes[..cut]).is_err(), "cut at {cut}");
        }
        let mut claims = bytes.clone();
        claims[..4].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(read(&mut claims.as_slice()).expect_err("too large").kind(), io::ErrorKind::InvalidData);
        bytes[6] = 99;
        assert!(read(&mut bytes.as_slice()).expect_err("kind").to_string().contains("kind 99"));
    }

    #[test]
    fn what_is_too_large_is_not_sent() {
        let error = write(&mut Vec::new(), &sample(BODY_LIMIT + 1)).expect_err("too large");
        assert!(error.to_string().contains("67108865 bytes"), "{error}");
    }
}
