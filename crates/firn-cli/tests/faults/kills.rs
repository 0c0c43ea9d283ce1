//! SIGKILL at random moments of copies, by all the ways in which paths are copied.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use firn_store::Store as _;
use firn_store::local::gc::GcOptions;
use rustix::process::{Pid, Signal, kill_process};

use crate::world::{World, appears, random};

/// Ended with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    /// The command that copies.
    Client,
    /// The daemon's process that it talks to.
    Worker,
}

/// The processes that a process has started.
fn children(of: u32) -> Vec<i32> {
    let text =
        std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect()
}

/// How many rounds: more for who wants to wait, `FIRN_TEST_KILLS=500`.
fn rounds() -> u64 {
    std::env::var("FIRN_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(15)
}

#[test]
fn a_killed_copy_leaves_stores_and_caches_that_are_whole() {
    let world = World::new(30);
    let whole = world.paths.len();
    let (source, target, cache) = (world.text("source"), world.text("target"), world.text("cache"));
    let all = world.all();
    // a cache that is whole, from which it is copied
    let full = format!("file://{}", world.text("full"));
    let made = world.run(&format!("nix copy --from {source} --to {full}?compression=zstd {all}"));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    // the same over HTTP
    let mut server = world.command(&format!("serve --listen 127.0.0.1:0 --store {source}"));
    let mut server = Running(server.stderr(Stdio::piped()).spawn().unwrap());
    let mut said = BufReader::new(server.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let url = said.find_map(|line| {
        line.strip_prefix("serving the store at ").map(|url| url.trim_end_matches('/').to_owned())
    });
    let url = url.unwrap();
    std::thread::spawn(move || said.for_each(drop));
    let mut daemon = world.command(&format!("nix-daemon --store {target}"));
    let daemon = Running(daemon.stderr(Stdio::null()).spawn().unwrap());
    assert!(appears(&world.path("socket")));
    let socket = format!("unix://{}", world.text("socket"));
    let here = format!("--to {target} --no-check-sigs");
    let ways = [
        (format!("nix copy --from {source} --to file://{cache} {all}"), Victim::Client),
        (format!("nix copy --from {full} {here} {all}"), Victim::Client),
        (format!("nix copy --from {url} {here} {all}"), Victim::Client),
        (format!("nix copy --from {source} {here} {all}"), Victim::Client),
        (format!("nix copy --from {source} --to {socket} --no-check-sigs {all}"), Victim::Client),
        (format!("nix copy --from {source} --to {socket} --no-check-sigs {all}"), Victim::Worker),
    ];
    // what a copy that nobody kills takes, in milliseconds
    let mut takes = vec![400; ways.len()];
    let (mut killed, mut seen, mut halves) = (0, 0, 0);
    for round in 0..rounds() {
        let number = (round as usize) % ways.len();
        let (line, victim) = &ways[number];
        let when = format!("round {round}: {line}");
        let begin = Instant::now();
        let mut client: Command = world.command(line);
        let mut client = client.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let after = random(round ^ u64::from(std::process::id()) << 20) % takes[number];
        std::thread::sleep(Duration::from_millis(after));
        match victim {
            Victim::Client => client.kill().unwrap(),
            Victim::Worker => {
                for worker in children(daemon.0.id()) {
                    let _ = kill_process(Pid::from_raw(worker).unwrap(), Signal::KILL);
                }
            }
        }
        let status = client.wait().unwrap();
        if status.success() {
            takes[number] = (begin.elapsed().as_millis() as u64).clamp(50, 5000);
        } else {
            killed += 1;
            takes[number] += takes[number] / 8;
        }
        // the daemon's process ends on its own account when its client is gone
        let waiting = Instant::now();
        while !children(daemon.0.id()).is_empty() {
            assert!(waiting.elapsed() < Duration::from_secs(60), "{when}: the worker goes on");
            std::thread::sleep(Duration::from_millis(10));
        }
        let there = if number == 0 {
            let there = world.check_cache("cache", &when);
            if there == whole || round % 4 == 0 {
                let _ = std::fs::remove_dir_all(world.path("cache"));
            }
            there
        } else {
            let there = world.check("target", &when).len();
            if there == whole || random(round).is_multiple_of(4) {
                world.open("target").collect_garbage(&GcOptions::default()).unwrap();
                assert!(world.open("target").query_all_valid_paths().unwrap().is_empty());
            }
            there
        };
        seen += there;
        halves += u64::from(there > 0 && there < whole);
    }
    eprintln!("{killed} of {} killed, {halves} of them half done, {seen} paths checked", rounds());
    assert!(killed > 0 && seen > 0, "{killed} were killed, {seen} paths seen");
    // what was left over is in nobody's way
    for (line, _) in &ways {
        let done = world.run(line);
        assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
    }
    assert_eq!(world.check("target", "at the end"), world.paths);
    assert_eq!(world.check_cache("cache", "at the end"), whole);
    world.open("target").collect_garbage(&GcOptions::default()).unwrap();
    let left: Vec<_> = std::fs::read_dir(world.path("target/nix/store"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name != ".links")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
