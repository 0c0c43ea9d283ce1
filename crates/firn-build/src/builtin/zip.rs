//! Unpacking ZIP archives, with their Unix modes and links. Encrypted members are refused.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::Path;

use super::Error;

/// Unpacks an archive beneath `out`. Gives the time of the newest member, in seconds since 1970.
///
/// # Errors
/// When it cannot be read, or a member leads out of `out`.
pub(super) fn unpack(source: &Path, out: &Path) -> Result<u64, Error> {
    let damaged = |e: zip::result::ZipError| Error::from(format!("reading the archive: {e}"));
    let file = BufReader::new(File::open(source)?);
    let mut archive = zip::ZipArchive::new(file).map_err(damaged)?;
    let mut newest = 0;
    // Links come last, so that nothing is written through them.
    let mut links = Vec::new();
    for number in 0..archive.len() {
        let mut member = archive.by_index(number).map_err(damaged)?;
        // the crate takes a first slash for nothing
        let inside = !member.name_raw().starts_with(b"/");
        let Some(name) = member.enclosed_name().filter(|_| inside) else {
            let name = String::from_utf8_lossy(member.name_raw());
            return Err(format!("'{name}' leads out of the archive").into());
        };
        if let Some(when) = member.last_modified() {
            newest = newest.max(time(when.datepart(), when.timepart()));
        }
        let target = out.join(name);
        if member.is_dir() {
            fs::create_dir_all(&target)?;
            continue;
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        if member.is_symlink() {
            let mut text = Vec::new();
            member.read_to_end(&mut text)?;
            links.push((text, target));
        } else {
            let executable = member.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
            let mode = if executable { 0o755 } else { 0o644 };
            let mut file = File::options().write(true).create_new(true).mode(mode).open(&target)?;
            io::copy(&mut member, &mut file)?;
        }
    }
    for (text, target) in links {
        use std::os::unix::ffi::OsStrExt as _;
        symlink(std::ffi::OsStr::from_bytes(&text), target)?;
    }
    Ok(newest)
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
        members(&[(name, mode, text)])
    }

    /// An archive of stored members: their names, modes and contents.
    fn members(members: &[(&str, u32, &[u8])]) -> Vec<u8> {
        let (mut out, mut directory) = (Vec::new(), Vec::new());
        for (name, mode, text) in members {
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
            let offset = out.len() as u32;
            out.extend(b"PK\x03\x04\x14\x00");
            sizes(&mut out);
            out.extend([0, 0]);
            out.extend(name.as_bytes());
            out.extend(*text);
            directory.extend(b"PK\x01\x02\x14\x03\x14\x00");
            sizes(&mut directory);
            directory.extend([0; 8]);
            directory.extend((mode << 16).to_le_bytes());
            directory.extend(offset.to_le_bytes());
            directory.extend(name.as_bytes());
        }
        let (at, count) = (out.len() as u32, members.len() as u16);
        out.extend(&directory);
        out.extend(b"PK\x05\x06\0\0\0\0");
        out.extend(count.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend((directory.len() as u32).to_le_bytes());
        out.extend(at.to_le_bytes());
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

    #[test]
    fn nothing_is_written_through_a_link() {
        let outside = tempfile::tempdir().unwrap();
        let away = outside.path().to_str().unwrap();
        let (folder, file) = (format!("{away}/evil"), away.to_owned());
        for bad in [
            members(&[("a", 0o120_777, file.as_bytes()), ("a/evil", 0o100_644, b"evil")]),
            members(&[("a", 0o120_777, folder.as_bytes()), ("a", 0o100_644, b"evil")]),
            members(&[("a", 0o120_777, file.as_bytes()), ("a/evil/", 0o040_755, b"")]),
        ] {
            // of two members with one name the reader knows the last alone
            let done = unpacked(&bad).map(|(dir, _)| dir.path().join("out/a").is_file());
            assert!(done.is_err() || done.is_ok_and(|file| file));
            assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        }
        let fine = members(&[("a", 0o100_644, b"1"), ("b/c", 0o100_644, b"2")]);
        let (dir, _) = unpacked(&fine).unwrap();
        assert_eq!(fs::read(dir.path().join("out/b/c")).unwrap(), b"2");
    }
}
