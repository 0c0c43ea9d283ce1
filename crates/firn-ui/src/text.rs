//! Text for terminals: what builders print cannot be trusted with the cursor.

/// `text` with its escape sequences and control characters taken out, cut to `width` columns.
/// Colours stay if `colors`, and do not count.
#[must_use]
pub fn filter_escapes(text: &str, colors: bool, width: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    let mut colored = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => match chars.peek() {
                Some('[') => {
                    chars.next();
                    let mut sequence = String::from("\x1b[");
                    let mut last = None;
                    for c in chars.by_ref() {
                        sequence.push(c);
                        if ('\x40'..='\x7e').contains(&c) {
                            last = Some(c);
                            break;
                        }
                    }
                    if colors && last == Some('m') {
                        out.push_str(&sequence);
                        colored = true;
                    }
                }
                // Operating system commands, such as window titles and links, end with BEL or ST.
                Some(']') => {
                    while let Some(c) = chars.next() {
                        if c == '\x07' || (c == '\x1b' && chars.next_if_eq(&'\\').is_some()) {
                            break;
                        }
                    }
                }
                Some(_) => {
                    chars.next();
                }
                None => {}
            },
            '\t' => {
                let stop = (8 - used % 8).min(width.saturating_sub(used));
                out.extend(std::iter::repeat_n(' ', stop));
                used += stop;
            }
            c if c.is_control() => {}
            c => {
                let columns = columns(c);
                if used + columns > width {
                    used = width;
                    continue;
                }
                out.push(c);
                used += columns;
            }
        }
    }
    if colored {
        out.push_str("\x1b[0m");
    }
    out
}

/// How many columns a character takes, roughly: wide scripts and emoji take two.
fn columns(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// A number of bytes for people: `12.3 MiB`.
#[must_use]
pub fn render_size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1000.0 && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor() {
        let evil = "a\x1b[2J\x1b[31mred\x1b[0m\x1b]0;title\x07b\rc\x08\x1b[5A";
        assert_eq!(filter_escapes(evil, false, 80), "aredbc");
        assert_eq!(filter_escapes(evil, true, 80), "a\x1b[31mred\x1b[0mbc\x1b[0m");
        assert_eq!(filter_escapes("abcdef", false, 3), "abc");
        assert_eq!(filter_escapes("日本語", false, 5), "日本");
        assert_eq!(filter_escapes("a\tb", false, 80), "a       b");
        assert_eq!(filter_escapes("\x1b", false, 80), "");
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(render_size(0), "0.0 KiB");
        assert_eq!(render_size(1024 * 1024 * 12), "12.0 MiB");
        assert_eq!(render_size(1024 * 1000), "1.0 MiB");
    }
}
