//! What is known of the paths of caches far away, kept between runs.
//!
//! The file is `binary-cache-v7.sqlite` in the user's cache folder, and its tables are those of C++ Nix 2.34, so that
//! both have the use of it. A path that was not there is remembered too, for a shorter time.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use firn_model::hash::Hash;
use firn_model::narinfo::NarInfo;
use firn_model::path_info::PathInfo;
use firn_model::realisation::{DrvOutput, Realisation};
use firn_model::store_path::{StoreDir, StorePath};
use firn_store::{Error, Result};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension as _, params};

/// How often old entries are removed, in seconds.
const PURGE_EVERY: i64 = 24 * 3600;

const SCHEMA: &str = "
    create table if not exists BinaryCaches (
        id integer primary key autoincrement not null,
        url text unique not null,
        timestamp integer not null,
        storeDir text not null,
        wantMassQuery integer not null,
        priority integer not null
    );
    create table if not exists NARs (
        cache integer not null,
        hashPart text not null,
        namePart text,
        url text,
        compression text,
        fileHash text,
        fileSize integer,
        narHash text,
        narSize integer,
        refs text,
        deriver text,
        sigs text,
        ca text,
        timestamp integer not null,
        present integer not null,
        primary key (cache, hashPart),
        foreign key (cache) references BinaryCaches(id) on delete cascade
    );
    create table if not exists Realisations (
        cache integer not null,
        outputId text not null,
        content blob,
        timestamp integer not null,
        primary key (cache, outputId),
        foreign key (cache) references BinaryCaches(id) on delete cascade
    );
    create table if not exists LastPurge (
        dummy text primary key,
        value integer
    );";

/// How long answers are believed, in seconds (`narinfo-cache-…-ttl`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeToLive {
    /// That a path is there.
    pub positive: u64,
    /// That a path is not there.
    pub negative: u64,
    /// What a cache says of itself.
    pub meta: u64,
}

/// What is remembered of a cache itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownCache {
    pub id: i64,
    pub want_mass_query: bool,
    pub priority: i64,
}

/// An answer from memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Remembered<T> {
    /// Nothing is known.
    Unknown,
    /// It was not there.
    Absent,
    /// It was there.
    Present(T),
}

/// The file with the answers.
#[derive(Debug)]
pub struct DiskCache {
    db: Mutex<Connection>,
    ttl: TimeToLive,
}

fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |t| i64::try_from(t.as_secs()).unwrap_or(i64::MAX))
}

fn before(seconds: u64) -> i64 {
    now().saturating_sub(i64::try_from(seconds).unwrap_or(i64::MAX))
}

impl DiskCache {
    /// Opens the file in `dir`, making both if they are not there.
    ///
    /// # Errors
    /// If that fails.
    pub fn open(dir: &Path, ttl: TimeToLive) -> Result<Self> {
        firn_store::fs::create_dirs(dir)?;
        let file = dir.join("binary-cache-v7.sqlite");
        let failed = |action| {
            let file = file.clone();
            move |source| Error::Database { action, file, source }
        };
        let db = Connection::open(&file).map_err(failed("open"))?;
        db.busy_timeout(Duration::from_secs(60)).map_err(failed("busy timeout"))?;
        // it is only a cache: a power cut may cost what is in it
        db.execute_batch("pragma synchronous = off; pragma foreign_keys = on;")
            .map_err(failed("pragma"))?;
        // where a write-ahead log cannot be had, SQLite says so and goes on without
        let _: Option<String> = db
            .query_row("pragma journal_mode = wal", [], |row| row.get(0))
            .optional()
            .unwrap_or(None);
        db.execute_batch(SCHEMA).map_err(failed("schema"))?;
        let cache = Self { db: Mutex::new(db), ttl };
        cache.purge().map_err(failed("purge"))?;
        Ok(cache)
    }

    fn purge(&self) -> rusqlite::Result<()> {
        let db = self.db.lock();
        let last: Option<i64> =
            db.query_row("select value from LastPurge", [], |row| row.get(0)).optional()?;
        if last.is_some_and(|last| last >= now() - PURGE_EVERY) {
            return Ok(());
        }
        // a short time to live of this run must not cost others all that they know
        db.execute(
            "delete from NARs where (present = 0 and timestamp < ?1) or (present = 1 and timestamp < ?2)",
            params![
                before(self.ttl.negative.max(3600)),
                before(self.ttl.positive.max(30 * 24 * 3600))
            ],
        )?;
        db.execute(
            "insert or replace into LastPurge(dummy, value) values ('', ?1)",
            params![now()],
        )?;
        Ok(())
    }

    fn failed(&self, source: rusqlite::Error) -> Error {
        let file = self.db.lock().path().unwrap_or_default().into();
        Error::Database { action: "statement", file, source }
    }

    /// What is remembered of a cache.
    pub(crate) fn cache(&self, uri: &str) -> Result<Option<KnownCache>> {
        let found = self
            .db
            .lock()
            .prepare_cached(
                "select id, wantMassQuery, priority from BinaryCaches where url = ?1 and timestamp > ?2",
            )
            .and_then(|mut s| {
                s.query_row(params![uri, before(self.ttl.meta)], |row| {
                    Ok(KnownCache {
                        id: row.get(0)?,
                        want_mass_query: row.get::<_, i64>(1)? != 0,
                        priority: row.get(2)?,
                    })
                })
                .optional()
            });
        found.map_err(|e| self.failed(e))
    }

    /// Remembers what a cache says of itself; gives its number.
    pub(crate) fn remember_cache(
        &self,
        uri: &str,
        dir: &StoreDir,
        want_mass_query: bool,
        priority: i64,
    ) -> Result<i64> {
        let id = self.db.lock().query_row(
            "insert into BinaryCaches(url, timestamp, storeDir, wantMassQuery, priority)
             values (?1, ?2, ?3, ?4, ?5)
             on conflict (url) do update set timestamp = ?2, storeDir = ?3, wantMassQuery = ?4, priority = ?5
             returning id",
            params![uri, now(), dir.as_str(), want_mass_query, priority],
            |row| row.get(0),
        );
        id.map_err(|e| self.failed(e))
    }

    /// What is remembered of a path.
    pub(crate) fn narinfo(&self, cache: i64, hash_part: &str) -> Result<Remembered<NarInfo>> {
        struct Row {
            present: bool,
            texts: [Option<String>; 9],
            sizes: [Option<i64>; 2],
        }
        let row = self
            .db
            .lock()
            .prepare_cached(
                "select present, namePart, url, compression, fileHash, narHash, refs, deriver, sigs, ca, fileSize, narSize
                 from NARs where cache = ?1 and hashPart = ?2
                 and ((present = 0 and timestamp > ?3) or (present = 1 and timestamp > ?4))",
            )
            .and_then(|mut s| {
                s.query_row(
                    params![cache, hash_part, before(self.ttl.negative), before(self.ttl.positive)],
                    |row| {
                        let present = row.get::<_, i64>(0)? != 0;
                        let mut texts: [Option<String>; 9] = Default::default();
                        for (n, text) in texts.iter_mut().enumerate() {
                            *text = row.get(n + 1)?;
                        }
                        Ok(Row { present, texts, sizes: [row.get(10)?, row.get(11)?] })
                    },
                )
                .optional()
            })
            .map_err(|e| self.failed(e))?;
        let Some(row) = row else { return Ok(Remembered::Unknown) };
        if !row.present {
            return Ok(Remembered::Absent);
        }
        // what makes no sense is asked for again
        Ok(parse_row(hash_part, row.texts, row.sizes)
            .map_or(Remembered::Unknown, Remembered::Present))
    }

    /// Remembers a path, or that it is not there.
    pub(crate) fn remember(
        &self,
        cache: i64,
        hash_part: &str,
        info: Option<&NarInfo>,
    ) -> Result<()> {
        let done = {
            let db = self.db.lock();
            match info {
                None => db
                    .prepare_cached(
                        "insert or replace into NARs(cache, hashPart, timestamp, present) values (?1, ?2, ?3, 0)",
                    )
                    .and_then(|mut s| s.execute(params![cache, hash_part, now()])),
                Some(nar) => {
                    let info = &nar.info;
                    let words = |list: Vec<String>| list.join(" ");
                    let size = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
                    db.prepare_cached(
                        "insert or replace into NARs(cache, hashPart, namePart, url, compression, fileHash, fileSize,
                         narHash, narSize, refs, deriver, sigs, ca, timestamp, present)
                         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, 1)",
                    )
                    .and_then(|mut s| {
                        s.execute(params![
                            cache,
                            hash_part,
                            info.path.name(),
                            nar.url,
                            nar.compression,
                            nar.file_hash.as_ref().map(ToString::to_string),
                            (nar.file_size > 0).then(|| size(nar.file_size)),
                            info.nar_hash.to_string(),
                            size(info.nar_size),
                            words(info.references.iter().map(|r| r.base_name().to_owned()).collect()),
                            info.deriver.as_ref().map(|d| d.base_name().to_owned()),
                            words(info.signatures.iter().map(ToString::to_string).collect()),
                            info.ca.as_ref().map(ToString::to_string).unwrap_or_default(),
                            now(),
                        ])
                    })
                }
            }
        };
        done.map(drop).map_err(|e| self.failed(e))
    }

    /// What is remembered of a realisation.
    pub(crate) fn realisation(
        &self,
        cache: i64,
        id: &DrvOutput,
    ) -> Result<Remembered<Realisation>> {
        let found: Option<Option<String>> = self
            .db
            .lock()
            .prepare_cached(
                "select content from Realisations where cache = ?1 and outputId = ?2
                 and ((content is null and timestamp > ?3) or (content is not null and timestamp > ?4))",
            )
            .and_then(|mut s| {
                s.query_row(
                    params![
                        cache,
                        id.to_string(),
                        before(self.ttl.negative),
                        before(self.ttl.positive)
                    ],
                    |row| row.get(0),
                )
                .optional()
            })
            .map_err(|e| self.failed(e))?;
        Ok(match found {
            None => Remembered::Unknown,
            Some(None) => Remembered::Absent,
            Some(Some(text)) => serde_json::from_str(&text)
                .ok()
                .and_then(|json| Realisation::from_json(&json).ok())
                .map_or(Remembered::Unknown, Remembered::Present),
        })
    }

    /// Remembers a realisation, or that it is not there.
    pub(crate) fn remember_realisation(
        &self,
        cache: i64,
        id: &DrvOutput,
        realisation: Option<&Realisation>,
    ) -> Result<()> {
        let done = self
            .db
            .lock()
            .prepare_cached(
                "insert or replace into Realisations(cache, outputId, content, timestamp) values (?1, ?2, ?3, ?4)",
            )
            .and_then(|mut s| {
                s.execute(params![
                    cache,
                    id.to_string(),
                    realisation.map(|r| r.to_json().to_string()),
                    now()
                ])
            });
        done.map(drop).map_err(|e| self.failed(e))
    }
}

fn parse_row(
    hash_part: &str,
    texts: [Option<String>; 9],
    [file_size, nar_size]: [Option<i64>; 2],
) -> Option<NarInfo> {
    let [name, url, compression, file_hash, nar_hash, refs, deriver, sigs, ca] = texts;
    let path = StorePath::from_base_name(&format!("{hash_part}-{}", name?)).ok()?;
    let nar_hash = Hash::parse_prefixed(&nar_hash?).ok()?;
    let mut info = PathInfo::new(path, nar_hash, u64::try_from(nar_size?).ok()?);
    for word in refs.unwrap_or_default().split_ascii_whitespace() {
        info.references.insert(StorePath::from_base_name(word).ok()?);
    }
    info.deriver = match deriver.filter(|d| !d.is_empty()) {
        Some(deriver) => Some(StorePath::from_base_name(&deriver).ok()?),
        None => None,
    };
    for word in sigs.unwrap_or_default().split_ascii_whitespace() {
        info.signatures.insert(word.parse().ok()?);
    }
    info.ca = match ca.filter(|c| !c.is_empty()) {
        Some(ca) => Some(ca.parse().ok()?),
        None => None,
    };
    Some(NarInfo {
        info,
        url: url.filter(|u| !u.is_empty())?,
        compression: compression?,
        file_hash: match file_hash.filter(|h| !h.is_empty()) {
            Some(hash) => Some(Hash::parse_prefixed(&hash).ok()?),
            None => None,
        },
        file_size: u64::try_from(file_size.unwrap_or(0)).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use firn_model::hash::HashAlgo;

    const TTL: TimeToLive = TimeToLive { positive: 1000, negative: 1000, meta: 1000 };

    fn sample() -> NarInfo {
        let path = StorePath::from_base_name("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo").unwrap();
        let hash = Hash::digest(HashAlgo::Sha256, b"x");
        let mut info = PathInfo::new(path.clone(), hash, 5);
        info.references.insert(path.clone());
        info.deriver = Some(path);
        NarInfo {
            info,
            url: "nar/x.nar.xz".into(),
            compression: "xz".into(),
            file_hash: Some(hash),
            file_size: 3,
        }
    }

    #[test]
    fn what_was_seen_is_remembered_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let part = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q";
        {
            let cache = DiskCache::open(dir.path(), TTL).unwrap();
            assert_eq!(cache.cache("http://x").unwrap(), None);
            let id = cache.remember_cache("http://x", &StoreDir::default(), true, 40).unwrap();
            assert_eq!(cache.narinfo(id, part).unwrap(), Remembered::Unknown);
            cache.remember(id, part, None).unwrap();
            assert_eq!(cache.narinfo(id, part).unwrap(), Remembered::Absent);
            cache.remember(id, part, Some(&sample())).unwrap();
        }
        let cache = DiskCache::open(dir.path(), TTL).unwrap();
        let known = cache.cache("http://x").unwrap().unwrap();
        assert!(known.want_mass_query && known.priority == 40);
        assert_eq!(cache.narinfo(known.id, part).unwrap(), Remembered::Present(sample()));
        // the same number for the same cache
        let again = cache.remember_cache("http://x", &StoreDir::default(), false, 1).unwrap();
        assert_eq!(again, known.id);
        drop(cache);
        let none = TimeToLive { positive: 0, negative: 0, meta: 0 };
        let cache = DiskCache::open(dir.path(), none).unwrap();
        assert_eq!(cache.cache("http://x").unwrap(), None);
        assert_eq!(cache.narinfo(known.id, part).unwrap(), Remembered::Unknown);
    }

    #[test]
    fn realisations_are_remembered_too() {
        let dir = tempfile::tempdir().unwrap();
        let cache = DiskCache::open(dir.path(), TTL).unwrap();
        let cache_id = cache.remember_cache("http://x", &StoreDir::default(), true, 40).unwrap();
        let id: DrvOutput = format!("sha256:{}!out", "ab".repeat(32)).parse().unwrap();
        cache.remember_realisation(cache_id, &id, None).unwrap();
        assert_eq!(cache.realisation(cache_id, &id).unwrap(), Remembered::Absent);
        let made = Realisation::new(id.clone(), sample().info.path);
        cache.remember_realisation(cache_id, &id, Some(&made)).unwrap();
        assert_eq!(cache.realisation(cache_id, &id).unwrap(), Remembered::Present(made));
    }
}
