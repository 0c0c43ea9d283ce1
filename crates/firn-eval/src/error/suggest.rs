//! "Did you mean …": names close to a misspelt one.

/// Edit distance (insertions, deletions, replacements, each 1), in bytes.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

/// At most five of the names that are within two edits of `wanted`, closest first, then by name.
pub fn best_matches<'n>(names: impl Iterator<Item = &'n [u8]>, wanted: &[u8]) -> Vec<String> {
    let mut near: Vec<(usize, &[u8])> = names
        .filter(|name| name.len().abs_diff(wanted.len()) <= 2)
        .map(|name| (distance(name, wanted), name))
        .filter(|(d, _)| *d <= 2)
        .collect();
    near.sort();
    near.truncate(5);
    near.into_iter().map(|(_, name)| String::from_utf8_lossy(name).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance(b"", b"abc"), 3);
        assert_eq!(distance(b"kitten", b"sitting"), 3);
        assert_eq!(distance(b"foo", b"foo"), 0);
    }

    #[test]
    fn closest_come_first() {
        let names: [&[u8]; 4] = [b"nginx", b"bash", b"nginxx", b"nginy"];
        assert_eq!(best_matches(names.into_iter(), b"nginx"), ["nginx", "nginxx", "nginy"]);
        assert!(best_matches(names.into_iter(), b"something").is_empty());
    }
}
