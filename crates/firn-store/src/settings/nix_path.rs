//! The variable `NIX_PATH`, which is the setting `nix-path` in another notation.

/// The entries of `NIX_PATH`: separated by colons, but for those of URLs.
pub fn parse_nix_path(text: &str) -> Vec<String> {
    let is_url = |s: &str| {
        s.starts_with("channel:")
            || s.starts_with("flake:")
            || s.split_once("://").is_some_and(|(scheme, _)| {
                matches!(scheme, "http" | "https" | "file" | "channel" | "git" | "s3" | "ssh")
            })
    };
    let mut entries = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let value_at =
            rest.find(['=', ':']).filter(|i| rest.as_bytes()[*i] == b'=').map_or(0, |i| i + 1);
        let from = if is_url(&rest[value_at..]) {
            // The first colon belongs to the URL.
            rest[value_at..].find(':').map_or(rest.len(), |i| value_at + i + 1)
        } else {
            value_at
        };
        let end = rest[from..].find(':').map_or(rest.len(), |i| from + i);
        entries.push(rest[..end].to_owned());
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colons_of_urls_do_not_separate() {
        assert_eq!(parse_nix_path("a=/b:/c"), ["a=/b", "/c"]);
        assert_eq!(
            parse_nix_path("nixpkgs=https://example.org/a.tar.gz:foo=channel:x:/y"),
            ["nixpkgs=https://example.org/a.tar.gz", "foo=channel:x", "/y"]
        );
        assert!(parse_nix_path("").is_empty());
    }
}
