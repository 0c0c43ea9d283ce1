//! Who signs requests of buckets: users who have signed in, and roles that somebody takes on.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::sync::{Arc, Mutex};

use common::{Server, World};
use firn_event::Logger;
use firn_store::copy::{CopyOptions, copy_path};
use firn_store::{Repair, Store as _, Trust};

/// The portal that signed-in users ask, and the service that gives credentials of roles, in one.
fn services() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut lines: Vec<String> = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                lines.push(line.trim().to_owned());
            }
            let field = |name: &str| {
                let found = lines.iter().find_map(|line| {
                    let (n, value) = line.split_once(':')?;
                    n.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
                });
                found.unwrap_or_default()
            };
            let mut body = vec![0; field("content-length").parse().unwrap_or(0)];
            reader.read_exact(&mut body).unwrap();
            let body = String::from_utf8(body).unwrap();
            noted.lock().unwrap().push(format!("{} {body}", lines[0]));
            let signed_by = |key: &str| {
                let text = field("authorization");
                text.contains(&format!("Credential={key}/"))
                    && text.contains("/eu-west-1/sts/aws4_request")
            };
            let portal = "GET /federation/credentials?account_id=123&role_name=reader ";
            let role = |key: &str| {
                format!(
                    "<C><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t&{key}</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></C>"
                )
            };
            let answer = if lines[0].starts_with(portal)
                && field("x-amz-sso_bearer_token") == "a-token"
            {
                Some(r#"{"roleCredentials":{"accessKeyId":"FROMPORTAL","secretAccessKey":"s","sessionToken":"session","expiration":32472144000000}}"#.to_owned())
            } else if lines[0].starts_with("POST / ")
                && body.contains("Action=AssumeRole&RoleArn=arn%3Aone&RoleSessionName=me&")
                && signed_by("KEY")
            {
                Some(role("FROMONE"))
            } else if body.contains("RoleArn=arn%3Atwo&")
                && body.ends_with("&ExternalId=x%2Fy")
                && signed_by("FROMONE")
            {
                Some(role("FROMTWO"))
            } else {
                None
            };
            let answer = match answer {
                Some(text) => format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
                    text.len()
                ),
                None => {
                    "HTTP/1.1 403 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()
                }
            };
            reader.into_inner().write_all(answer.as_bytes()).unwrap();
        }
    });
    (url, asked)
}

/// Run by the other test with other variables: adds a path to a bucket and prints who signed.
#[test]
#[ignore = "part of another test"]
fn whoever_signs() {
    let world = World::new();
    let server = Server::new(&world.path("served"));
    let profile = std::env::var("THE_PROFILE").unwrap();
    let uri = format!(
        "s3://bucket?endpoint={}&scheme=http&compression=none&profile={profile}",
        server.address
    );
    let cache = world.open(&uri);
    let text = world.store("a").add_text("t", b"x", &BTreeSet::new(), Repair::No).unwrap();
    let everybody = CopyOptions::new(Trust::Everybody, Logger::silent());
    copy_path(&world.store("a"), &*cache, &text, &everybody).unwrap();
    println!("signed: {:?}", server.header("authorization"));
    println!("warnings: {:?}", world.kept.texts());
}

#[test]
fn users_who_signed_in_and_roles_sign() {
    let (url, asked) = services();
    let home = tempfile::tempdir().unwrap();
    let aws = home.path().join(".aws");
    std::fs::create_dir_all(aws.join("sso/cache")).unwrap();
    std::fs::write(
        aws.join("config"),
        "[profile user]\nsso_session = work\nsso_account_id = 123\nsso_role_name = reader\n\
         [sso-session work]\nsso_region = eu-west-1\nsso_start_url = https://work.example/start\n\
         [profile old]\nsso_start_url = https://old.example/start\nsso_region = eu-west-1\nsso_account_id = 123\nsso_role_name = reader\n\
         [profile one]\nregion = eu-west-1\nrole_arn = arn:one\nrole_session_name = me\nsource_profile = keys\n\
         [profile two]\nregion = eu-west-1\nrole_arn = arn:two\nexternal_id = x/y\nsource_profile = one\n",
    )
    .unwrap();
    std::fs::write(
        aws.join("credentials"),
        "[keys]\naws_access_key_id = KEY\naws_secret_access_key = s\n",
    )
    .unwrap();
    let run = |profile: &str| {
        let ran = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "whoever_signs", "--ignored", "--nocapture"])
            .env_clear()
            .env("HOME", home.path())
            .env("THE_PROFILE", profile)
            .env("AWS_ENDPOINT_URL_SSO", &url)
            .env("AWS_ENDPOINT_URL_STS", &url)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    };
    let count = || std::mem::take(&mut *asked.lock().unwrap()).len();
    // nobody has signed in yet
    let out = run("user");
    assert!(out.contains("signed: None"), "{out}");
    assert!(out.contains("run 'aws sso login'"), "{out}");
    assert_eq!(count(), 0);
    // the name is the SHA-1 of 'work', and that of the other profile the one of its address
    let file = aws.join("sso/cache/e274eeff768c6396088ec6eb091f4bf4d47ab1e0.json");
    let older = aws.join("sso/cache/103c764598c7bfb84492cce4b625216b27775ddd.json");
    let token = |until: &str| format!(r#"{{"accessToken":"a-token","expiresAt":"{until}"}}"#);
    std::fs::write(&file, token("2001-01-01T00:00:00Z")).unwrap();
    let out = run("user");
    assert!(out.contains("has expired; run 'aws sso login'"), "{out}");
    std::fs::write(&file, token("2999-01-01T00:00:00Z")).unwrap();
    let out = run("user");
    assert!(out.contains("Credential=FROMPORTAL/"), "{out}");
    assert_eq!(count(), 1, "asked once for many requests");
    std::fs::copy(&file, &older).unwrap();
    let out = run("old");
    assert!(out.contains("Credential=FROMPORTAL/"), "{out}");
    assert_eq!(count(), 1);
    let out = run("one");
    assert!(out.contains("Credential=FROMONE/"), "{out}");
    assert_eq!(count(), 1);
    let out = run("two");
    assert!(out.contains("Credential=FROMTWO/"), "{out}");
    assert_eq!(count(), 2);
}
