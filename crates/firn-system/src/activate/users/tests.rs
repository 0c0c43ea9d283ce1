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

#[test]
fn an_account_expires_on_its_day() {
    let (_dir, roots) = roots();
    let day = |roots: &Roots| {
        let shadow = read(roots, "etc/shadow");
        let line = shadow.lines().find(|l| l.starts_with("web:")).unwrap().to_owned();
        line.split(':').nth(7).unwrap().to_owned()
    };
    let until = |date: &str| WEB.replace("\"uid\"", &format!("\"expires\":\"{date}\",\"uid\""));
    let set = |users: &str, mutable| apply(&roots, &with_users(users, mutable), &Logger::silent());
    set(WEB, true).unwrap();
    assert_eq!(day(&roots), "");
    set(&until("2030-01-01"), true).unwrap();
    assert_eq!(day(&roots), "21915");
    // where people may set a day, one that is not declared is theirs
    set(WEB, true).unwrap();
    assert_eq!(day(&roots), "21915");
    set(WEB, false).unwrap();
    assert_eq!(day(&roots), "");
    let err = set(&until("2030-02-30"), true).unwrap_err().to_string();
    assert!(err.contains("users.users.web.expires is '2030-02-30'"), "{err}");
}

#[test]
fn subordinate_numbers_stay_with_their_users() {
    let (_dir, roots) = roots();
    let auto = |name: &str| {
        WEB.replace("\"web\",\"uid\"", &format!("\"{name}\",\"autoSubUidGidRange\":true,\"uid\""))
    };
    let set = |users: &str, mutable| {
        apply(&roots, &with_users(users, mutable), &Logger::silent()).unwrap();
    };
    set(WEB, true);
    assert!(!roots.path("etc/subuid").exists(), "nobody has any");
    set(&format!("{},{}", auto("a"), auto("b")), true);
    let both = "a:100000:65536\nb:165536:65536\n";
    assert_eq!(read(&roots, "etc/subuid"), both);
    assert_eq!(read(&roots, "etc/subgid"), both);
    // a range is nobody else's, and its owner's again when that comes back
    set(&format!("{},{}", auto("c"), auto("b")), true);
    assert_eq!(read(&roots, "etc/subuid"), "c:231072:65536\nb:165536:65536\n");
    set(&format!("{},{}", auto("c"), auto("a")), true);
    assert_eq!(read(&roots, "etc/subuid"), "c:231072:65536\na:100000:65536\n");

    // what is declared in full is not chosen for others, whether for users or for groups
    let ranges = WEB.replace(
        "\"uid\"",
        r#""subUidRanges":[{"startUid":300000,"count":10}],"subGidRanges":[{"startGid":400000,"count":1}],"uid""#,
    );
    set(&format!("{ranges},{},{}", auto("d"), auto("e")), true);
    assert_eq!(
        read(&roots, "etc/subuid"),
        "web:300000:10\nd:427680:65536\ne:493216:65536\n",
        "296608… would hold 300000, and 362144… would hold 400000"
    );
    assert!(read(&roots, "etc/subgid").starts_with("web:400000:1\n"));

    // ranges of users that were made by hand stay, unless users are immutable
    fs::write(roots.path("etc/passwd"), read(&roots, "etc/passwd") + "bob:x:1005:100::/b:/s\n")
        .unwrap();
    fs::write(
        roots.path("etc/subuid"),
        read(&roots, "etc/subuid") + "bob:558752:65536\ngone:1:1\n",
    )
    .unwrap();
    set(&auto("f"), true);
    assert_eq!(read(&roots, "etc/subuid"), "f:296608:65536\nbob:558752:65536\n");
    set(&auto("f"), false);
    assert_eq!(read(&roots, "etc/subuid"), "f:296608:65536\n");

    // a range that the system's own tools gave is kept
    fs::remove_file(roots.path("var/lib/nixos/auto-subuid-map")).unwrap();
    set(&auto("f"), true);
    assert_eq!(read(&roots, "etc/subgid"), "f:296608:65536\n");
}
