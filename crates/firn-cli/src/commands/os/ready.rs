//! When a started system counts as up: systemd has started what it was to start, the machine has its
//! address, and something listens on the ports that are forwarded. So the first request is answered.

use std::time::{Duration, Instant};

/// How long a system may take to boot; a machine without KVM on a busy host is slow.
pub const BOOT_PATIENCE: Duration = Duration::from_secs(300);

/// How often to look, every tenth of a second, at a forwarded port: a service without readiness of its own counts as started
/// before it listens, and a port that nothing serves must not keep the user.
const PORT_TRIES: u32 = 150;

/// Runs a program in the system; gives its exit code and what it wrote.
pub type Run<'a> = dyn FnMut(&[&str]) -> Result<(i32, String), String> + 'a;

/// Waits until the system is up; gives those of `ports` that nothing listens on. `dhcp` tells whether its
/// address comes by DHCP, and not before it starts.
pub fn wait(run: &mut Run<'_>, dhcp: bool, ports: &[u16]) -> Result<Vec<u16>, String> {
    let end = Instant::now() + BOOT_PATIENCE;
    loop {
        let said = run(&["/run/current-system/sw/bin/systemctl", "is-system-running", "--wait"]);
        // whether or not all units are well
        if said.is_ok_and(|(_, text)| matches!(text.trim(), "running" | "degraded")) {
            break;
        }
        if Instant::now() > end {
            return Err("the system did not come up".into());
        }
        std::thread::sleep(Duration::from_millis(30));
    }
    if dhcp
        && run(&["/run/current-system/sw/bin/systemctl", "is-active", "systemd-networkd"])?.0 == 0
    {
        run(&[
            "/run/current-system/systemd/lib/systemd/systemd-networkd-wait-online",
            "--any",
            "--ipv4",
            "--operational-state=routable",
            "--timeout=60",
        ])?;
    }
    let mut missing = Vec::new();
    for port in ports {
        let (code, _) = run(&["/bin/sh", "-c", &listens(*port)])?;
        if code != 0 {
            missing.push(*port);
        }
    }
    Ok(missing)
}

/// A shell script that waits until something listens on the TCP port `port`. It reads the kernel's tables
/// (`proc_net_tcp`), as a connection would be seen by the service.
fn listens(port: u16) -> String {
    format!(
        "tries=0
while [ $tries -lt {PORT_TRIES} ]; do
  for table in /proc/net/tcp /proc/net/tcp6; do
    while read -r _ local _ state _; do
      case $local,$state in *:{port:04X},0A) exit 0 ;; esac
    done < $table
  done
  sleep 0.1
  tries=$((tries + 1))
done
exit 1"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_system_is_up_when_its_ports_are_served() {
        let asked = |dhcp| {
            let mut asked = Vec::new();
            let mut states = vec!["running", "starting"];
            let mut run = |argv: &[&str]| {
                asked.push(argv[0].rsplit('/').next().unwrap_or_default().to_owned());
                Ok(match argv[1] {
                    "is-system-running" => (0, states.pop().unwrap_or_default().to_owned()),
                    "-c" => (i32::from(argv[2].contains(":01BB")), String::new()),
                    _ => (0, String::new()),
                })
            };
            assert_eq!(wait(&mut run, dhcp, &[80, 443]).unwrap(), [443]);
            asked
        };
        let network = "systemd-networkd-wait-online";
        assert_eq!(asked(true), ["systemctl", "systemctl", "systemctl", network, "sh", "sh"]);
        assert_eq!(asked(false), ["systemctl", "systemctl", "sh", "sh"]);
    }

    #[test]
    fn the_script_sees_a_listener() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = listens(port);
        let started = Instant::now();
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
        assert!(started.elapsed() < Duration::from_secs(5));
        drop(listener);
        let script = script.replace(&PORT_TRIES.to_string(), "2");
        assert_eq!(Command::new("sh").args(["-c", &script]).status().unwrap().code(), Some(1));
    }
}
