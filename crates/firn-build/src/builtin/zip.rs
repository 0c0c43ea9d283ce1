//! Unpacking ZIP archives. Defined in PKWARE's APPNOTE; what sources come in is read: members that are stored
//! or deflated, with Unix modes and links; no encryption, no archives in several parts, none above 4 GiB.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use super::Error;

/// A member, as the directory at the end of the archive has it.
struct Member {
    name: PathBuf,
    /// The mode of Unix, 0 if the archive was made elsewhere.
    mode: u32,
    method: u16,
    packed: u32,
    size: u32,
    crc: u32,
    /// Where its own header is.
    at: u32,
    modified: u64,
}

fn u16_at(data: &[u8], at: usize) -> Result<u16, Error> {
    let bytes = data.get(at..at + 2).ok_or("the archive is cut off")?;
    Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
}

fn u32_at(data: &[u8], at: usize) -> Result<u32, Error> {
    let bytes = data.get(at..at + 4).ok_or("the archive is cut off")?;
    Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// Unpacks an archive beneath `out`. Gives the time of the newest member, in seconds since 1970.
///
/// # Errors
/// When it cannot be read, or a member leads out of `out`.
pub(super) fn unpack(source: &Path, out: &Path) -> Result<u64, Error> {
    let data = fs::read(source)?;
    let mut newest = 0;
    // Links come last, so that nothing is written through them.
    let mut links = Vec::new();
    for member in members(&data)? {
        newest = newest.max(member.modified);
        let target = out.join(&member.name);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        match member.mode & 0o170_000 {
            0o040_000 => fs::create_dir_all(&target)?,
            0o120_000 => {
                let mut text = Vec::new();
                contents(&data, &member, &mut text)?;
                links.push((text, target));
            }
            _ => {
                let mode = if member.mode & 0o111 == 0 { 0o644 } else { 0o755 };
                let mut file =
                    File::options().write(true).create_new(true).mode(mode).open(&target)?;
                contents(&data, &member, &mut file)?;
            }
        }
    }
    for (text, target) in links {
        use std::os::unix::ffi::OsStrExt as _;
        symlink(std::ffi::OsStr::from_bytes(&text), target)?;
    }
    Ok(newest)
}

/// The members that the directory lists.
fn members(data: &[u8]) -> Result<Vec<Member>, Error> {
    /// The record at the end is this long, and a comment of up to 64 KiB follows.
    const END: usize = 22;
    let last = data.len().checked_sub(END).ok_or("the archive is cut off")?;
    let end = (last.saturating_sub(0xffff)..=last)
        .rev()
        .find(|at| data[*at..].starts_with(b"PK\x05\x06"))
        .ok_or("the archive has no directory")?;
    let count = u16_at(data, end + 10)?;
    let mut at = u32_at(data, end + 16)? as usize;
    let mut found = Vec::new();
    for _ in 0..count {
        if u32_at(data, at)? != 0x0201_4b50 {
            return Err("the archive's directory is damaged".into());
        }
        let (name_len, extra_len) =
            (u16_at(data, at + 28)? as usize, u16_at(data, at + 30)? as usize);
        let comment_len = u16_at(data, at + 32)? as usize;
        let name = data.get(at + 46..at + 46 + name_len).ok_or("the archive is cut off")?;
        let is_dir = name.ends_with(b"/");
        let by_unix = u16_at(data, at + 4)? >> 8 == 3;
        let mut mode = if by_unix { u32_at(data, at + 38)? >> 16 } else { 0 };
        if is_dir && mode & 0o170_000 == 0 {
            mode |= 0o040_000;
        }
        if u16_at(data, at + 8)? & 1 != 0 {
            return Err("the archive is encrypted".into());
        }
        found.push(Member {
            name: safe(name)?,
            mode,
            method: u16_at(data, at + 10)?,
            modified: time(u16_at(data, at + 14)?, u16_at(data, at + 12)?),
            crc: u32_at(data, at + 16)?,
            packed: u32_at(data, at + 20)?,
            size: u32_at(data, at + 24)?,
            at: u32_at(data, at + 42)?,
        });
        at += 46 + name_len + extra_len + comment_len;
    }
    Ok(found)
}

/// A member's name, which must stay within the folder.
fn safe(name: &[u8]) -> Result<PathBuf, Error> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = Path::new(std::ffi::OsStr::from_bytes(name));
    let good = path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if !good || name.is_empty() || name.contains(&0) {
        return Err(format!("'{}' leads out of the archive", path.display()).into());
    }
    Ok(path.to_owned())
}

/// Writes a member's contents.
fn contents(data: &[u8], member: &Member, out: &mut dyn Write) -> Result<(), Error> {
    let at = member.at as usize;
    let skip = 30 + u16_at(data, at + 26)? as usize + u16_at(data, at + 28)? as usize;
    let packed = data
        .get(at + skip..)
        .and_then(|d| d.get(..member.packed as usize))
        .ok_or("the archive is cut off")?;
    let mut reader: Box<dyn Read> = match member.method {
        0 => Box::new(packed),
        8 => Box::new(flate2::read::DeflateDecoder::new(packed)),
        n => {
            return Err(format!(
                "'{}' is packed with method {n}, which is not supported",
                member.name.display()
            )
            .into());
        }
    };
    let mut crc = flate2::Crc::new();
    let (mut buffer, mut size) = (vec![0; 1 << 16], 0u64);
    loop {
        let n = reader.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        size += n as u64;
        if size > u64::from(member.size) {
            break;
        }
        crc.update(&buffer[..n]);
        out.write_all(&buffer[..n])?;
    }
    if size != u64::from(member.size) || crc.sum() != member.crc {
        return Err(format!("'{}' is damaged", member.name.display()).into());
    }
    Ok(())
}

/// Seconds since 1970 of a date and time of MS-DOS, which knows no time zones.
fn time(date: u16, clock: u16) -> u64 {
    let (year, month, day) = (
        1980 + i64::from(date >> 9),
        i64::from(date >> 5 & 15).max(1),
        i64::from(date & 31).max(1),
    );
    // Days since 1970 by the civil calendar, with years that begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    let seconds =
        i64::from(clock >> 11) * 3600 + i64::from(clock >> 5 & 63) * 60 + i64::from(clock & 31) * 2;
    u64::try_from(days * 86_400 + seconds).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of one stored member.
    fn archive(name: &str, mode: u32, text: &[u8]) -> Vec<u8> {
        let mut crc = flate2::Crc::new();
        crc.update(text);
        let sizes = |out: &mut Vec<u8>| {
            out.extend([0, 0, 0, 0, 0, 0, 0x21, 0x28]);
            out.extend(crc.sum().to_le_bytes());
            for _ in 0..2 {
                out.extend((text.len() as u32).to_le_bytes());
            }
            out.extend((name.len() as u16).to_le_bytes());
        };
        let mut out = b"PK\x03\x04\x14\x00".to_vec();
        sizes(&mut out);
        out.extend([0, 0]);
        out.extend(name.as_bytes());
        out.extend(text);
        let directory = out.len() as u32;
        out.extend(b"PK\x01\x02\x14\x03\x14\x00");
        sizes(&mut out);
        out.extend([0; 8]);
        out.extend((mode << 16).to_le_bytes());
        out.extend([0; 4]);
        out.extend(name.as_bytes());
        let len = out.len() as u32 - directory;
        out.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
        out.extend(len.to_le_bytes());
        out.extend(directory.to_le_bytes());
        out.extend([0, 0]);
        out
    }

    fn unpacked(archive: &[u8]) -> Result<(tempfile::TempDir, u64), Error> {
        let dir = tempfile::tempdir()?;
        fs::write(dir.path().join("a.zip"), archive)?;
        let out = dir.path().join("out");
        fs::create_dir(&out)?;
        let newest = unpack(&dir.path().join("a.zip"), &out)?;
        Ok((dir, newest))
    }

    #[test]
    fn files_and_links_are_unpacked() {
        use std::os::unix::fs::PermissionsExt as _;
        let (dir, newest) = unpacked(&archive("d/x", 0o100_755, b"hi")).unwrap();
        let file = dir.path().join("out/d/x");
        assert_eq!(fs::read(&file).unwrap(), b"hi");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o111, 0o111);
        // 2000-01-01
        assert_eq!(newest, 946_684_800);
        let (dir, _) = unpacked(&archive("l", 0o120_777, b"x")).unwrap();
        assert_eq!(fs::read_link(dir.path().join("out/l")).unwrap(), Path::new("x"));
    }

    #[test]
    fn attacks_and_damage_are_refused() {
        assert!(unpacked(&archive("../x", 0o100_644, b"hi")).is_err());
        assert!(unpacked(&archive("/x", 0o100_644, b"hi")).is_err());
        let good = archive("x", 0o100_644, b"hi");
        for len in 0..good.len() {
            assert!(unpacked(&good[..len]).is_err(), "{len}");
        }
        let mut bad = good;
        bad[31] ^= 1;
        assert!(unpacked(&bad).is_err());
    }
}
