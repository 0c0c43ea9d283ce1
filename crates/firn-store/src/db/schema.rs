//! The database's tables, as the store's file format defines them (schema version 10).
//!
//! Table, column, index and trigger names are shared with C++ Nix, so that both can use one store.

/// The version in the file `schema`.
pub const VERSION: u64 = 10;

/// The oldest version that can be brought up to date.
pub const OLDEST: u64 = 7;

/// Creates everything that is missing.
///
/// `DeleteSelfRefs` exists because a path may refer to itself, and `on delete restrict` would then
/// forbid its deletion.
pub const CREATE: &str = "
create table if not exists ValidPaths (
    id               integer primary key autoincrement not null,
    path             text unique not null,
    hash             text not null,
    registrationTime integer not null,
    deriver          text,
    narSize          integer,
    ultimate         integer,
    sigs             text,
    ca               text
);
create table if not exists Refs (
    referrer  integer not null,
    reference integer not null,
    primary key (referrer, reference),
    foreign key (referrer) references ValidPaths(id) on delete cascade,
    foreign key (reference) references ValidPaths(id) on delete restrict
);
create index if not exists IndexReferrer on Refs(referrer);
create index if not exists IndexReference on Refs(reference);
create trigger if not exists DeleteSelfRefs before delete on ValidPaths
begin
    delete from Refs where referrer = old.id and reference = old.id;
end;
create table if not exists DerivationOutputs (
    drv  integer not null,
    id   text not null,
    path text not null,
    primary key (drv, id),
    foreign key (drv) references ValidPaths(id) on delete cascade
);
create index if not exists IndexDerivationOutputs on DerivationOutputs(path);
";

/// Migrations beyond the version number are listed in this table.
pub const MIGRATIONS: &str =
    "create table if not exists SchemaMigrations (migration text primary key not null);";

/// The name in `SchemaMigrations` of [`CREATE_REALISATIONS`].
pub const REALISATIONS_MIGRATION: &str = "20220326-ca-derivations";

/// The tables of realisations, made once the experimental feature `ca-derivations` is on.
///
/// `RealisationsRefs` is not written any more, but other programs expect it. Its rows may lead from a path to
/// itself, and `on delete restrict` would then forbid the path's deletion: hence the trigger.
pub const CREATE_REALISATIONS: &str = "
create table if not exists Realisations (
    id         integer primary key autoincrement not null,
    drvPath    text not null,
    outputName text not null,
    outputPath integer not null,
    signatures text,
    foreign key (outputPath) references ValidPaths(id) on delete cascade
);
create index if not exists IndexRealisations on Realisations(drvPath, outputName);
create table if not exists RealisationsRefs (
    referrer             integer not null,
    realisationReference integer,
    foreign key (referrer) references Realisations(id) on delete cascade,
    foreign key (realisationReference) references Realisations(id) on delete restrict
);
create trigger if not exists DeleteSelfRefsViaRealisations before delete on ValidPaths
begin
    delete from RealisationsRefs
    where realisationReference in (select id from Realisations where outputPath = old.id);
end;
create index if not exists IndexRealisationsRefsRealisationReference
    on RealisationsRefs(realisationReference);
create index if not exists IndexRealisationsRefs on RealisationsRefs(referrer);
create index if not exists IndexRealisationsRefsOnOutputPath on Realisations(outputPath);
";

/// What brings a database of version `n - 1` to `n`.
pub const UPGRADES: &[(u64, &str)] = &[
    (
        8,
        "alter table ValidPaths add column ultimate integer;
         alter table ValidPaths add column sigs text;",
    ),
    (9, "drop table if exists FailedPaths;"),
    (10, "alter table ValidPaths add column ca text;"),
];
