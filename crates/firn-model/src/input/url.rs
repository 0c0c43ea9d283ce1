//! URLs as inputs use them: RFC 3986, with query and fragment taken apart. Lenient parsing takes unescaped
//! spaces and quotation marks in the query, and `^` in the fragment.

use super::InputError;
use std::collections::BTreeMap;
use std::fmt;

/// A URL in its parts, all percent-decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputUrl {
    /// `git+https`
    pub scheme: String,
    /// What follows `//`, encoded as it was: user, host, port.
    pub authority: Option<String>,
    /// The segments between slashes; an absolute path has an empty first one.
    pub path: Vec<String>,
    /// The query's parameters.
    pub query: BTreeMap<String, String>,
    /// After `#`.
    pub fragment: String,
}

const IN_QUERY: &[u8] = b":@/?";
const IN_PATH: &[u8] = b":@";

impl InputUrl {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str, lenient: bool) -> Result<InputUrl, InputError> {
        let invalid =
            |why: &str| InputError::bad_url(format!("'{text}' is not a valid URL: {why}"));
        let no_scheme = || InputError::bad_url(format!("'{text}' doesn't have a scheme"));
        let (scheme, rest) = text.split_once(':').ok_or_else(no_scheme)?;
        let mut letters = scheme.chars();
        if !letters.next().is_some_and(|c| c.is_ascii_alphabetic())
            || !letters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        {
            return Err(no_scheme());
        }
        let (rest, fragment) = match rest.split_once('#') {
            Some((rest, fragment)) => (rest, Some(fragment)),
            None => (rest, None),
        };
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                (Some(rest[..end].to_owned()), &rest[end..])
            }
            None => (None, rest),
        };
        let allowed = |s: &str, extra: &str| {
            s.chars().all(|c| {
                c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/%".contains(c) || extra.contains(c)
            })
        };
        let (in_query, in_fragment) = if lenient { ("? \"", "? \"^") } else { ("?", "?") };
        if !allowed(path, "")
            || !authority.as_deref().is_none_or(|a| allowed(a, "[]"))
            || !query.is_none_or(|q| allowed(q, in_query))
            || !fragment.is_none_or(|f| allowed(f, in_fragment))
        {
            return Err(invalid("leftover"));
        }
        let transport = scheme.rsplit('+').next().unwrap_or(scheme);
        if transport == "file"
            && let Some(host) = authority.as_deref().filter(|a| !a.is_empty())
        {
            return Err(InputError::bad_url(format!(
                "file:// URL '{text}' has unexpected authority '{host}'"
            )));
        }
        let path = if transport == "file" && path.is_empty() { "/" } else { path };
        Ok(InputUrl {
            scheme: scheme.to_ascii_lowercase(),
            authority,
            path: path.split('/').map(percent_decode).collect::<Result<_, _>>()?,
            query: decode_query(query.unwrap_or_default())?,
            fragment: percent_decode(fragment.unwrap_or_default())?,
        })
    }

    /// What stands before `+` in the scheme, if anything, and what stands after.
    #[must_use]
    pub fn schemes(&self) -> (Option<&str>, &str) {
        match self.scheme.split_once('+') {
            Some((application, transport)) => (Some(application), transport),
            None => (None, &self.scheme),
        }
    }

    /// The path as text, without encoding.
    #[must_use]
    pub fn plain_path(&self) -> String {
        self.path.join("/")
    }

    /// The segments that are not empty.
    #[must_use]
    pub fn segments(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).filter(|s| !s.is_empty()).collect()
    }

    /// A `file` URL of a path.
    #[must_use]
    pub fn of_path(scheme: &str, path: &str) -> InputUrl {
        InputUrl {
            scheme: scheme.to_owned(),
            authority: path.starts_with('/').then(String::new),
            path: path.split('/').map(str::to_owned).collect(),
            ..InputUrl::default()
        }
    }
}

impl fmt::Display for InputUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme)?;
        if let Some(authority) = &self.authority {
            write!(f, "//{authority}")?;
        }
        for (i, segment) in self.path.iter().enumerate() {
            let slash = if i > 0 { "/" } else { "" };
            write!(f, "{slash}{}", percent_encode(segment, IN_PATH))?;
        }
        for (i, (name, value)) in self.query.iter().enumerate() {
            let mark = if i == 0 { '?' } else { '&' };
            let (name, value) = (percent_encode(name, IN_QUERY), percent_encode(value, IN_QUERY));
            write!(f, "{mark}{name}={value}")?;
        }
        if !self.fragment.is_empty() {
            write!(f, "#{}", percent_encode(&self.fragment, b""))?;
        }
        Ok(())
    }
}

/// The parameters of a query; the first of several with one name counts, those without `=` are left out.
///
/// # Errors
/// If something is not percent-encoded correctly.
pub fn decode_query(query: &str) -> Result<BTreeMap<String, String>, InputError> {
    let mut out = BTreeMap::new();
    for part in query.split('&').filter(|p| !p.is_empty()) {
        if let Some((name, value)) = part.split_once('=') {
            out.entry(percent_decode(name)?).or_insert(percent_decode(value)?);
        }
    }
    Ok(out)
}

/// Decodes `%41`.
///
/// # Errors
/// If something is not encoded correctly, or not UTF-8.
pub fn percent_decode(text: &str) -> Result<String, InputError> {
    let bad = |why: &str| InputError::bad_url(format!("invalid URI parameter '{text}': {why}"));
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b != b'%' {
            out.push(b);
            continue;
        }
        let mut digit = || bytes.next().and_then(|d| char::from(d).to_digit(16));
        match (digit(), digit()) {
            (Some(high), Some(low)) => out.push((high * 16 + low) as u8),
            _ => return Err(bad("bad percent-encoded digit")),
        }
    }
    String::from_utf8(out).map_err(|_| bad("not UTF-8"))
}

/// Encodes all bytes but letters, digits, `-._~` and those in `keep`.
#[must_use]
pub fn percent_encode(text: &str, keep: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) || keep.contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

/// The URL of a Git repository as people write it: `user@host:path`, a path, or a URL, without `git+`.
///
/// # Errors
/// If it is none of these.
pub fn fix_git_url(text: &str) -> Result<InputUrl, InputError> {
    let mut text = text.to_owned();
    if !text.starts_with('/')
        && let Some((user, rest)) = text.split_once('@')
        && !user.contains('/')
        && let Some((host, path)) = rest.rsplit_once(':')
    {
        text = format!("ssh://{user}@{host}/{path}");
    }
    if !text.starts_with("file:") && !text.starts_with("git+file:") && !text.contains("://") {
        if text.split('/').next().is_some_and(|first| first.contains(':')) {
            return Err(InputError::bad_url(format!(
                "SCP-like URL '{text}' is not supported; use SSH URL syntax instead (ssh://...)"
            )));
        }
        return Ok(InputUrl::of_path("file", &text));
    }
    let mut url = InputUrl::parse(&text, false)?;
    if let Some(transport) = url.scheme.strip_prefix("git+") {
        url.scheme = transport.to_owned();
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_come_back() {
        for text in [
            "github:owner/repo/branch?dir=lib",
            "git+https://user@host:8080/a%20b/c?ref=x&rev=1#frag",
            "path:./x",
            "file:///a/b",
            "tarball+https://h/x.tar.gz?narHash=sha256-abc%3D",
        ] {
            assert_eq!(InputUrl::parse(text, false).expect("a URL").to_string(), text);
        }
        assert!(InputUrl::parse("no scheme", false).is_err());
        assert!(InputUrl::parse("a:b c", false).is_err());
        assert!(InputUrl::parse("file://host/x", false).is_err());
        assert!(InputUrl::parse("a:b?c=%zz", false).is_err());
    }

    #[test]
    fn git_urls_as_people_write_them() {
        let fixed = |text: &str| fix_git_url(text).map(|url| url.to_string());
        assert_eq!(fixed("git@host:a/b.git").as_deref(), Ok("ssh://git@host/a/b.git"));
        assert_eq!(fixed("/a/b").as_deref(), Ok("file:///a/b"));
        assert_eq!(fixed("./b").as_deref(), Ok("file:./b"));
        assert_eq!(fixed("git+https://h/r").as_deref(), Ok("https://h/r"));
        assert!(fixed("host:path").is_err());
    }
}
