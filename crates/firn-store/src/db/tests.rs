use super::*;

fn row(hash: &str) -> PathRow {
    PathRow {
        id: 0,
        hash: hash.to_owned(),
        registration_time: 7,
        deriver: None,
        nar_size: 8,
        ultimate: true,
        sigs: None,
        ca: None,
    }
}

#[test]
fn what_is_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path(), OpenOptions::default()).unwrap();
    assert_eq!(std::fs::read_to_string(dir.path().join("schema")).unwrap(), "10");
    db.write(|rows| {
        let a = rows.insert_path("/s/a", &row("x"))?;
        let b = rows.insert_path("/s/b", &row("y"))?;
        rows.insert_reference(a, b)?;
        rows.insert_reference(a, a)?;
        rows.insert_output(b, "out", "/s/a")
    })
    .unwrap();
    db.read(|rows| {
        let a = rows.path("/s/a")?.unwrap();
        assert_eq!(PathRow { id: 0, ..a.clone() }, row("x"));
        assert_eq!(rows.references(a.id)?, ["/s/a", "/s/b"]);
        assert_eq!(rows.referrers("/s/b")?, ["/s/a"]);
        assert_eq!(rows.derivers("/s/a")?, ["/s/b"]);
        assert_eq!(rows.first_from("/s/aa")?.as_deref(), Some("/s/b"));
        assert_eq!(rows.path("/s/c")?, None);
        Ok(())
    })
    .unwrap();
    // a path that another needs stays; one that only itself needs can go
    assert!(!db.write(|rows| rows.delete_path("/s/b")).unwrap(), "another path refers to it");
    assert!(db.write(|rows| rows.delete_path("/s/a")).unwrap());
    assert!(db.write(|rows| rows.delete_path("/s/b")).unwrap());
}

#[test]
fn a_transaction_that_fails_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path(), OpenOptions::default()).unwrap();
    let result: Result<()> = db.write(|rows| {
        rows.insert_path("/s/a", &row("x"))?;
        Err(Error::Format("no".to_owned()))
    });
    assert!(result.is_err());
    assert!(db.read(|rows| rows.all_paths()).unwrap().is_empty());
}

#[test]
fn versions_that_are_not_ours_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(Database::open(dir.path(), OpenOptions::default()).unwrap());
    let message = |version: &str| {
        std::fs::write(dir.path().join("schema"), version).unwrap();
        Database::open(dir.path(), OpenOptions::default()).unwrap_err().to_string()
    };
    assert_eq!(message("11"), "current Nix store schema is version 11, but I only support 10");
    assert!(message("4").contains("no longer supported"));
    assert!(message("ten").ends_with("schema\" is corrupt"));
}

#[test]
fn an_old_database_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("db.sqlite");
    let old = Connection::open(&file).unwrap();
    old.execute_batch(
        "create table ValidPaths (id integer primary key autoincrement not null, path text unique \
         not null, hash text not null, registrationTime integer not null, deriver text, narSize \
         integer);
         create table Refs (referrer integer not null, reference integer not null, primary key \
         (referrer, reference));
         create table FailedPaths (path text primary key not null, time integer not null);
         insert into ValidPaths values (1, '/s/a', 'sha256:00', 1, null, null);",
    )
    .unwrap();
    drop(old);
    std::fs::write(dir.path().join("schema"), "7").unwrap();
    let db = Database::open(dir.path(), OpenOptions::default()).unwrap();
    assert_eq!(std::fs::read_to_string(dir.path().join("schema")).unwrap(), "10");
    let a = db.read(|rows| rows.path("/s/a")).unwrap().unwrap();
    assert_eq!((a.nar_size, a.ultimate, a.sigs), (0, false, None));
}

#[test]
fn damage_is_told_with_the_file() {
    let dir = tempfile::tempdir().unwrap();
    drop(Database::open(dir.path(), OpenOptions::default()).unwrap());
    let file = dir.path().join("db.sqlite");
    std::fs::write(&file, b"this is no database at all, but long enough to look like one...")
        .unwrap();
    let error = Database::open(dir.path(), OpenOptions::default()).unwrap_err().to_string();
    assert!(error.contains("file is not a database") && error.contains("db.sqlite"), "{error}");
    std::fs::remove_file(&file).unwrap();
    let error = Database::open(dir.path(), OpenOptions::default()).unwrap_err().to_string();
    assert!(
        error.starts_with("opening SQLite database"),
        "a lost database is not made anew: {error}"
    );
}

#[test]
fn read_only_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let read_only = OpenOptions { read_only: true, ..OpenOptions::default() };
    let error = Database::open(dir.path(), read_only).unwrap_err().to_string();
    assert!(error.starts_with("database does not exist"));
    let db = Database::open(dir.path(), OpenOptions::default()).unwrap();
    db.write(|rows| rows.insert_path("/s/a", &row("x")).map(drop)).unwrap();
    drop(db);
    let db = Database::open(dir.path(), read_only).unwrap();
    assert_eq!(db.read(|rows| rows.all_paths()).unwrap(), ["/s/a"]);
    assert!(db.write(|rows| rows.delete_path("/s/a")).is_err());
}

#[test]
fn many_processes_can_create_one_database() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let dir = dir.path();
            scope.spawn(move || {
                let db = Database::open(dir, OpenOptions::default()).unwrap();
                for i in 0..20 {
                    db.write(|rows| rows.insert_path(&format!("/s/{n}-{i}"), &row("x")).map(drop))
                        .unwrap();
                }
            });
        }
    });
    let db = Database::open(dir.path(), OpenOptions::default()).unwrap();
    assert_eq!(db.read(|rows| rows.all_paths()).unwrap().len(), 160);
}
