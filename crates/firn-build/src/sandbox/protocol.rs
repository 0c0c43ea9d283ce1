//! The messages between the launching side, the guard and the builder's process: one byte of kind,
//! four of length (little-endian), then the contents.

use std::io::{self, Read, Write};

/// The kinds of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// To the guard: the specification, as JSON.
    Spec = b'J' as isize,
    /// To the guard: find out what the kernel grants.
    Probe = b'P' as isize,
    /// From the guard: what the kernel grants, two bytes.
    Support = b'N' as isize,
    /// From the builder's process: everything is set up, the builder begins.
    Started = b'S' as isize,
    /// From the guard or the builder's process: setting up failed, with the reason.
    Failed = b'E' as isize,
    /// To the guard, on a socket of its own: make an input appear, as JSON.
    Mount = b'M' as isize,
    /// From the guard, there: it is there.
    Mounted = b'D' as isize,
    /// From the guard: the builder's wait status, four bytes; then the microseconds of processor time of its cgroup,
    /// eight bytes in its own code and eight in the kernel, if it had one. The last message.
    Exited = b'X' as isize,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::Spec,
            Self::Probe,
            Self::Support,
            Self::Started,
            Self::Failed,
            Self::Mount,
            Self::Mounted,
            Self::Exited,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// The longest message: environments may be long, but not endless.
const LIMIT: u32 = 256 << 20;

pub(super) fn send(to: &mut impl Write, kind: Kind, contents: &[u8]) -> io::Result<()> {
    let length = u32::try_from(contents.len())
        .ok()
        .filter(|length| *length <= LIMIT)
        .ok_or_else(|| io::Error::other("the message to the sandbox is too long"))?;
    let mut message = Vec::with_capacity(5 + contents.len());
    message.push(kind as u8);
    message.extend_from_slice(&length.to_le_bytes());
    message.extend_from_slice(contents);
    to.write_all(&message)
}

/// The next message; `None` at the end.
pub(super) fn receive(from: &mut impl Read) -> io::Result<Option<(Kind, Vec<u8>)>> {
    let mut head = [0; 5];
    match from.read_exact(&mut head[..1]) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(e),
    }
    from.read_exact(&mut head[1..])?;
    let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
    let kind = Kind::from_byte(head[0]).filter(|_| length <= LIMIT);
    let Some(kind) = kind else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a message of the sandbox"));
    };
    let mut contents = vec![0; length as usize];
    from.read_exact(&mut contents)?;
    Ok(Some((kind, contents)))
}
