//! Builds of tiny derivations in a store of their own.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

#[macro_use]
mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, Instant};

use common::World;
use firn_build::{BuildOptions, DerivedPath, Mode, SandboxMode, plan};
use firn_event::Logger;
use firn_model::content_address::Method;
use firn_model::hash::{Hash, HashAlgo};
use firn_store::{Repair, Store};

#[test]
fn builds_with_the_environment_that_is_documented() {
    let mut world = world!();
    world.options.cores = 3;
    let drv = world
        .drv(
            "env",
            "env > $out; pwd >> $out; cat $bigPath >> $out; stat -c %a . >> $out; echo $0 >> $out",
        )
        .env("passAsFile", "big")
        .env("big", "a big text\n")
        .env("HOME", "/mine")
        .env("TMPDIR", "/not/mine")
        .env("where", "/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9")
        .add();
    let text = world.text(&drv);
    let out =
        world.store.store_dir().print(&world.build(&[&drv]).unwrap().outputs[0].1["out"].clone());
    let mut lines: Vec<&str> = text.lines().collect();
    let tail = lines.split_off(lines.len() - 4);
    assert_eq!(tail, ["/build", "a big text", "700", "sh"]);
    let found: BTreeMap<&str, &str> = lines.iter().filter_map(|l| l.split_once('=')).collect();
    let attr = "/build/.attr-1lak0mvllw8rv9i9ygkglvhqsq19qi9ynl4bi7gbf69ab5nzw89a";
    let wanted: BTreeMap<&str, &str> = [
        ("HOME", "/mine"),
        ("NIX_BUILD_CORES", "3"),
        ("NIX_BUILD_TOP", "/build"),
        ("NIX_LOG_FD", "2"),
        ("NIX_STORE", "/nix/store"),
        ("PATH", "/path-not-set"),
        ("PWD", "/build"),
        ("SHLVL", "1"),
        ("TEMP", "/build"),
        ("TEMPDIR", "/build"),
        ("TERM", "xterm-256color"),
        ("TMP", "/build"),
        ("TMPDIR", "/build"),
        ("bigPath", attr),
        ("name", "env"),
        ("out", &out),
        ("passAsFile", "big"),
        ("where", &out),
    ]
    .into();
    assert_eq!(found, wanted);
}

#[test]
fn a_builder_sees_its_inputs_and_nothing_else() {
    let world = world!();
    let other = world.store.add_text("other", b"x", &Default::default(), Repair::No).unwrap();
    let source = world.store.add_text("source", b"text", &Default::default(), Repair::No).unwrap();
    let dep = world.drv("dep", "echo dep > $out").add();
    let dep_out = world.build(&[&dep]).unwrap().outputs[0].1["out"].clone();
    let dir = world.store.store_dir().clone();
    let script = format!(
        "(ls /nix/store; cat {}; cat {}; ls / ; cat /etc/passwd /etc/group /etc/hosts; id -u; ls /dev) > $out",
        dir.print(&source),
        dir.print(&dep_out)
    );
    let drv = world.drv("look", &script).source(&source).input(&dep).add();
    let text = world.text(&drv);
    let mut inputs = [source.base_name(), dep_out.base_name()];
    inputs.sort_unstable();
    assert!(text.starts_with(&inputs.join("\n").to_string()) || text.contains(inputs[0]), "{text}");
    assert!(text.contains(inputs[1]) && !text.contains(other.base_name()), "{text}");
    assert!(!text.contains(".drv"), "{text}");
    for part in [
        "textdep\nbin\nbuild\ndev\netc\nnix\nproc\ntmp\n",
        "root:x:0:0:Nix build user:/build:/noshell\nnixbld:x:1000:100:Nix build user:/build:/noshell\nnobody:x:65534:65534:Nobody:/:/noshell\n",
        "root:x:0:\nnixbld:!:100:\nnogroup:x:65534:\n",
        "127.0.0.1 localhost\n::1 localhost\n1000\n",
        "null\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn outputs_are_canonical_and_know_their_references() {
    let world = world!();
    let dep = world.drv("dep", "echo dep > $out").add();
    let dep_out = world.build(&[&dep]).unwrap().outputs[0].1["out"].clone();
    let script = "mkdir -p $out/d $lib; echo x > $out/d/f; chmod 700 $out/d; chmod 777 $out/d/f; \
         ln -s /nowhere $out/l; ln $out/d/f $out/h; echo $out $lib > $out/self; echo $dep > $lib/dep; \
         mkdir $out/empty; chmod 000 $out/empty";
    let drv = world
        .drv("multi", script)
        .output("lib")
        .env("dep", world.store.store_dir().print(&dep_out))
        .input(&dep)
        .add();
    let outputs = world.build(&[&drv]).unwrap().outputs[0].1.clone();
    let out = world.store.path_info(&outputs["out"]).unwrap();
    let lib = world.store.path_info(&outputs["lib"]).unwrap();
    assert_eq!(out.references, [outputs["out"].clone(), outputs["lib"].clone()].into());
    assert_eq!(lib.references, [dep_out].into());
    assert_eq!(out.deriver.as_ref(), Some(&drv));
    assert!(out.ultimate && out.ca.is_none());
    let mut nar = firn_model::hash::Hasher::new(HashAlgo::Sha256);
    world.store.nar_from_path(&outputs["out"], &mut nar).unwrap();
    assert_eq!(out.nar_size, nar.len());
    assert_eq!(out.nar_hash, nar.finish());
    let real = world.store.real_path(&outputs["out"]);
    for (file, mode) in [("", 0o40555), ("d", 0o40555), ("d/f", 0o100_555), ("empty", 0o40555)] {
        let meta = std::fs::symlink_metadata(real.join(file)).unwrap();
        assert_eq!(meta.mode(), mode, "{file}");
        assert_eq!(meta.mtime(), 1, "{file}");
        assert_eq!(meta.uid(), rustix::process::geteuid().as_raw());
    }
    // Nothing of the build is left beside them.
    let left: Vec<_> = std::fs::read_dir(&world.store.layout().real_store_dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.contains(".chroot") || n.contains(".lock") || n.contains(".tmp"))
        .collect();
    assert_eq!(left, [""; 0]);
    assert_eq!(
        std::fs::read_dir(world.store.layout().state_dir.join("builds")).unwrap().count(),
        0
    );
}

#[test]
fn what_is_valid_is_not_built_again_and_logs_are_kept() {
    let world = world!();
    let drv = world.drv("once", "echo a line; cat /proc/sys/kernel/random/uuid > $out").add();
    let first = world.text(&drv);
    assert_eq!(world.text(&drv), first);
    assert_eq!(world.log(), "a line\n");
    let log = world.store.build_log(&drv).unwrap().unwrap();
    assert_eq!(log, b"a line\n");
    let options = world.options.clone();
    let wanted = [DerivedPath::all_outputs(drv)];
    assert!(plan(&world.store, &wanted, &options, &Logger::silent()).unwrap().is_empty());
}

#[test]
fn a_failure_tells_what_failed_and_stops_what_needs_it() {
    let mut world = world!();
    let bad = world.drv("bad", "echo hello; echo bye >&2; exit 3").add();
    let top = world.drv("top", "echo > $out").input(&bad).add();
    let error = world.build(&[&top]).unwrap_err();
    let dir = world.store.store_dir();
    let out = |drv| {
        let drv = world.store.read_derivation(drv).unwrap();
        dir.print(&drv.output_path(dir, "out").unwrap().unwrap())
    };
    assert_eq!(error.exit_code, 100);
    assert_eq!(
        error.message,
        format!(
            "Cannot build '{}'.\nReason: 1 dependency failed.\nOutput paths:\n  {}",
            dir.print(&top),
            out(&top)
        )
    );
    assert_eq!(
        world.errors(),
        [format!(
            "Cannot build '{0}'.\nReason: builder failed with exit code 3.\nOutput paths:\n  {1}\nLast 2 log lines:\n> hello\n> bye\nFor full logs, run:\n  nix log {0}",
            dir.print(&bad),
            out(&bad)
        )]
    );
    assert!(!world.store.real_path(&dir.parse(&out(&bad)).unwrap()).exists());

    world.options.verbose_logs = true;
    for (script, reason) in [
        ("exit 7", "builder failed with exit code 7."),
        ("exec /nothing", "builder failed with exit code 127."),
    ] {
        let drv = world.drv("fails", script).add();
        let error = world.build(&[&drv]).unwrap_err();
        assert!(error.message.contains(reason), "{error}");
    }
    let drv = world.drv("nobuilder", "").builder("/nothing").add();
    let error = world.build(&[&drv]).unwrap_err();
    assert!(error.message.contains("builder failed with exit code 1."), "{error}");
    assert!(world.log().contains("error: executing '/nothing': No such file or directory"));
}

#[test]
fn keep_going_builds_what_does_not_need_a_failure() {
    let mut world = world!();
    world.options.keep_going = true;
    world.options.max_jobs = 2;
    let bad = world.drv("bad", "exit 1").add();
    let worse = world.drv("worse", "exit 2").add();
    let good = world.drv("good", "sleep 0.3; echo good > $out").add();
    let top = world.drv("top", "echo > $out").input(&bad).input(&worse).input(&good).add();
    let alone = world.drv("alone", "echo alone > $out").add();
    let error = world.build(&[&top, &alone]).unwrap_err();
    assert!(error.message.contains("Reason: 2 dependencies failed."), "{error}");
    assert_eq!(error.failed, std::slice::from_ref(&top));
    for drv in [&good, &alone] {
        assert!(!world.text(drv).is_empty());
    }
    let error = world.build(&[&bad, &worse]).unwrap_err();
    let dir = world.store.store_dir();
    assert_eq!(error.message, {
        let mut both = [dir.print(&bad), dir.print(&worse)];
        both.sort();
        format!("build of '{}', '{}' failed", both[0], both[1])
    });
}

#[test]
fn outputs_must_be_there_and_of_the_builders_own_making() {
    let world = world!();
    for (script, text) in [
        ("true", "failed to produce output path for output 'out' at \"/nix/store/"),
        ("mkdir $out; chmod 777 $out", "suspicious ownership or permission on \"/nix/store/"),
        ("mkfifo $out", "unsupported type"),
        ("mkdir $out; mkfifo $out/p", "unsupported type"),
    ] {
        let drv = world.drv("odd", script).env("script", script).add();
        let error = world.build(&[&drv]).unwrap_err();
        assert!(error.message.contains(text), "{script}: {error}");
        assert_eq!(error.exit_code, 1, "{script}");
    }
    let drv = world.drv("cycle", "echo $b > $out; echo $out > $b").output("b").add();
    let error = world.build(&[&drv]).unwrap_err();
    assert!(error.message.contains("cycle detected in build of"), "{error}");
}

#[test]
fn a_fixed_output_is_what_it_says_or_nothing() {
    let world = world!();
    let right = world.drv("right", "echo right > $out").fixed_text("right\n").add();
    assert_eq!(world.text(&right), "right\n");
    let out = world.build(&[&right]).unwrap().outputs[0].1["out"].clone();
    let info = world.store.path_info(&out).unwrap();
    assert!(info.ca.is_some() && info.references.is_empty());

    let wrong = world.drv("wrong", "echo wrong > $out").fixed_text("right\n").add();
    let error = world.build(&[&wrong]).unwrap_err();
    assert_eq!(error.exit_code, 102);
    let dir = world.store.store_dir();
    let hash = |text: &str| Hash::digest(HashAlgo::Sha256, text.as_bytes()).to_sri();
    assert_eq!(
        error.message,
        format!(
            "hash mismatch in fixed-output derivation '{}':\n  specified: {}\n     got:    {}",
            dir.print(&wrong),
            hash("right\n"),
            hash("wrong\n")
        )
    );
    // What came is kept under its own hash, so the corrected derivation has nothing to do.
    let corrected = world.drv("wrong", "exit 1").fixed_text("wrong\n").add();
    assert_eq!(world.text(&corrected), "wrong\n");

    let folder = world.drv("folder", "mkdir $out").fixed_text("").add();
    let error = world.build(&[&folder]).unwrap_err();
    assert!(error.message.contains("should be a non-executable regular file"), "{error}");

    let nar = Hash::digest(HashAlgo::Sha512, b"no such thing");
    let drv = world.drv("nar", "mkdir $out").fixed(Method::Nar, nar).add();
    let error = world.build(&[&drv]).unwrap_err();
    assert!(error.message.contains("got:    sha512-"), "{error}");
}

#[test]
fn references_can_be_forbidden() {
    let world = world!();
    let dep = world.drv("dep", "echo dep > $out").add();
    let dep_out = world.build(&[&dep]).unwrap().outputs[0].1["out"].clone();
    let dir = world.store.store_dir().clone();
    let shown = dir.print(&dep_out);
    for (attribute, value, script, fails) in [
        ("allowedReferences", "", "echo $dep > $out", true),
        ("allowedReferences", "", "echo > $out", false),
        ("allowedReferences", "out", "echo $out > $out", false),
        ("allowedReferences", "out", "echo $out $dep > $out", true),
        ("disallowedReferences", &*shown, "echo $dep > $out", true),
        ("disallowedReferences", &*shown, "echo > $out", false),
        ("allowedRequisites", "", "echo $out > $out", false),
        ("disallowedRequisites", &*shown, "echo $dep > $out", true),
        ("allowedReferences", "nonsense", "echo > $out", true),
    ] {
        let drv =
            world.drv("refs", script).env("dep", &*shown).env(attribute, value).input(&dep).add();
        let result = world.build(&[&drv]);
        assert_eq!(result.is_err(), fails, "{attribute} {value} {script}: {result:?}");
        if let (Err(error), true) = (&result, value != "nonsense") {
            assert!(
                error.message.contains("is not allowed to refer to the following paths:\n  /nix"),
                "{error}"
            );
        }
    }
}

#[test]
fn structured_attributes_come_as_files() {
    let world = world!();
    let json =
        r#"{"builder":"/bin/sh","list":["a","b c"],"n":1,"__structuredAttrs":true,"system":"x"}"#;
    let drv = world
        .drv("structured", "read j < $NIX_ATTRS_JSON_FILE; out=${j#*\\\"out\\\":\\\"}; out=${out%%\\\"*}; cat .attrs.sh > $out; echo $j >> $out; env >> $out")
        .env("__json", json)
        .add();
    let text = world.text(&drv);
    assert!(text.contains("declare -a list=('a' 'b c' )\ndeclare n=1\n"), "{text}");
    assert!(text.contains("declare -A outputs=(['out']='/nix/store/"), "{text}");
    assert!(text.contains(r#""outputs":{"out":"/nix/store/"#), "{text}");
    assert!(text.contains("NIX_ATTRS_SH_FILE=/build/.attrs.sh"), "{text}");
    assert!(!text.contains("\nname="), "attributes are no variables: {text}");
}

#[test]
fn closures_are_exported_to_builders() {
    let world = world!();
    let a = world.drv("a", "echo a > $out").add();
    let a_out = world.build(&[&a]).unwrap().outputs[0].1["out"].clone();
    let dir = world.store.store_dir().clone();
    let b = world.drv("b", "echo $a > $out").env("a", dir.print(&a_out)).input(&a).add();
    let b_out = world.build(&[&b]).unwrap().outputs[0].1["out"].clone();
    let drv = world
        .drv("graph", "cat graph > $out")
        .env("exportReferencesGraph", format!("graph {}", dir.print(&b_out)))
        .input(&b)
        .add();
    let (a, b) = (dir.print(&a_out), dir.print(&b_out));
    let (mut first, mut second) = (format!("{a}\n\n0\n"), format!("{b}\n\n1\n{a}\n"));
    if a > b {
        std::mem::swap(&mut first, &mut second);
    }
    assert_eq!(world.text(&drv), first + &second);
    let drv = world
        .drv("graph", "cat graph > $out")
        .env("exportReferencesGraph", format!("graph {b}"))
        .add();
    let error = world.build(&[&drv]).unwrap_err();
    assert!(error.message.contains("cannot export references of path"), "{error}");
}

#[test]
fn checking_tells_whether_a_build_is_deterministic() {
    let mut world = world!();
    let same = world.drv("same", "echo same > $out").add();
    let random = world.drv("random", "cat /proc/sys/kernel/random/uuid > $out").add();
    let error = {
        world.options.mode = Mode::Check;
        let error = world.build(&[&same]).unwrap_err();
        world.options.mode = Mode::Normal;
        error
    };
    assert!(error.message.contains("are not valid, so checking is not possible"), "{error}");
    world.build(&[&same, &random]).unwrap();
    world.options.mode = Mode::Check;
    world.build(&[&same]).unwrap();
    let error = world.build(&[&random]).unwrap_err();
    assert_eq!(error.exit_code, 104);
    assert!(error.message.contains("may not be deterministic: output \"/"), "{error}");
    world.options.keep_failed = true;
    let error = world.build(&[&random]).unwrap_err();
    assert!(error.message.contains(".check\""), "{error}");
}

#[test]
fn a_builder_that_closes_its_log_is_over() {
    let world = world!();
    let drv = world.drv("silent", "echo > $out; exec > /dev/null 2>&1; while :; do :; done").add();
    let error = world.build(&[&drv]).unwrap_err();
    assert_eq!(error.exit_code, 100);
    assert!(error.message.contains("builder failed due to signal 9"), "{error}");
}

/// As programs do whose last act is to close what they wrote to.
#[test]
fn a_builder_may_end_a_moment_after_its_log() {
    let world = world!();
    let drv = world.drv("slow", "exec > /dev/null 2>&1; sleep 0.2; echo > $out").add();
    world.build(&[&drv]).unwrap();
}

#[test]
fn a_failed_build_can_be_kept() {
    let mut world = world!();
    world.options.keep_failed = true;
    let drv = world.drv("kept", "echo trace > file; echo x > $out; exit 1").add();
    world.build(&[&drv]).unwrap_err();
    let builds = world.store.layout().state_dir.join("builds");
    let top = std::fs::read_dir(&builds).unwrap().next().unwrap().unwrap().path();
    assert_eq!(std::fs::read(top.join("build/file")).unwrap(), b"trace\n");
    let drv = world.store.read_derivation(&drv).unwrap();
    let out = drv.output_path(world.store.store_dir(), "out").unwrap().unwrap();
    assert!(world.store.real_path(&out).exists() && !world.store.is_valid(&out).unwrap());
}

#[test]
fn what_cannot_be_built_here_is_refused() {
    let world = world!();
    let mut foreign = world.drv("foreign", "");
    foreign.drv.system = "foo-bar".into();
    let foreign = foreign.add();
    let error = world.build(&[&foreign]).unwrap_err();
    assert_eq!(error.exit_code, 100);
    assert!(
        error.message.ends_with(
            "Reason: platform mismatch\nRequired system: 'foo-bar'\nCurrent system: 'x86_64-linux'"
        ),
        "{error}"
    );
    let magic = world.drv("magic", "").env("requiredSystemFeatures", "magic").add();
    let error = world.build(&[&magic]).unwrap_err();
    assert!(error.message.contains("Required features: {magic}"), "{error}");
    let open = world.drv("open", "").env("__noChroot", "1").add();
    let error = world.build(&[&open]).unwrap_err();
    assert!(error.message.contains("has '__noChroot' set"), "{error}");
}

#[test]
fn the_sandbox_fails_closed() {
    const NAME: &str = "the_sandbox_fails_closed";
    const VARIABLE: &str = "FIRN_BUILD_TEST_WITHOUT_NAMESPACES";
    if std::env::var_os(VARIABLE).is_some() {
        return without_namespaces();
    }
    // A user namespace of its own, which grants no others.
    let output = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c"])
        .arg(r#"echo 0 > /proc/sys/user/max_mnt_namespaces && exec "$@""#)
        .arg("sh")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(VARIABLE, "1")
        .output();
    match output {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            let error = String::from_utf8_lossy(&output.stderr);
            match text.contains("running 1 test") {
                true => assert!(output.status.success(), "{text}{error}"),
                false => eprintln!("SKIPPED: no user namespace can be limited here: {error}"),
            }
        }
        Err(error) => eprintln!("SKIPPED: there is no program 'unshare' here ({error})"),
    }
    let mut world = world!();
    // A store whose contents are elsewhere can never be built in without one.
    world.options.sandbox = SandboxMode::Off;
    let drv = world.drv("inside", "ls / > $out").add();
    assert!(world.text(&drv).contains("build\n"));
    // By default nothing turns it off by itself.
    assert!(!BuildOptions::from_settings(&firn_store::Settings::new()).sandbox_fallback);
}

/// Where the kernel grants no namespaces, nothing is built unless the user has said so.
fn without_namespaces() {
    let Some(mut world) = World::in_place() else { return };
    assert!(!firn_build::sandbox::support(&common::launcher()).namespaces);
    world.options.must_drop_groups = false;
    let trace = world.dir.path().join("trace");
    let script = format!("echo x >> {}; echo x > $out", trace.display());
    let drv = world.open_drv("open", &script).add();
    world.options.sandbox = SandboxMode::On;
    let error = world.build(&[&drv]).unwrap_err();
    assert!(
        error.message.contains("does not support the kernel namespaces that are required"),
        "{error}"
    );
    // A store whose contents are elsewhere can not be built in at all.
    let mut other = World::anywhere().unwrap();
    let elsewhere = other.open_drv("open", &script).add();
    for fallback in [false, true] {
        other.options.sandbox_fallback = fallback;
        let error = other.build(&[&elsewhere]).unwrap_err();
        assert!(error.message.contains("need kernel namespaces"), "{error}");
    }
    assert!(!trace.exists(), "the builder ran");
    world.options.sandbox_fallback = true;
    world.build(&[&drv]).unwrap();
    world.options.sandbox_fallback = false;
    world.options.sandbox = SandboxMode::Off;
    let again = world.open_drv("again", &script).add();
    world.build(&[&again]).unwrap();
    assert_eq!(std::fs::read(&trace).unwrap(), b"x\nx\n");
}

#[test]
fn a_sandbox_works_for_a_store_in_its_place_too() {
    let Some(mut world) = World::in_place() else { return };
    world.options.sandbox = SandboxMode::On;
    let drv = world.drv("inside", "pwd > $out; echo $out >> $out").add();
    let out = world.build(&[&drv]).unwrap().outputs[0].1["out"].clone();
    let path = world.store.store_dir().print(&out);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("/build\n{path}\n"));
    assert_eq!(world.store.path_info(&out).unwrap().references, [out].into());
}

#[test]
fn a_build_without_a_sandbox_is_tidy() {
    let Some(mut world) = World::in_place() else { return };
    let shell = world.options.sandbox_paths[0].source.clone();
    let shell = shell.to_str().unwrap().to_owned();
    let add = |name: &str, script: &str| {
        let mut drv = world.drv(name, script);
        drv.drv.builder = shell.clone().into();
        drv.drv.args = vec!["sh".into(), "-c".into(), script.into()];
        drv
    };
    // What it leaves behind is killed, and its log does not keep the build waiting.
    let forever = world.dir.path().join("alive");
    let script = format!(
        "(while true; do echo x >> {0}; done) & while ! [ -e {0} ]; do :; done; pwd > $out",
        forever.display()
    );
    let drv = add("leaves", &script).add();
    let begin = Instant::now();
    let text = world.text(&drv);
    assert!(begin.elapsed() < Duration::from_secs(20));
    assert!(text.contains("/state/builds/nix-"), "{text}");
    let size = || std::fs::metadata(&forever).unwrap().len();
    let before = size();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(size(), before, "a process still writes");

    // A valid output stays in place while the build is repeated under another name.
    let same = add("same", "echo $out > $out; echo $other > $other").output("other").add();
    let outputs = world.build(&[&same]).unwrap().outputs[0].1.clone();
    let text =
        |w: &World, name: &str| std::fs::read_to_string(w.store.real_path(&outputs[name])).unwrap();
    assert!(text(&world, "out").contains(outputs["out"].base_name()));
    let random = add("random", "cat /proc/sys/kernel/random/uuid > $out").add();
    world.build(&[&random]).unwrap();
    world.options.mode = Mode::Check;
    world.build(&[&same]).unwrap();
    assert_eq!(world.build(&[&random]).unwrap_err().exit_code, 104);
    assert!(text(&world, "other").contains(outputs["other"].base_name()));
    let left: Vec<_> = std::fs::read_dir(&world.store.layout().real_store_dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n != ".links" && !n.ends_with(".drv") && !n.ends_with(".lock"))
        .collect();
    assert_eq!(left.len(), 4, "{left:?}");
}

#[test]
fn a_build_directory_is_private() {
    let world = world!();
    let drv = world.drv("private", "sleep 0.7; echo > $out").add();
    let builds = world.store.layout().state_dir.join("builds");
    let watcher = std::thread::spawn(move || {
        for _ in 0..200 {
            if let Some(Ok(dir)) = std::fs::read_dir(&builds).ok().and_then(|mut d| d.next()) {
                return dir.metadata().ok().map(|m| m.permissions().mode() & 0o7777);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    });
    world.build(&[&drv]).unwrap();
    assert_eq!(watcher.join().unwrap(), Some(0o700));
}

#[test]
fn built_in_builders_run_in_the_sandbox_too() {
    let world = world!();
    let file = world.dir.path().join("download");
    std::fs::write(&file, "downloaded").unwrap();
    // A file of the host is not in the sandbox, so it cannot be fetched from there.
    let drv = world
        .drv("local", "")
        .builder("builtin:fetchurl")
        .env("url", format!("file://{}", file.display()))
        .fixed_text("downloaded")
        .add();
    assert!(world.build(&[&drv]).is_err());

    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", server.local_addr().unwrap());
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let read = stream.read(&mut head).unwrap();
            let body = if head[..read].starts_with(b"GET /liar") { "lies" } else { "downloaded" };
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let fetch = |name: &str, url: &str| {
        world
            .drv(name, "")
            .builder("builtin:fetchurl")
            .env("url", url)
            .fixed_text("downloaded")
            .add()
    };
    assert_eq!(world.text(&fetch("fetched", &format!("{base}/file"))), "downloaded");
    let both = format!("{base}/liar {base}/file");
    assert_eq!(world.text(&fetch("second", &both)), "downloaded");
    assert!(world.log().contains("has the wrong hash"), "{}", world.log());
    let error = world.build(&[&fetch("lied", &format!("{base}/liar"))]).unwrap_err();
    assert!(error.message.starts_with("hash mismatch in fixed-output derivation"), "{error}");
    let error = world.build(&[&fetch("mirror", "mirror://unknown/x")]).unwrap_err();
    assert!(error.message.contains("no mirror is known"), "{error}");

    let drv = world.drv("nonsense", "").builder("builtin:nonsense").add();
    let error = world.build(&[&drv]).unwrap_err();
    assert!(error.message.contains("unsupported builtin builder 'nonsense'"), "{error}");
}

#[test]
fn an_environment_is_built_in() {
    let world = world!();
    let a = world.drv("a", "mkdir -p $out/bin; echo a > $out/bin/a").add();
    let a_out = world.build(&[&a]).unwrap().outputs[0].1["out"].clone();
    let shown = world.store.store_dir().print(&a_out);
    let manifest = world.store.add_text("m", b"[]", &Default::default(), Repair::No).unwrap();
    let drv = world
        .drv("user-environment", "")
        .builder("builtin:buildenv")
        .env("derivations", format!("true 5 1 {shown}"))
        .env("manifest", world.store.store_dir().print(&manifest))
        .input(&a)
        .source(&manifest)
        .add();
    let results = world.build(&[&drv]).unwrap();
    let out = world.store.real_path(&results.outputs[0].1["out"]);
    assert_eq!(
        std::fs::read_link(out.join("bin")).unwrap().to_str().unwrap(),
        format!("{shown}/bin")
    );
    assert!(out.join("manifest.nix").symlink_metadata().is_ok());
}

/// All of this as an ordinary user, when the tests run as root.
#[test]
fn works_for_ordinary_users_too() {
    if !rustix::process::geteuid().is_root() || World::new().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    open(dir.path(), 0o755);
    let copy = |from: &std::path::Path, name: &str| {
        let to = dir.path().join(name);
        std::fs::copy(from, &to).unwrap();
        to
    };
    let guard = copy(env!("CARGO_BIN_EXE_firn-sandbox-child").as_ref(), "guard");
    let exe = copy(&std::env::current_exe().unwrap(), "tests");
    let tmp = dir.path().join("tmp");
    std::fs::create_dir(&tmp).unwrap();
    open(&tmp, 0o1777);
    let output = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(exe)
        .env("FIRN_TEST_GUARD", guard)
        .env("TMPDIR", tmp)
        .current_dir("/")
        .output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: there is no setpriv");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !text.contains("SKIPPED"), "{text}");
}

/// CVE-2024-27297: who holds a file of a fixed output open for writing must not change what is registered.
#[test]
fn a_descriptor_that_is_kept_does_not_reach_a_fixed_output() {
    use std::io::{Seek, Write};
    let Some(world) = World::in_place() else { return };
    let opened = world.dir.path().join("opened");
    let script = format!("printf good > $out; while ! test -e {}; do :; done", opened.display());
    let drv = world.drv("fixed", &script).fixed_text("good").add();
    let parsed = world.store.read_derivation(&drv).unwrap();
    let path = parsed.output_path(world.store.store_dir(), "out").unwrap().unwrap();
    let real = world.store.real_path(&path);
    let mut file = std::thread::scope(|scope| {
        let build = scope.spawn(|| world.build(&[&drv]));
        let file = loop {
            let open = std::fs::File::options().write(true).open(&real);
            if let Ok((file, whole)) = open.and_then(|f| f.metadata().map(|m| (f, m.len() == 4)))
                && whole
            {
                break file;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        std::fs::write(&opened, "").unwrap();
        build.join().unwrap().unwrap();
        file
    });
    file.rewind().unwrap();
    file.write_all(b"evil").unwrap();
    assert_eq!(std::fs::read(&real).unwrap(), b"good");
    assert_eq!(world.store.check_path(&path).unwrap(), None);
}

#[test]
fn a_builder_writes_to_a_terminal() {
    let world = world!();
    if !std::path::Path::new("/dev/ptmx").exists() {
        eprintln!("SKIPPED: this machine has no pseudo terminals");
        return;
    }
    let drv = world.drv("tty", "test -t 1 && test -t 2 && echo yes > $out").add();
    assert_eq!(world.text(&drv), "yes\n");
}

#[test]
fn a_failed_check_can_be_looked_at() {
    let mut world = world!();
    let hook = world.dir.path().join("hook");
    let seen = world.dir.path().join("seen");
    let script = format!("#!/bin/sh\ncat \"$2\" > {}; echo \"$3\"\n", seen.display());
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    world.options.diff_hook = Some(hook);
    let drv = world.drv("random", "cat /proc/sys/kernel/random/uuid > $out").add();
    let first = world.text(&drv);
    world.options.mode = Mode::Check;
    let error = world.build(&[&drv]).unwrap_err();
    assert!(error.message.contains(".check\""), "{error}");
    let shown = std::fs::read_to_string(seen).unwrap();
    assert!(shown.len() == first.len() && shown != first);
    let drv = world.store.store_dir().print(&drv);
    assert!(world.errors().contains(&drv), "{:?}", world.errors());
}

#[test]
fn another_program_can_build_for_a_system_that_is_not_here() {
    let Some(mut world) = World::in_place() else { return };
    let program = world.dir.path().join("program");
    let script = "#!/bin/sh\nset -e\ntest \"$1\" = first\ngrep -q '\"system\":\"other-os\"' \"$2\"\n\
                  out=$(sed 's/.*\"outputs\":{\"out\":\"\\([^\"]*\\)\".*/\\1/' \"$2\")\necho built > $out\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut drv = world.drv("foreign", "exit 1");
    drv.drv.system = "other-os".into();
    let drv = drv.add();
    let error = world.build(&[&drv]).unwrap_err();
    assert!(error.message.contains("platform mismatch"), "{error}");
    let text = format!(
        r#"[{{"systems": ["other-os"], "program": "{}", "args": ["first"]}}]"#,
        program.display()
    );
    world.options.external_builders = firn_build::ExternalBuilder::parse(&text);
    assert!(world.build(&[&drv]).is_err(), "it takes the experimental feature");
    world.options.features.insert("external-builders".into());
    assert_eq!(world.text(&drv), "built\n");
}
