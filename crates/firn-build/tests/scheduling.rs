//! When builds run, for how long, and in which cgroups and accounts.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

#[macro_use]
mod common;

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use common::World;
use firn_build::{BuildResult, BuildStatus, DerivedPath, UidPool};
use firn_event::{ActivityKind, Event, Field, Logger, Report};
use firn_store::{LocalStore, Store, StoreOptions};

#[test]
fn time_limits_end_a_build() {
    let mut world = world!();
    world.options.timeout = Duration::from_millis(600);
    let drv = world.drv("slow", "while true; do echo x; sleep 0.1; done").add();
    let begin = Instant::now();
    let error = world.build(&[&drv]).unwrap_err();
    assert_eq!(error.exit_code, 101);
    assert!(error.message.starts_with("timed out after"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(10));

    world.options.timeout = Duration::ZERO;
    world.options.max_silent_time = Duration::from_millis(600);
    let drv = world.drv("silent", "sleep 1000").add();
    assert_eq!(world.build(&[&drv]).unwrap_err().exit_code, 101);

    world.options.max_silent_time = Duration::ZERO;
    world.options.max_log_size = 10_000;
    let drv = world.drv("chatty", "while true; do echo xxxxxxxxxxxxxx; done").add();
    let error = world.build(&[&drv]).unwrap_err();
    assert!(error.message.contains("after writing more than 10000 bytes"), "{error}");
}

#[test]
fn a_user_can_stop_everything() {
    let world = world!();
    let drv = world.drv("slow", "sleep 1000").add();
    let cancel = world.options.cancel.clone();
    let begin = Instant::now();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        cancel.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let error = world.build(&[&drv]).unwrap_err();
    assert!(error.interrupted, "{error}");
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn jobs_run_at_the_same_time() {
    let mut world = world!();
    world.options.max_jobs = 4;
    let drvs: Vec<_> =
        (0..4).map(|n| world.drv(&format!("j{n}"), "sleep 1; echo > $out").add()).collect();
    let top = drvs.iter().fold(world.drv("top", "echo > $out"), common::Drv::input).add();
    let begin = Instant::now();
    world.build(&[&top]).unwrap();
    assert!(begin.elapsed() < Duration::from_millis(3500), "{:?}", begin.elapsed());

    world.options.max_jobs = 0;
    let more = world.drv("more", "echo > $out").add();
    let error = world.build(&[&more]).unwrap_err();
    assert!(error.message.contains("Reason: local builds are disabled (max-jobs = 0)"), "{error}");
}

#[test]
fn two_processes_do_not_build_the_same() {
    let world = world!();
    let drv = world.drv("shared", "sleep 0.5; cat /proc/sys/kernel/random/uuid > $out").add();
    // Another store object on the same files is what another process has.
    let second = LocalStore::open(world.store.layout().clone(), StoreOptions::default()).unwrap();
    let wanted = [DerivedPath::all_outputs(drv.clone())];
    let options = world.options.clone();
    let results = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            firn_build::build_paths(&second, &wanted, &options, &Logger::silent()).unwrap()
        });
        let first = world.build(&[&drv]).unwrap();
        (first, other.join().unwrap())
    });
    assert_eq!(results.0.outputs, results.1.outputs);
    let built = |w: &World| w.store.path_info(&results.0.outputs[0].1["out"]).unwrap().nar_hash;
    assert_eq!(built(&world), second.path_info(&results.0.outputs[0].1["out"]).unwrap().nar_hash);
}

/// Of two builds that fail at the same moment one is the failure; the other would have been stopped.
#[test]
fn the_first_failure_is_the_only_one() {
    let Some(mut world) = World::in_place() else { return };
    world.options.max_jobs = 2;
    // Each waits for the other, so that both run, and then for the moment.
    let dir = world.dir.path().display().to_string();
    let script = |own: &str, other: &str| {
        format!("echo > {dir}/{own}; while ! [ -e {dir}/{other} ]; do :; done; exit 1")
    };
    for round in 0..5 {
        let (x, y) = (format!("x{round}"), format!("y{round}"));
        let a = world.open_drv(&format!("a{round}"), &script(&x, &y)).add();
        let b = world.open_drv(&format!("b{round}"), &script(&y, &x)).add();
        let c = world.open_drv(&format!("c{round}"), "echo > $out").input(&a).add();
        let wanted = [&a, &b, &c].map(|drv| DerivedPath::all_outputs(drv.clone()));
        world.kept.0.lock().unwrap().clear();
        let error = firn_build::build_paths(&world.store, &wanted, &world.options, &world.logger);
        let error = error.unwrap_err();
        assert_eq!(error.failed.len(), 1, "{error}");
        assert!(error.message.contains("builder failed with exit code 1"), "{error}");
        // Whoever asks for each is told of those that were finished.
        let results = firn_build::build_paths_with_results(
            &world.store,
            &wanted,
            &world.options,
            &world.logger,
        )
        .unwrap();
        assert!(results.len() < 3, "{results:?}");
        assert!(results.iter().all(|(_, result)| !result.status.is_success()), "{results:?}");
        assert!(!results.is_empty());
        // what needs one of those says nothing new
        let needs = |result: &BuildResult| result.status == BuildStatus::DependencyFailed;
        assert!(!results.iter().any(|(_, result)| needs(result)), "{results:?}");
    }
}

#[test]
fn what_took_long_before_goes_first() {
    let Some(mut world) = World::in_place() else { return };
    world.options.max_jobs = 2;
    let started = |world: &World| -> Vec<String> {
        let events = world.kept.0.lock().unwrap();
        let name = |fields: &[Field]| match &fields[0] {
            Field::Text(path) => path.rsplit('/').next().unwrap()[33..].replace(".drv", ""),
            Field::Int(_) => String::new(),
        };
        let start = |event: &Event| match event {
            Event::Start { kind: ActivityKind::Build, fields, .. } => Some(name(fields)),
            _ => None,
        };
        events.iter().filter_map(start).collect()
    };
    let estimates = |world: &World| -> Vec<u64> {
        let events = world.kept.0.lock().unwrap();
        let of = |event: &Event| match event {
            Event::Result { report: Report::SetExpected(ActivityKind::Build, ms), .. } => Some(*ms),
            _ => None,
        };
        events.iter().filter_map(of).collect()
    };
    let add = |world: &World, version: u32, long: &str| -> Vec<firn_model::store_path::StorePath> {
        ["a", "b", "c", "d"]
            .iter()
            .map(|name| {
                let time = if *name == "d" { long } else { "0" };
                let script = format!("sleep {time}; echo > $out");
                world.open_drv(&format!("{name}-{version}"), &script).env("pname", *name).add()
            })
            .collect()
    };
    let build = |world: &World, drvs: &[firn_model::store_path::StorePath]| {
        world.kept.0.lock().unwrap().clear();
        world.build(&drvs.iter().collect::<Vec<_>>()).unwrap();
    };
    build(&world, &add(&world, 1, "1"));
    let first = started(&world);
    assert_eq!((first.len(), first.last().map(String::as_str)), (4, Some("d-1")), "{first:?}");
    assert!(estimates(&world).is_empty());
    // The next version: the one that took a second is among the first two, and is known to take that.
    build(&world, &add(&world, 2, "0"));
    let second = started(&world);
    assert!(second[..2].contains(&"d-2".to_owned()), "{second:?}");
    let told = estimates(&world);
    assert!(told.iter().any(|ms| (1000..30_000).contains(ms)), "{told:?}");
    assert_eq!(told.last(), Some(&0), "nothing is left in the end");
    // With one job the order stays that of names.
    world.options.max_jobs = 1;
    build(&world, &add(&world, 3, "0"));
    assert_eq!(started(&world), ["a-3", "b-3", "c-3", "d-3"]);
}

/// The cgroup of this process can be divided; says so if not.
fn cgroups() -> bool {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let root = mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        (fields[2] == "cgroup2").then(|| fields[1].to_owned())
    });
    let own = own.lines().find_map(|line| line.strip_prefix("0::").map(str::to_owned));
    let (Some(root), Some(own)) = (root, own) else {
        eprintln!("SKIPPED: there are no cgroups of version 2 here");
        return false;
    };
    let test = std::path::Path::new(&root)
        .join(own.trim_start_matches('/'))
        .join(format!("firn-test-{}", std::process::id()));
    let made = std::fs::create_dir(&test).and_then(|()| std::fs::remove_dir(&test));
    if let Err(error) = &made {
        eprintln!("SKIPPED: no cgroup can be made here ({error})");
    }
    made.is_ok()
}

#[test]
fn a_build_can_have_a_cgroup_of_its_own() {
    let mut world = world!();
    if !cgroups() {
        return;
    }
    world.options.use_cgroups = true;
    let script = "cat /proc/self/cgroup > $out; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
    let drv = world.drv("group", script).add();
    let error = world.build(&[&drv]).unwrap_err();
    assert!(error.message.contains("experimental Nix feature 'cgroups' is disabled"), "{error}");
    world.options.features.insert("cgroups".into());
    let groups = || {
        let list = |dir: &str| std::fs::read_dir(dir).into_iter().flatten().flatten();
        let all = list("/sys/fs/cgroup").chain(list("/sys/fs/cgroup/unified"));
        let own = format!("nix-build-pid-{}-", std::process::id());
        all.filter(|e| e.file_name().to_string_lossy().starts_with(&own)).count()
    };
    let wanted = [DerivedPath::all_outputs(drv)];
    let results =
        firn_build::build_paths_with_results(&world.store, &wanted, &world.options, &world.logger)
            .unwrap();
    let result = &results[0].1;
    assert!(result.status.is_success(), "{result:?}");
    let cpu = result.cpu_user.unwrap() + result.cpu_system.unwrap();
    assert!(cpu > Duration::from_millis(1) && cpu < Duration::from_secs(60), "{cpu:?}");
    let out = world.store.real_path(&result.built_outputs["out"].out_path);
    let seen = std::fs::read_to_string(out).unwrap();
    assert_eq!(seen.lines().find(|l| l.starts_with("0::")), Some("0::/"), "its own is all it sees");
    assert_eq!(groups(), 0, "it is gone");
    // so is that of a build that fails, or was never begun
    let fails = world.drv("fails", "exit 1").add();
    world.build(&[&fails]).unwrap_err();
    world.options.sandbox_paths[0].source = "/does/not/exist".into();
    let never = world.drv("never", "").add();
    world.build(&[&never]).unwrap_err();
    assert_eq!(groups(), 0);
}

#[test]
fn a_build_can_have_many_accounts() {
    let mut world = world!();
    world.options.system_features.insert("uid-range".into());
    let script = "id -u; cat /proc/self/uid_map /etc/passwd; mkdir $out; echo x > $out/file; \
                  chown 7:8 $out/file; echo user:x:7:8 > /etc/n; mv /etc/n /etc/passwd; touch /owned; ls -d /sys/kernel";
    let drv = world.drv("range", script).env("requiredSystemFeatures", "uid-range").add();
    let refused = |world: &World, why: &str| {
        let error = world.build(&[&drv]).unwrap_err();
        assert!(error.message.contains(why), "{error}");
    };
    refused(&world, "requires the setting 'auto-allocate-uids' to be enabled");
    let open = World::in_place().unwrap();
    let outside = open.open_drv("range", "").env("requiredSystemFeatures", "uid-range").add();
    let error = open.build(&[&outside]).unwrap_err();
    // which system features there are follows from settings, which this one has by default
    assert!(error.message.contains("is only supported in sandboxed builds"), "{error}");
    if !rustix::process::geteuid().is_root() || !cgroups() {
        eprintln!("SKIPPED: only root has accounts to give, and it takes cgroups");
        return;
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    world.options.build_dir = Some(folder.path().to_owned());
    world.options.uid_pool = Some(UidPool { start: 1_610_612_736, count: 65_536 });
    let begin = world.build(&[&drv]);
    if begin.as_ref().is_err_and(|e| e.message.contains("world-writable")) {
        eprintln!("SKIPPED: the build's folder is below one that anybody may write to");
        return;
    }
    let error = begin.unwrap_err();
    assert!(error.message.contains("experimental Nix feature 'cgroups' is disabled"), "{error}");
    world.options.features.insert("cgroups".into());
    let out = world.build(&[&drv]).unwrap_or_else(|e| panic!("{e}\n{}", world.log()));
    let log = world.log();
    let mut lines = log.lines();
    assert_eq!(lines.next(), Some("0"));
    let map: Vec<&str> = lines.next().unwrap().split_ascii_whitespace().collect();
    assert_eq!(map, ["0", "1610612736", "65536"]);
    assert_eq!(lines.next(), Some("root:x:0:0:Nix build user:/build:/noshell"));
    assert_eq!(lines.next(), Some("nixbld:x:0:0:Nix build user:/build:/noshell"));
    assert!(log.lines().any(|line| line == "/sys/kernel"), "{log}");
    let file = world.store.real_path(&out.outputs[0].1["out"]).join("file");
    assert_eq!(std::fs::metadata(file).unwrap().uid(), 0);
    // what a build that was interrupted has left in the account's cgroup is noted to be killed
    let note = world.store.layout().state_dir.join("cgroups/1610612736");
    let noted = std::fs::read_to_string(note).unwrap();
    assert!(noted.ends_with("nix-build-uid-1610612736"), "{noted}");
    assert!(!std::path::Path::new(&noted).exists());
}
