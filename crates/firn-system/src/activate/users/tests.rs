//! Tests of accounts, on files of a temporary root.

use super::*;

fn manifest(json: &str) -> Manifest {
    Manifest::parse(json.as_bytes()).unwrap()
}

fn roots() -> (tempfile::TempDir, Roots) {
    let dir = tempfile::tempdir().unwrap();
    let roots = Roots { root: dir.path().to_owned() };
    (dir, roots)
}

fn read(roots: &Roots, file: &str) -> String {
    fs::read_to_string(roots.path(file)).unwrap()
}

const GROUPS: &str = r#""groups":[{"name":"root","gid":0},{"name":"users","gid":100},{"name":"wheel","gid":1},{"name":"web","gid":null}]"#;

fn with_users(users: &str, mutable: bool) -> Manifest {
    manifest(&format!(
        r#"{{"version":1,"mutableUsers":{mutable},{GROUPS},"users":[
        {{"name":"root","uid":0,"group":"root","home":"/root","shell":"/bin/sh"}},{users}]}}"#
    ))
}

const ALICE: &str = r#"{"name":"alice","uid":null,"group":"users","extraGroups":["wheel"],
    "home":"/home/alice","createHome":true,"homeMode":"750","shell":"/bin/bash","description":"Alice: A",
    "initialPassword":"secret"}"#;
const WEB: &str = r#"{"name":"web","uid":null,"group":"web","home":"/var/empty","shell":"/no","isSystemUser":true}"#;

#[test]
fn a_new_system_gets_its_accounts() {
    let (_dir, roots) = roots();
    let m = with_users(&format!("{ALICE},{WEB}"), true);
    let changes = apply(&roots, &m, &Logger::silent()).unwrap();
    assert_eq!(changes.added, ["root", "alice", "web"]);
    assert_eq!(
        read(&roots, "etc/passwd"),
        "root:x:0:0::/root:/bin/sh\nweb:x:999:999::/var/empty:/no\nalice:x:1000:100:Alice  A:/home/alice:/bin/bash\n"
    );
    assert_eq!(read(&roots, "etc/group"), "root:x:0:\nwheel:x:1:alice\nusers:x:100:\nweb:x:999:\n");
    let shadow = read(&roots, "etc/shadow");
    assert!(shadow.contains("root:!:1::::::\n"), "{shadow}");
    let hash = shadow.lines().find_map(|l| l.strip_prefix("alice:")).unwrap();
    let hash = hash.split(':').next().unwrap();
    assert!(sha_crypt::sha512_check("secret", hash).is_ok());
    let mode = |p: &str| fs::metadata(roots.path(p)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("etc/shadow"), 0o600);
    assert_eq!(mode("home/alice"), 0o750);
}

#[test]
fn numbers_stay_with_their_names() {
    let (_dir, roots) = roots();
    apply(&roots, &with_users(WEB, true), &Logger::silent()).unwrap();
    let other = WEB.replace("\"web\",\"uid\"", "\"db\",\"uid\"");
    apply(&roots, &with_users(&other, true), &Logger::silent()).unwrap();
    apply(&roots, &with_users(&format!("{other},{WEB}"), true), &Logger::silent()).unwrap();
    let passwd = read(&roots, "etc/passwd");
    assert!(passwd.contains("web:x:999:"), "{passwd}");
    assert!(passwd.contains("db:x:998:"), "{passwd}");
}

#[test]
fn what_people_made_stays_unless_users_are_immutable() {
    let (_dir, roots) = roots();
    apply(&roots, &with_users(ALICE, true), &Logger::silent()).unwrap();
    let path = roots.path("etc/passwd");
    let text = read(&roots, "etc/passwd") + "bob:x:1005:100::/home/bob:/bin/sh\n";
    fs::write(&path, text).unwrap();
    let shadow = read(&roots, "etc/shadow").replace("root:!:", "root:changed:");
    fs::write(roots.path("etc/shadow"), shadow).unwrap();

    let changes = apply(&roots, &with_users(WEB, true), &Logger::silent()).unwrap();
    assert_eq!(changes.removed, ["alice"]);
    assert!(read(&roots, "etc/passwd").contains("bob:x:1005:"));
    assert!(read(&roots, "etc/shadow").contains("root:changed:"));

    let changes = apply(&roots, &with_users(WEB, false), &Logger::silent()).unwrap();
    assert_eq!(changes.removed, ["bob"]);
    assert!(!read(&roots, "etc/passwd").contains("bob"));
}

#[test]
fn a_group_that_is_not_there_is_told() {
    let (_dir, roots) = roots();
    let m = with_users(&ALICE.replace("\"users\"", "\"absent\""), true);
    let err = apply(&roots, &m, &Logger::silent()).unwrap_err().to_string();
    assert!(err.contains("'absent' of user 'alice'"), "{err}");
    assert!(!roots.path("etc/passwd").exists(), "nothing is half done");
}
