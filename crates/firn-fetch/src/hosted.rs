//! Repositories on GitHub, GitLab and SourceHut: where their servers give a branch's commit and a commit's
//! archive. The forms of these URLs are defined by the services.

use firn_model::input::Input;

/// Where to ask, and with which headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostedUrl {
    /// The URL.
    pub url: String,
    /// Headers that prove who asks.
    pub headers: Vec<(String, String)>,
}

/// What a server answers when it is asked for a branch's commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// JSON of one commit, with `sha`.
    GitHub,
    /// JSON of a list of commits, newest first, with `id`.
    GitLab,
    /// Lines of commit and reference.
    SourceHut,
}

/// The server that an input is on.
#[must_use]
pub fn host(input: &Input) -> &str {
    input.text("host").unwrap_or(match input.kind() {
        "gitlab" => "gitlab.com",
        "sourcehut" => "git.sr.ht",
        _ => "github.com",
    })
}

fn part<'i>(input: &'i Input, name: &str) -> &'i str {
    input.text(name).unwrap_or_default()
}

/// The headers for an input, from `access-tokens`: pairs of a host, or host and beginning of a path, and a
/// token. The longest that fits counts.
fn headers(input: &Input, tokens: &[(String, String)]) -> Vec<(String, String)> {
    let host = host(input);
    let place = format!("{host}/{}/{}", part(input, "owner"), part(input, "repo"));
    let fits = |prefix: &str| {
        place.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let token = tokens
        .iter()
        .filter(|(prefix, _)| fits(prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .map(|(_, token)| token.as_str());
    let Some(token) = token else { return Vec::new() };
    let header = |name: &str, value: String| vec![(name.to_owned(), value)];
    match (input.kind(), token.split_once(':')) {
        ("gitlab", Some(("OAuth2", token))) => header("Authorization", format!("Bearer {token}")),
        ("gitlab", Some(("PAT", token))) => header("Private-token", token.to_owned()),
        ("gitlab", _) => Vec::new(),
        ("sourcehut", _) => header("Authorization", format!("Bearer {token}")),
        _ => header("Authorization", format!("token {token}")),
    }
}

/// Where to ask for the commit that a branch or tag stands for.
#[must_use]
pub fn commit_url(input: &Input, name: &str, tokens: &[(String, String)]) -> (HostedUrl, Answer) {
    let (host, owner, repo) = (host(input), part(input, "owner"), part(input, "repo"));
    let (url, answer) = match input.kind() {
        "gitlab" => (
            format!(
                "https://{host}/api/v4/projects/{owner}%2F{repo}/repository/commits?ref_name={name}"
            ),
            Answer::GitLab,
        ),
        "sourcehut" => (format!("https://{host}/{owner}/{repo}/info/refs"), Answer::SourceHut),
        _ if host == "github.com" => {
            (format!("https://api.github.com/repos/{owner}/{repo}/commits/{name}"), Answer::GitHub)
        }
        _ => (format!("https://{host}/api/v3/repos/{owner}/{repo}/commits/{name}"), Answer::GitHub),
    };
    (HostedUrl { url, headers: headers(input, tokens) }, answer)
}

/// For SourceHut: where the name of the branch that `HEAD` is on stands.
#[must_use]
pub fn head_url(input: &Input, tokens: &[(String, String)]) -> HostedUrl {
    let (host, owner, repo) = (host(input), part(input, "owner"), part(input, "repo"));
    HostedUrl {
        url: format!("https://{host}/{owner}/{repo}/HEAD"),
        headers: headers(input, tokens),
    }
}

/// Where the archive of a commit is.
#[must_use]
pub fn archive_url(input: &Input, rev: &str, tokens: &[(String, String)]) -> HostedUrl {
    let (host, owner, repo) = (host(input), part(input, "owner"), part(input, "repo"));
    let headers = headers(input, tokens);
    let url = match input.kind() {
        "gitlab" => format!(
            "https://{host}/api/v4/projects/{owner}%2F{repo}/repository/archive.tar.gz?sha={rev}"
        ),
        "sourcehut" => format!("https://{host}/{owner}/{repo}/archive/{rev}.tar.gz"),
        _ if host != "github.com" => {
            format!("https://{host}/api/v3/repos/{owner}/{repo}/tarball/{rev}")
        }
        // Without a token the public archive, which has no limit on requests.
        _ if headers.is_empty() => format!("https://{host}/{owner}/{repo}/archive/{rev}.tar.gz"),
        _ => format!("https://api.{host}/repos/{owner}/{repo}/tarball/{rev}"),
    };
    HostedUrl { url, headers }
}

/// The commit in a server's answer.
#[must_use]
pub fn commit_of(answer: Answer, name: &str, text: &[u8]) -> Option<String> {
    let json = || serde_json::from_slice::<serde_json::Value>(text).ok();
    let rev = match answer {
        Answer::GitHub => json()?.get("sha")?.as_str()?.to_owned(),
        Answer::GitLab => json()?.get(0)?.get("id")?.as_str()?.to_owned(),
        Answer::SourceHut => {
            let text = String::from_utf8_lossy(text).into_owned();
            let wanted =
                [name.to_owned(), format!("refs/heads/{name}"), format!("refs/tags/{name}")];
            text.lines()
                .filter_map(|line| line.split_once('\t'))
                .find(|(_, reference)| wanted.iter().any(|w| w == reference))
                .map(|(rev, _)| rev.to_owned())?
        }
    };
    (rev.len() == 40 && rev.bytes().all(|b| b.is_ascii_hexdigit())).then_some(rev)
}

#[cfg(test)]
mod tests {
    use super::*;
    use firn_model::input::{Input, InputUrl};

    fn input(url: &str) -> Input {
        let url = InputUrl::parse(url, false).expect("a URL");
        Input::from_url(&url, true, &|_| true).expect("an input")
    }

    #[test]
    fn archives_of_commits() {
        let tokens = [("github.com/o".to_owned(), "secret".to_owned())];
        let url =
            |of: &str, tokens: &[(String, String)]| archive_url(&input(of), "abc", tokens).url;
        assert_eq!(url("github:o/r", &[]), "https://github.com/o/r/archive/abc.tar.gz");
        assert_eq!(url("github:o/r", &tokens), "https://api.github.com/repos/o/r/tarball/abc");
        assert_eq!(url("github:other/r", &tokens), "https://github.com/other/r/archive/abc.tar.gz");
        assert_eq!(url("github:o/r?host=h.org", &[]), "https://h.org/api/v3/repos/o/r/tarball/abc");
        assert_eq!(
            url("gitlab:o/r", &[]),
            "https://gitlab.com/api/v4/projects/o%2Fr/repository/archive.tar.gz?sha=abc"
        );
        assert_eq!(url("sourcehut:~o/r", &[]), "https://git.sr.ht/~o/r/archive/abc.tar.gz");
    }

    #[test]
    fn commits_in_answers() {
        let rev = "0123456789012345678901234567890123456789";
        let github = format!("{{\"sha\":\"{rev}\"}}");
        assert_eq!(commit_of(Answer::GitHub, "x", github.as_bytes()).as_deref(), Some(rev));
        let gitlab = format!("[{{\"id\":\"{rev}\"}}]");
        assert_eq!(commit_of(Answer::GitLab, "x", gitlab.as_bytes()).as_deref(), Some(rev));
        let lines = format!("{rev}\trefs/heads/main\n");
        assert_eq!(commit_of(Answer::SourceHut, "main", lines.as_bytes()).as_deref(), Some(rev));
        assert_eq!(commit_of(Answer::SourceHut, "other", lines.as_bytes()), None);
        assert_eq!(commit_of(Answer::GitHub, "x", b"{\"sha\":\"no\"}"), None);
    }
}
