//! DNS messages: one question is written, answers are read. Whoever is on the link can send anything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use super::Parameter;
use super::name::Name;

/// Largest message, in bytes.
pub(super) const LARGEST: usize = 9000;
/// Most questions and records in a message that is read. A service has six or so.
const MOST_ENTRIES: usize = 256;
const HEADER: usize = 12;

/// A message that is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) &'static str);

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Kind {
    /// An IPv4 address.
    A = 1,
    /// Key and value pairs.
    Txt = 16,
    /// An IPv6 address.
    Aaaa = 28,
    /// Host and port of a service.
    Srv = 33,
}

/// Internet, the only class there is.
const INTERNET: u16 = 1;
/// In a class: this is all there is. Nothing is kept here, so it makes no difference.
const FLUSH: u16 = 0x8000;

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Data {
    /// An address of a host.
    Address(IpAddr),
    /// The parameters of a service.
    Pairs(Vec<Parameter>),
    /// Where a service is.
    Place {
        /// The host.
        host: Name,
        /// The port.
        port: u16,
    },
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// What it is about.
    pub(super) name: Name,
    /// What it says.
    pub(super) data: Data,
}

/// A message that asks these questions.
pub(super) fn query(id: u16, questions: &[(&Name, Kind)]) -> Vec<u8> {
    let count = u16::try_from(questions.len()).unwrap_or_default();
    let mut message: Vec<u8> = [id, 0, count, 0, 0, 0].into_iter().flat_map(u16::to_be_bytes).collect();
    for (name, kind) in questions {
        message.extend_from_slice(name.wire());
        message.extend([*kind as u16, INTERNET].into_iter().flat_map(u16::to_be_bytes));
    }
    message
}

/// Reads the records of a response to the query with this number. None if the message is not one. Records of other
/// kinds, and those that say that something is gone, are left out.
pub(super) fn response(id: u16, message: &[u8]) -> Result<Option<Vec<Record>>, Malformed> {
    if message.len() > LARGEST {
        return Err(Malformed("it is larger than 9000 bytes"));
    }
    let header = message.get(..HEADER).ok_or(Malformed("it is shorter than any message"))?;
    let word = |index: usize| u16::from_be_bytes([header[2 * index], header[2 * index + 1]]);
    let flags = word(1);
    // A response, to a standard query, without error.
    if word(0) != id || flags & 0x8000 == 0 || flags & 0x780f != 0 {
        return Ok(None);
    }
    let questions = usize::from(word(2));
    let records = [3, 4, 5].map(|index| usize::from(word(index))).iter().sum::<usize>();
    if questions + records > MOST_ENTRIES {
        return Err(Malformed("it has more than 256 records"));
    }
    let mut at = HEADER;
    for _ in 0..questions {
        at = Name::read(message, at)?.1 + 4;
    }
    let mut found = Vec::new();
    for _ in 0..records {
        let (record, behind) = record(message, at)?;
        found.extend(record);
        at = behind;
    }
    Ok(Some(found))
}

fn record(message: &[u8], start: usize) -> Result<(Option<Record>, usize), Malformed> {
    let (name, at) = Name::read(message, start)?;
    let fixed: &[u8; 10] =
        message.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Malformed("a record is cut off"))?;
    let [kind_high, kind_low, class_high, class_low, ttl @ .., high, low] = *fixed;
    let (begin, length) = (at + fixed.len(), usize::from(u16::from_be_bytes([high, low])));
    let end = begin + length;
    let content = message.get(begin..end).ok_or(Malformed("a record is cut off"))?;
    let class = u16::from_be_bytes([class_high, class_low]) & !FLUSH;
    let kind = u16::from_be_bytes([kind_high, kind_low]);
    if class != INTERNET || ttl == [0; 4] {
        return Ok((None, end));
    }
    let data = if kind == Kind::A as u16 {
        let octets: [u8; 4] = content.try_into().map_err(|_| Malformed("an IPv4 address has not four bytes"))?;
        Data::Address(Ipv4Addr::from(octets).into())
    } else if kind == Kind::Aaaa as u16 {
        let octets: [u8; 16] = content.try_into().map_err(|_| Malformed("an IPv6 address has not 16 bytes"))?;
        Data::Address(IpAddr::from(Ipv6Addr::from(octets)).to_canonical())
    } else if kind == Kind::Txt as u16 {
        Data::Pairs(pairs(content)?)
    } else if kind == Kind::Srv as u16 {
        let [_, _, _, _, high, low] =
            content.first_chunk::<6>().ok_or(Malformed("the place of a service is cut off"))?;
        let (host, behind) = Name::read(message, begin + 6)?;
        if behind != end {
            return Err(Malformed("the place of a service has another length than its record"));
        }
        Data::Place { host, port: u16::from_be_bytes([*high, *low]) }
    } else {
        return Ok((None, end));
    };
    Ok((Some(Record { name, data }), end))
}

/// Strings, each after its length. Of equal keys the first one counts, and a string without a key says nothing.
fn pairs(mut content: &[u8]) -> Result<Vec<Parameter>, Malformed> {
    let mut pairs: Vec<Parameter> = Vec::new();
    while let Some((&length, rest)) = content.split_first() {
        let (string, rest) = rest.split_at_checked(usize::from(length)).ok_or(Malformed("a text leaves its record"))?;
        content = rest;
        let mut parts = string.splitn(2, |byte| *byte == b'=');
        let key = parts.next().unwrap_or_default();
        if !key.is_empty() && pairs.iter().all(|known| known.key != key) {
            pairs.push(Parameter { key: key.to_vec(), value: parts.next().map(<[u8]>::to_vec) });
        }
    }
    Ok(pairs)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The parts of a record's content.
    pub(crate) fn record_of(name: &Name, kind: u16, ttl: u32, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).expect("short");
        let mut record = name.wire().to_vec();
        record.extend([kind, INTERNET | FLUSH].into_iter().flat_map(u16::to_be_bytes));
        record.extend(ttl.to_be_bytes());
        record.extend(length.to_be_bytes());
        record.extend(content);
        record
    }

    pub(crate) fn place_of(host: &Name, port: u16) -> Vec<u8> {
        [&[0, 0, 0, 0][..], &port.to_be_bytes(), host.wire()].concat()
    }

    pub(crate) fn text_of(strings: &[&[u8]]) -> Vec<u8> {
        strings.iter().flat_map(|text| [&[u8::try_from(text.len()).expect("short")][..], text].concat()).collect()
    }

    pub(crate) fn message_of(id: u16, records: &[Vec<u8>]) -> Vec<u8> {
        let count = u16::try_from(records.len()).expect("few");
        let header = [id, 0x8400, 0, count, 0, 0].into_iter().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
        [header, records.concat()].concat()
    }

    /// A service as a real responder announces it, with the question and compressed names.
    fn whole() -> Vec<u8> {
        let mut message = query(7, &[(&Name::of("x._openstack._tcp.local."), Kind::Srv)]);
        message[2..8].copy_from_slice(&[0x84, 0, 0, 1, 0, 2]);
        message[11] = 1;
        let srv = [&[0, 0, 0, 0, 0x18, 0xf1][..], b"\x06ironic\xc0\x1e"].concat();
        let pointer = |kind: u16, content: &[u8]| {
            let length = u16::try_from(content.len()).expect("short").to_be_bytes();
            [&b"\xc0\x0c"[..], &kind.to_be_bytes(), &[0x80, 1, 0, 0, 0, 10], &length, content].concat()
        };
        message.extend(pointer(33, &srv));
        message.extend(pointer(16, &text_of(&[b"protocol=http", b"path=/baremetal", b"ipa_debug=1=2"])));
        message.extend(pointer(1, &[10, 0, 0, 5]));
        message
    }

    #[test]
    fn a_question_is_written_as_the_standard_has_it() {
        let asked = query(0x1234, &[(&Name::of("a.local"), Kind::Srv), (&Name::of("a.local"), Kind::Txt)]);
        let question = |kind: u8| [&b"\x01a\x05local\0\0"[..], &[kind, 0, 1]].concat();
        assert_eq!(asked, [b"\x12\x34\0\0\0\x02\0\0\0\0\0\0".to_vec(), question(33), question(16)].concat());
    }

    #[test]
    fn a_response_is_read() {
        let records = response(7, &whole()).expect("well formed").expect("a response");
        let [place, pairs, address] = records.as_slice() else { panic!("{records:?}") };
        assert_eq!(place.name, Name::of("x._openstack._tcp.local."));
        assert_eq!(place.data, Data::Place { host: Name::of("ironic.local."), port: 6385 });
        let Data::Pairs(pairs) = &pairs.data else { panic!("{pairs:?}") };
        assert_eq!(pairs[2], Parameter { key: b"ipa_debug".to_vec(), value: Some(b"1=2".to_vec()) });
        assert_eq!(address.data, Data::Address([10, 0, 0, 5].into()));
    }

    #[test]
    fn what_is_no_response_or_says_goodbye_is_left_out() {
        let message = whole();
        assert_eq!(response(8, &message), Ok(None), "to somebody else");
        for (byte, value) in [(2, 0x04), (2, 0x8c), (3, 0x03)] {
            let mut other = message.clone();
            other[byte] = value;
            assert_eq!(response(7, &other), Ok(None), "{byte}");
        }
        let gone = message_of(7, &[record_of(&Name::of("a.local"), 1, 0, &[10, 0, 0, 1])]);
        assert_eq!(response(7, &gone), Ok(Some(Vec::new())));
        let unknown = message_of(7, &[record_of(&Name::of("a.local"), 47, 9, &[1, 2, 3])]);
        assert_eq!(response(7, &unknown), Ok(Some(Vec::new())));
    }

    #[test]
    fn of_equal_keys_the_first_counts_and_a_key_may_have_no_value() {
        let read = |strings: &[&[u8]]| pairs(&text_of(strings)).expect("well formed");
        let pair = |key: &str, value: Option<&str>| Parameter {
            key: key.as_bytes().to_vec(),
            value: value.map(|value| value.as_bytes().to_vec()),
        };
        assert_eq!(
            read(&[b"a=1", b"", b"=x", b"a=2", b"b", b"c="]),
            [pair("a", Some("1")), pair("b", None), pair("c", Some("")),]
        );
        assert_eq!(pairs(b"\x05a"), Err(Malformed("a text leaves its record")));
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let name = Name::of("a.local");
        for (kind, content) in [(1, &[1, 2, 3][..]), (28, &[0; 15]), (33, &[0; 5]), (33, b"\0\0\0\0\0\0\0\0")] {
            let message = message_of(7, &[record_of(&name, kind, 9, content)]);
            assert!(response(7, &message).is_err(), "{kind} {content:?}");
        }
        assert!(response(7, &[0; 9001]).is_err() && response(7, &[0; 11]).is_err());
        let mut many = whole();
        many[6..8].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(response(7, &many), Err(Malformed("it has more than 256 records")));
    }

    /// Every message that is cut off, or has one byte changed to anything, is read to its end or refused.
    #[test]
    fn no_message_breaks_the_reader() {
        let message = whole();
        for end in 0..message.len() {
            assert!(response(7, &message[..end]).is_err(), "cut at {end}");
        }
        for at in 0..message.len() {
            for value in 0..=u8::MAX {
                let mut changed = message.clone();
                changed[at] = value;
                let _ = response(7, &changed);
            }
        }
    }

    /// Bytes from a generator with a fixed start, behind an honest header and without one.
    #[test]
    fn no_noise_breaks_the_reader() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut noise = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        for round in 0..20_000_usize {
            let mut bytes: Vec<u8> = (0..round % 40).flat_map(|_| noise()).collect();
            let _ = response(7, &bytes);
            bytes.splice(0..0, [0, 7, 0x84, 0, 0, 1, 0, 9, 0, 0, 0, 0]);
            if let Ok(Some(records)) = response(7, &bytes) {
                assert!(records.len() <= 9);
            }
        }
    }
}
