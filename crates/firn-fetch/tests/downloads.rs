//! Downloads against a server that misbehaves as real ones do.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use firn_event::{Event, EventSink, Logger};
use firn_model::hash::{Hash, HashAlgo};

use firn_fetch::*;

/// Answers the n-th request with the n-th script entry (the last one for all later requests).
struct Server {
    base: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(answers: Vec<Vec<u8>>) -> Self {
        Self::with_pause(answers, Duration::ZERO)
    }

    /// Waits with an open connection after each answer.
    fn with_pause(answers: Vec<Vec<u8>>, pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        std::thread::spawn(move || {
            for (n, stream) in listener.incoming().enumerate() {
                let answer = answers[n.min(answers.len() - 1)].clone();
                let Ok(stream) = stream else { return };
                seen.lock().unwrap().push(read_head(&stream));
                std::thread::spawn(move || {
                    let mut stream = stream;
                    let _ = stream.write_all(&answer);
                    std::thread::sleep(pause);
                });
            }
        });
        Self { base, requests }
    }

    fn url(&self) -> String {
        format!("{}/file", self.base)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn read_head(stream: &TcpStream) -> String {
    let mut head = String::new();
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            return head.to_lowercase();
        }
        head.push_str(&line);
    }
}

fn answer(status: &str, headers: &str, body: &str, length: usize) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

fn ok(body: &str) -> Vec<u8> {
    answer("200 OK", "", body, body.len())
}

#[derive(Default)]
struct Kept(Mutex<Vec<Event>>);
impl EventSink for Kept {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

fn settings() -> FetchSettings {
    FetchSettings {
        retry_pause: Duration::from_millis(1),
        stalled_timeout: Some(Duration::from_millis(300)),
        ..FetchSettings::default()
    }
}

fn get(url: &str, settings: FetchSettings) -> (Result<Downloaded, FetchError>, String, String) {
    let kept = Arc::new(Kept::default());
    let downloader = Downloader::new(settings, Logger::new(kept.clone())).unwrap();
    let mut sink = MemorySink::default();
    let result = downloader.download(&Request::new(url), &mut sink, 0);
    let log = format!("{:?}", kept.0.lock().unwrap());
    (result, String::from_utf8(sink.bytes).unwrap(), log)
}

#[test]
fn brings_a_file_as_it_is() {
    let server = Server::new(vec![answer(
        "200 OK",
        "etag: \"v1\"\r\ncontent-encoding: gzip\r\n",
        "not really gzip",
        15,
    )]);
    let (result, body, _) = get(&server.url(), settings());
    let result = result.unwrap();
    assert_eq!(body, "not really gzip", "nothing is unpacked on the way");
    assert_eq!(result.etag.as_deref(), Some("\"v1\""));
    assert_eq!(result.size, 15);
    assert!(server.requests()[0].contains("accept-encoding: identity"));
}

#[test]
fn goes_on_where_a_transfer_was_cut() {
    let server = Server::new(vec![
        answer("200 OK", "etag: \"v1\"\r\n", "01234", 10),
        answer(
            "206 Partial Content",
            "content-range: bytes 5-9/10\r\netag: \"v1\"\r\n",
            "56789",
            5,
        ),
    ]);
    let (result, body, log) = get(&server.url(), settings());
    assert_eq!(result.unwrap().size, 10);
    assert_eq!(body, "0123456789");
    assert!(server.requests()[1].contains("range: bytes=5-"));
    assert!(server.requests()[1].contains("if-range: \"v1\""));
    assert!(log.contains("retrying from offset 5"), "{log}");
}

#[test]
fn begins_again_when_the_file_changed_meanwhile() {
    let server = Server::new(vec![
        answer("200 OK", "etag: \"v1\"\r\n", "01234", 10),
        answer("200 OK", "etag: \"v2\"\r\n", "abc", 3),
    ]);
    let (result, body, _) = get(&server.url(), settings());
    assert_eq!(result.unwrap().size, 3);
    assert_eq!(body, "abc");
}

#[test]
fn a_sink_that_cannot_go_back_gets_no_mixture() {
    let server = Server::new(vec![
        answer("200 OK", "etag: \"v1\"\r\n", "01234", 10),
        answer("200 OK", "etag: \"v2\"\r\n", "abc", 3),
    ]);
    let downloader = Downloader::new(settings(), Logger::silent()).unwrap();
    let mut sink = WriteSink(Vec::new());
    let error = downloader.download(&Request::new(server.url()), &mut sink, 0).unwrap_err();
    assert!(error.to_string().contains("the file changed"), "{error}");
    assert_eq!(sink.0, b"01234");
}

#[test]
fn a_wrong_range_is_refused() {
    let server = Server::new(vec![
        answer("200 OK", "", "01234", 10),
        answer("206 Partial Content", "content-range: bytes 0-4/10\r\n", "01234", 5),
    ]);
    let (result, ..) = get(&server.url(), settings());
    assert!(result.unwrap_err().to_string().contains("another range"));
}

#[test]
fn waits_as_long_as_the_server_asks() {
    let server = Server::new(vec![
        answer("503 Service Unavailable", "retry-after: 1\r\n", "", 0),
        ok("fine"),
    ]);
    let begin = Instant::now();
    let (result, body, _) = get(&server.url(), settings());
    result.unwrap();
    assert_eq!(body, "fine");
    assert!(begin.elapsed() >= Duration::from_secs(1));
}

#[test]
fn gives_up_after_the_last_attempt() {
    let server = Server::new(vec![answer("500 Internal Server Error", "", "oh no", 5)]);
    let (result, ..) = get(&server.url(), settings());
    let error = result.unwrap_err();
    assert_eq!(server.requests().len(), 5);
    assert_eq!(
        error.to_string(),
        format!("unable to download '{}': HTTP error 500\n\nresponse body:\n\noh no", server.url())
    );
}

#[test]
fn a_refusal_is_not_an_absence_and_is_not_repeated() {
    for (status, kind) in [
        ("401 Unauthorized", FailureKind::Forbidden),
        ("403 Forbidden", FailureKind::Forbidden),
        ("407 Proxy Authentication Required", FailureKind::Forbidden),
        ("404 Not Found", FailureKind::NotFound),
        ("410 Gone", FailureKind::NotFound),
        ("418 Teapot", FailureKind::Permanent),
    ] {
        let server = Server::new(vec![answer(status, "", "", 0)]);
        let (result, ..) = get(&server.url(), settings());
        assert_eq!(result.unwrap_err().kind(), kind, "{status}");
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[test]
fn a_stalled_transfer_is_cut_and_tried_again() {
    let server = Server::with_pause(vec![answer("200 OK", "", "01", 4)], Duration::from_secs(20));
    let begin = Instant::now();
    let (result, ..) = get(&server.url(), FetchSettings { attempts: 2, ..settings() });
    let error = result.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Transient, "{error}");
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn credentials_go_to_the_server_and_nowhere_else() {
    let server = Server::new(vec![answer("403 Forbidden", "", "", 0)]);
    let url = server.url().replace("http://", "http://user:s3cret@");
    let (result, _, log) = get(&url, settings());
    let error = result.unwrap_err().to_string();
    assert!(server.requests()[0].contains("authorization: basic dxnlcjpzm2nyzxq="));
    assert!(!error.contains("s3cret") && !log.contains("s3cret"), "{error} {log}");
    assert!(!server.requests()[0].contains("s3cret"));

    let server = Server::new(vec![ok("x")]);
    let netrc = Netrc::parse("machine 127.0.0.1 login u password p");
    let (result, ..) = get(&server.url(), FetchSettings { netrc, ..settings() });
    result.unwrap();
    assert!(server.requests()[0].contains("authorization: basic dtpw"));
}

#[test]
fn credentials_do_not_follow_a_redirection() {
    let target = Server::new(vec![ok("there")]);
    let server =
        Server::new(vec![answer("302 Found", &format!("location: {}\r\n", target.url()), "", 0)]);
    let url = server.url().replace("http://", "http://user:s3cret@");
    let (result, body, _) = get(&url, settings());
    assert_eq!(result.unwrap().url, target.url());
    assert_eq!(body, "there");
    assert!(!target.requests()[0].contains("authorization"));
}

#[test]
fn a_validator_saves_the_transfer() {
    let server = Server::new(vec![answer("304 Not Modified", "etag: \"v1\"\r\n", "", 0)]);
    let downloader = Downloader::new(settings(), Logger::silent()).unwrap();
    let mut sink = MemorySink::default();
    let request = Request { expected_etag: Some("\"v1\"".into()), ..Request::new(server.url()) };
    assert!(downloader.download(&request, &mut sink, 0).unwrap().not_modified);
    assert!(server.requests()[0].contains("if-none-match: \"v1\""));
}

#[test]
fn a_lying_mirror_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let (liar, dead, good) = (
        Server::new(vec![ok("evil")]),
        Server::new(vec![answer("404 Not Found", "", "", 0)]),
        Server::new(vec![ok("good")]),
    );
    let wanted = Hash::digest(HashAlgo::Sha256, b"good");
    let downloader = Downloader::new(settings(), Logger::silent()).unwrap();
    let path = dir.path().join("file");
    let urls = [liar.url(), dead.url(), good.url()];
    downloader.download_file(&urls, &path, Some(&wanted), 0).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"good");

    let error = downloader.download_file(&urls[..2], &path, Some(&wanted), 0).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("wrong hash") && text.contains("HTTP error 404"), "{text}");
    assert!(text.contains(&liar.url()) && text.contains(&dead.url()), "{text}");
    assert!(!path.exists(), "nothing wrong is left behind");
}

#[test]
fn files_have_urls_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a b");
    std::fs::write(&path, "text").unwrap();
    let url = format!("file://{}", path.display()).replace(' ', "%20");
    let (result, body, _) = get(&url, settings());
    assert_eq!(result.unwrap().size, 4);
    assert_eq!(body, "text");
    let (result, ..) = get("file:///nowhere/at/all", settings());
    assert_eq!(result.unwrap_err().kind(), FailureKind::NotFound);
}

#[test]
fn what_is_no_url_is_said_to_be_none() {
    for url in ["", "nonsense", "gopher://x/y"] {
        let (result, ..) = get(url, settings());
        assert!(matches!(result, Err(FetchError::BadUrl { .. })), "{url}");
    }
    let (result, ..) = get("http://127.0.0.1:1/x", FetchSettings { attempts: 1, ..settings() });
    assert_eq!(result.unwrap_err().kind(), FailureKind::Transient);
}

#[test]
fn a_download_can_be_stopped() {
    let server = Server::with_pause(vec![answer("200 OK", "", "01", 4)], Duration::from_secs(20));
    let downloader = Downloader::new(
        FetchSettings { stalled_timeout: Some(Duration::from_millis(100)), ..settings() },
        Logger::silent(),
    )
    .unwrap();
    let cancel = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let request = Request { cancel: Some(cancel.clone()), ..Request::new(server.url()) };
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        cancel.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let error = downloader.download(&request, &mut MemorySink::default(), 0).unwrap_err();
    stopper.join().unwrap();
    assert_eq!(error.kind(), FailureKind::Interrupted);
}

#[test]
fn messages_name_no_passwords() {
    assert_eq!(redact("https://u:p@h/x@y?z"), "https://h/x@y?z");
    assert_eq!(redact("https://h/x"), "https://h/x");
    assert_eq!(redact("plain"), "plain");
}

#[test]
fn a_transfer_to_read_goes_on_where_it_was_cut() {
    let body = "0123456789".repeat(1000);
    let first = answer("200 OK", "etag: \"a\"\r\n", &body[..4000], body.len());
    let rest = answer(
        "206 Partial Content",
        "etag: \"a\"\r\ncontent-range: bytes 4000-9999/10000\r\n",
        &body[4000..],
        6000,
    );
    let server = Server::new(vec![first, rest]);
    let downloader = Downloader::new(settings(), Logger::silent()).unwrap();
    let mut transfer = downloader.open(Request::new(server.url()), 0).unwrap();
    assert_eq!(transfer.size(), Some(10000));
    let mut got = String::new();
    std::io::Read::read_to_string(&mut transfer, &mut got).unwrap();
    assert_eq!(got, body);
    let requests = server.requests();
    assert!(requests[1].contains("range: bytes=4000-"), "{requests:?}");
    assert!(requests[1].contains("if-range: \"a\""), "{requests:?}");
}

#[test]
fn a_transfer_begun_anew_must_be_of_the_same_file() {
    let body = "x".repeat(5000);
    let cut = answer("200 OK", "etag: \"a\"\r\n", &body[..100], body.len());
    let whole = answer("200 OK", "etag: \"a\"\r\n", &body, body.len());
    let other = answer("200 OK", "etag: \"b\"\r\n", &body, body.len());
    let read = |second: Vec<u8>| {
        let server = Server::new(vec![cut.clone(), second]);
        let downloader = Downloader::new(settings(), Logger::silent()).unwrap();
        let mut transfer = downloader.open(Request::new(server.url()), 0).unwrap();
        let mut got = String::new();
        std::io::Read::read_to_string(&mut transfer, &mut got).map(|_| got)
    };
    assert_eq!(read(whole).unwrap(), body);
    let error = read(other).unwrap_err();
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<FetchError>());
    assert_eq!(inner.map(FetchError::kind), Some(FailureKind::Permanent), "{error}");
}

#[test]
fn uploads_are_tried_again_when_the_server_is_busy() {
    let busy = answer("503 Service Unavailable", "retry-after: 0\r\n", "busy", 4);
    let done = answer("201 Created", "etag: \"e\"\r\n", "", 0);
    let server = Server::new(vec![busy, done]);
    let downloader = Downloader::new(settings(), Logger::silent()).unwrap();
    let url = server.url();
    let exchange = Exchange {
        method: "PUT",
        url: &url,
        headers: vec![("content-type".into(), "text/plain".into())],
        payload: Payload::Bytes(b"hello"),
    };
    let answer = downloader.exchange(&exchange, 0).unwrap();
    assert_eq!(answer.header("etag"), Some("\"e\""));
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[1].starts_with("put /file") && requests[1].contains("content-length: 5"));
}

#[test]
fn what_is_meant_for_one_server_does_not_follow_a_redirection() {
    let target = Server::new(vec![ok("there")]);
    let to = format!("location: {}\r\n", target.url());
    let server = Server::new(vec![answer("302 Found", &to, "", 0)]);
    let downloader = Downloader::new(settings(), Logger::silent()).unwrap();
    let headers = vec![
        ("private-token".to_owned(), "s3cret".to_owned()),
        ("x-amz-security-token".to_owned(), "s3cret".to_owned()),
        ("accept".to_owned(), "text/plain".to_owned()),
    ];
    let request = Request { headers, ..Request::new(server.url()) };
    downloader.download(&request, &mut MemorySink::default(), 0).unwrap();
    assert!(server.requests()[0].contains("private-token: s3cret"));
    let asked = &target.requests()[0];
    assert!(!asked.contains("s3cret"), "{asked}");
    assert!(asked.contains("accept: text/plain") && asked.contains("accept-encoding: identity"));

    // on the same server it is still wanted
    let again = answer("302 Found", "location: /other\r\n", "", 0);
    let server = Server::new(vec![again, ok("here")]);
    let request = Request { url: server.url(), ..request };
    let done = downloader.download(&request, &mut MemorySink::default(), 0).unwrap();
    assert!(done.url.ends_with("/other"));
    assert!(server.requests()[1].starts_with("get /other"));
    assert!(server.requests()[1].contains("private-token: s3cret"));
}

#[test]
fn redirections_lead_somewhere_or_are_refused() {
    let server = Server::new(vec![answer("302 Found", "location: /file\r\n", "", 0)]);
    let error = get(&server.url(), settings()).0.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Permanent);
    assert!(error.to_string().contains("more than 10 redirections"), "{error}");
    assert_eq!(server.requests().len(), 11);
    let server = Server::new(vec![answer("302 Found", "location: file:///etc/passwd\r\n", "", 0)]);
    let error = get(&server.url(), settings()).0.unwrap_err();
    assert!(error.to_string().contains("the scheme 'file'"), "{error}");
    // without an address there is nothing to follow
    let server = Server::new(vec![answer("302 Found", "", "", 0)]);
    assert!(get(&server.url(), settings()).0.unwrap_err().to_string().contains("HTTP error 302"));
}

#[test]
fn uploads_follow_redirections_with_what_they_bring() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"hello").unwrap();
    let downloader = Downloader::new(settings(), Logger::silent()).unwrap();
    for (status, method) in [("307 Temporary Redirect", "put"), ("303 See Other", "get")] {
        let moved = answer(status, "location: /other\r\n", "", 0);
        let server = Server::new(vec![moved, ok("done")]);
        let url = server.url();
        let exchange = Exchange {
            method: "PUT",
            url: &url,
            headers: Vec::new(),
            payload: Payload::File(&file),
        };
        assert_eq!(downloader.exchange(&exchange, 0).unwrap().body, b"done");
        let requests = server.requests();
        assert!(requests[0].contains("content-length: 5"), "{requests:?}");
        assert!(requests[1].starts_with(&format!("{method} /other")), "{requests:?}");
        assert_eq!(requests[1].contains("content-length: 5"), method == "put", "{requests:?}");
    }
}

#[test]
fn a_transfer_is_as_slow_as_it_is_told_to_be() {
    let body = "x".repeat(60_000);
    let server = Server::new(vec![ok(&body)]);
    let begin = Instant::now();
    let slow = FetchSettings { download_speed: Some(100_000), ..settings() };
    assert_eq!(get(&server.url(), slow).1, body);
    assert!(begin.elapsed() >= Duration::from_millis(450), "{:?}", begin.elapsed());
}

#[test]
fn connections_are_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let counted = Arc::new(Mutex::new(0));
    let count = counted.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            *count.lock().unwrap() += 1;
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                while !read_head(&stream).is_empty() {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                }
            });
        }
    });
    let downloader = Downloader::new(settings(), Logger::silent()).unwrap();
    for _ in 0..5 {
        downloader.download(&Request::new(&url), &mut MemorySink::default(), 0).unwrap();
    }
    assert_eq!(*counted.lock().unwrap(), 1);
    assert_eq!(downloader.multiplexes(&url), Some(false));
    assert_eq!(downloader.multiplexes("http://elsewhere/"), None);
}
