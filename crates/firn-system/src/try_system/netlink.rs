//! The few rtnetlink(7) requests that a container's network needs: a veth pair, addresses, links up, a
//! default route.

use std::ffi::CString;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

const IFLA_IFNAME: u16 = 3;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;

/// A message being built.
struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, flags: u16) -> Self {
        let mut m = Vec::with_capacity(256);
        m.extend_from_slice(&0u32.to_ne_bytes());
        m.extend_from_slice(&kind.to_ne_bytes());
        let flags = flags | libc::NLM_F_REQUEST as u16 | libc::NLM_F_ACK as u16;
        m.extend_from_slice(&flags.to_ne_bytes());
        m.extend_from_slice(&1u32.to_ne_bytes());
        m.extend_from_slice(&0u32.to_ne_bytes());
        Self(m)
    }

    /// `struct ifinfomsg`
    fn link(&mut self, index: u32, flags: u32, change: u32) {
        self.0.extend_from_slice(&[0, 0, 0, 0]);
        self.0.extend_from_slice(&index.to_ne_bytes());
        self.0.extend_from_slice(&flags.to_ne_bytes());
        self.0.extend_from_slice(&change.to_ne_bytes());
    }

    fn attribute(&mut self, kind: u16, data: &[u8]) {
        self.0.extend_from_slice(&((data.len() + 4) as u16).to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0, 0]);
        self.0.extend_from_slice(&kind.to_ne_bytes());
        fill(self);
        let len = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&len.to_ne_bytes());
    }
}

/// A route socket in the network namespace of the thread that opened it.
pub(super) struct Route(OwnedFd);

impl Route {
    pub(super) fn open() -> io::Result<Self> {
        // SAFETY: a plain system call; the descriptor it gives is owned by nobody else.
        let fd = unsafe {
            let fd = libc::socket(
                libc::AF_NETLINK,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC,
                libc::NETLINK_ROUTE,
            );
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Self(fd))
    }

    fn request(&self, mut message: Message) -> io::Result<()> {
        let len = message.0.len() as u32;
        message.0[..4].copy_from_slice(&len.to_ne_bytes());
        // SAFETY: the pointer and length are those of a live buffer.
        let sent = unsafe {
            libc::send(self.0.as_raw_fd(), message.0.as_ptr().cast(), message.0.len(), 0)
        };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut answer = [0u8; 4096];
        // SAFETY: the pointer and length are those of a live buffer.
        let got =
            unsafe { libc::recv(self.0.as_raw_fd(), answer.as_mut_ptr().cast(), answer.len(), 0) };
        if got < 0 {
            return Err(io::Error::last_os_error());
        }
        // struct nlmsghdr (16 bytes), then the error number of an acknowledgement
        let number = answer.get(16..20).filter(|_| got >= 20);
        let code = number.map_or(0, |b| i32::from_ne_bytes([b[0], b[1], b[2], b[3]]));
        if code < 0 { Err(io::Error::from_raw_os_error(-code)) } else { Ok(()) }
    }

    /// Makes a pair of interfaces, `name` here and `peer` in the namespace `netns`.
    pub(super) fn add_veth(&self, name: &str, peer: &str, netns: RawFd) -> io::Result<()> {
        let flags = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
        let mut m = Message::new(libc::RTM_NEWLINK, flags);
        m.link(0, 0, 0);
        let zero_ended = |s: &str| {
            let mut b = s.as_bytes().to_vec();
            b.push(0);
            b
        };
        m.attribute(IFLA_IFNAME, &zero_ended(name));
        m.nested(IFLA_LINKINFO, |m| {
            m.attribute(IFLA_INFO_KIND, b"veth");
            m.nested(IFLA_INFO_DATA, |m| {
                m.nested(VETH_INFO_PEER, |m| {
                    m.link(0, 0, 0);
                    m.attribute(IFLA_IFNAME, &zero_ended(peer));
                    m.attribute(IFLA_NET_NS_FD, &(netns as u32).to_ne_bytes());
                });
            });
        });
        self.request(m)
    }

    /// Sets an interface up.
    pub(super) fn up(&self, index: u32) -> io::Result<()> {
        let mut m = Message::new(libc::RTM_NEWLINK, 0);
        m.link(index, libc::IFF_UP as u32, libc::IFF_UP as u32);
        self.request(m)
    }

    /// Removes an interface.
    pub(super) fn remove(&self, index: u32) -> io::Result<()> {
        let mut m = Message::new(libc::RTM_DELLINK, 0);
        m.link(index, 0, 0);
        self.request(m)
    }

    /// Gives an interface an address.
    pub(super) fn address(&self, index: u32, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
        let flags = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;
        let mut m = Message::new(libc::RTM_NEWADDR, flags);
        m.0.extend_from_slice(&[libc::AF_INET as u8, prefix, 0, 0]);
        m.0.extend_from_slice(&index.to_ne_bytes());
        m.attribute(IFA_LOCAL, &address.octets());
        m.attribute(IFA_ADDRESS, &address.octets());
        self.request(m)
    }

    /// Sets the default route.
    pub(super) fn default_route(&self, index: u32, gateway: Ipv4Addr) -> io::Result<()> {
        let flags = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;
        let mut m = Message::new(libc::RTM_NEWROUTE, flags);
        // struct rtmsg: family, lengths, tos, table main, protocol static, scope universe, unicast
        m.0.extend_from_slice(&[libc::AF_INET as u8, 0, 0, 0, 254, 4, 0, 1]);
        m.0.extend_from_slice(&0u32.to_ne_bytes());
        m.attribute(RTA_GATEWAY, &gateway.octets());
        m.attribute(RTA_OIF, &index.to_ne_bytes());
        self.request(m)
    }
}

/// The index of the interface `name` in the caller's namespace.
pub(super) fn index_of(name: &str) -> io::Result<u32> {
    let name = CString::new(name)?;
    // SAFETY: the pointer is to a string that ends in NUL and lives through the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}
