//! Times as people at this machine write them.

/// `YYYY-MM-DD HH:MM:SS` in the local time zone; `None` for times that no calendar has.
pub fn format(seconds: i64) -> Option<String> {
    let mut parts = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are to live values of the right types; localtime_r keeps neither, and
    // fills all of `parts` when it does not return null.
    let parts = unsafe {
        if libc::localtime_r(&raw const seconds, parts.as_mut_ptr()).is_null() {
            return None;
        }
        parts.assume_init()
    };
    Some(format!(
        "{}-{:02}-{:02} {:02}:{:02}:{:02}",
        parts.tm_year + 1900,
        parts.tm_mon + 1,
        parts.tm_mday,
        parts.tm_hour,
        parts.tm_min,
        parts.tm_sec
    ))
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_look_like_times() {
        let text = super::format(1_700_000_000).unwrap();
        assert!(text.starts_with("2023-11-1") && text.len() == 19, "{text}");
        assert_eq!(super::format(i64::MAX), None);
    }
}
