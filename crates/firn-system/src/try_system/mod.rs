//! Trying a system without installing it: in a container (as root) or in a virtual machine.
//!
//! [`container`] and [`vm`] start one; [`forward`] carries connections from the host's ports into a
//! container; [`agent`] is how commands are run inside a machine; [`kept`] is what a trial with a state
//! folder finds again. What runs after a `fork` is in
//! [`stage1`], which is entered by running this program anew (`firn __container-init`), since a
//! process with threads must not run more than an `exec` after forking.

pub mod agent;
pub mod container;
pub mod forward;
pub mod kept;
mod kvm;
mod netlink;
pub mod stage1;
pub mod vm;

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use kvm::{probe as probe_kvm, probe_child as probe_kvm_child};

use crate::{Error, Result};

/// A TCP port of the host that leads to one of the guest: `[ADDRESS:]HOST:GUEST`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortForward {
    /// Where the host listens; 127.0.0.1 unless told otherwise.
    pub address: Ipv4Addr,
    /// The host's port; 0 takes a free one.
    pub host: u16,
    /// The guest's port.
    pub guest: u16,
}

impl FromStr for PortForward {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let fail = || {
            Error::Other(format!(
                "'{text}' is no port to forward: expected HOST:GUEST or ADDRESS:HOST:GUEST, like 8080:80"
            ))
        };
        let parts: Vec<&str> = text.split(':').collect();
        let (address, host, guest) = match parts[..] {
            [host, guest] => ("127.0.0.1", host, guest),
            [address, host, guest] => (address, host, guest),
            _ => return Err(fail()),
        };
        Ok(Self {
            address: address.parse().map_err(|_| fail())?,
            host: host.parse().map_err(|_| fail())?,
            guest: guest.parse().ok().filter(|g| *g != 0).ok_or_else(fail)?,
        })
    }
}

impl fmt::Display for PortForward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.address, self.host, self.guest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        let p: PortForward = "8080:80".parse().unwrap();
        assert_eq!(p.to_string(), "127.0.0.1:8080:80");
        assert_eq!("0.0.0.0:1:2".parse::<PortForward>().unwrap().host, 1);
        for bad in ["", "80", "a:b", "1:0", "1:2:3:4", "70000:1"] {
            assert!(bad.parse::<PortForward>().is_err(), "{bad}");
        }
    }
}
