//! Whether `/dev/kvm` works. On some machines it opens and then hangs, so the test runs in a child
//! (`firn __kvm-probe`) that is given a moment and then killed.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const KVM_GET_API_VERSION: u64 = 0xae00;
const KVM_CREATE_VM: u64 = 0xae01;
const KVM_GET_VCPU_MMAP_SIZE: u64 = 0xae04;
const KVM_CREATE_VCPU: u64 = 0xae41;
const KVM_RUN: u64 = 0xae80;

/// Whether a virtual machine can use KVM; takes at most two seconds.
#[must_use]
pub fn probe(firn: &Path) -> bool {
    if File::options().read(true).write(true).open("/dev/kvm").is_err() {
        return false;
    }
    let child = Command::new(firn)
        .arg("__kvm-probe")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return false };
    let end = Instant::now() + Duration::from_secs(2);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(20)),
            _ => {
                // a process stuck in the kernel may not even die; it is not waited for
                let _ = child.kill();
                return false;
            }
        }
    }
}

/// The child's part: makes a machine with one processor and lets it run into its first exit.
///
/// # Errors
/// If KVM refuses a step.
pub fn probe_child() -> io::Result<()> {
    fn call(fd: i32, request: u64, argument: u64) -> io::Result<i32> {
        // SAFETY: these requests take an integer and touch no memory of ours.
        let result = unsafe { libc::ioctl(fd, request as _, argument) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
    }
    let kvm = File::options().read(true).write(true).open("/dev/kvm")?;
    if call(kvm.as_raw_fd(), KVM_GET_API_VERSION, 0)? != 12 {
        return Err(io::Error::other("unexpected version of the KVM interface"));
    }
    call(kvm.as_raw_fd(), KVM_GET_VCPU_MMAP_SIZE, 0)?;
    let vm = call(kvm.as_raw_fd(), KVM_CREATE_VM, 0)?;
    // SAFETY: the kernel has just given this descriptor to us alone.
    let vm = unsafe { OwnedFd::from_raw_fd(vm) };
    let vcpu = call(vm.as_raw_fd(), KVM_CREATE_VCPU, 0)?;
    // SAFETY: as above.
    let vcpu = unsafe { OwnedFd::from_raw_fd(vcpu) };
    // without memory the processor leaves at its first instruction; what matters is that it leaves
    call(vcpu.as_raw_fd(), KVM_RUN, 0)?;
    Ok(())
}
