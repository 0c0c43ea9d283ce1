//! Carrying TCP connections from the host's ports to a guest's address.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::PortForward;
use crate::{Error, Result};

/// A listener that carries connections as long as the process lives.
#[derive(Debug)]
pub struct Forwarding {
    /// Where it listens; the port is the real one even if 0 was asked for.
    pub local: SocketAddr,
    /// The guest's port.
    pub guest: u16,
}

/// Listens on the host's port of `port` and carries every connection to `guest`.
///
/// # Errors
/// If the port is taken or needs privileges.
pub fn start(port: &PortForward, guest: Ipv4Addr) -> Result<Forwarding> {
    let listener = TcpListener::bind((port.address, port.host)).map_err(|e| {
        Error::Other(format!(
            "cannot listen on {}:{}: {e}; choose another port with -p HOST:{}",
            port.address, port.host, port.guest
        ))
    })?;
    let local = listener
        .local_addr()
        .map_err(|e| Error::Other(format!("cannot tell the address of a listener: {e}")))?;
    let target = SocketAddr::from((guest, port.guest));
    thread::spawn(move || {
        for stream in listener.incoming() {
            match stream {
                Ok(stream) => drop(thread::spawn(move || carry(stream, target))),
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
        }
    });
    Ok(Forwarding { local, guest: port.guest })
}

fn carry(client: TcpStream, target: SocketAddr) {
    // a client sees a refused or filtered port as a closed connection
    let Ok(server) = TcpStream::connect_timeout(&target, Duration::from_secs(5)) else { return };
    let (Ok(mut client_in), Ok(mut server_in)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    let (mut client, mut server) = (client, server);
    let up = thread::spawn(move || {
        let _ = io::copy(&mut client_in, &mut server);
        let _ = server.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut server_in, &mut client);
    let _ = client.shutdown(Shutdown::Write);
    let _ = up.join();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    #[test]
    fn what_goes_in_comes_out() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let guest = server.local_addr().unwrap().port();
        let port = PortForward { address: Ipv4Addr::LOCALHOST, host: 0, guest };
        let forwarding = start(&port, Ipv4Addr::LOCALHOST).unwrap();
        let echo = thread::spawn(move || {
            let (mut s, _) = server.accept().unwrap();
            let mut text = String::new();
            s.read_to_string(&mut text).unwrap();
            s.write_all(text.to_uppercase().as_bytes()).unwrap();
        });
        let mut client = TcpStream::connect(forwarding.local).unwrap();
        client.write_all(b"hello").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "HELLO");
        echo.join().unwrap();
        let taken = PortForward { host: forwarding.local.port(), ..port };
        assert!(
            start(&taken, Ipv4Addr::LOCALHOST).unwrap_err().to_string().contains("choose another")
        );
    }
}
