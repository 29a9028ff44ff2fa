//! WASI preview 1 from the guest's side: each function is called from here with any arguments.

#[path = "support/clock.rs"]
mod clock;
#[path = "support/preview1_guest.rs"]
mod guest;

use clock::{PROMPT, Watch};
use guest::*;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};
use trampette_runtime::{
    CoreFuncType, CoreHost, CoreInstance, CoreVal, CoreValueType, Store, Trap,
};
use trampette_wasi::{
    Exit, Input, MonotonicClock, Output, RandomSource, SeededRandom, WasiCtx, WasiCtxBuilder, p1,
};

fn nothing() -> WasiCtx {
    WasiCtxBuilder::new().build()
}

/// Whatever would change something below a directory that is given to read only. (Those of WASI 0.2
/// and 0.3 are in `crates/wasi/src/common/read_only_tests.rs`.)
#[test]
fn a_read_only_directory_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["fixed", "free"] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.join("empty")).unwrap();
        std::fs::write(path.join("old"), name).unwrap();
    }
    let (fixed, free) = (folder.path().join("fixed"), folder.path().join("free"));
    let module = mirror(SNAPSHOT);
    // "old", "new" and "empty" are at these addresses.
    let (old, new, empty) = ([1024, 3], [1032, 3], [1040, 5]);
    // 3 is to be read only, 4 is not, and 5 is a file below 3 that was opened to read.
    let cases: &[(&str, Vec<i64>, i32)] = &[
        (
            "path_open",
            [&[3, 0], &new[..], &[CREATE, READ, 0, 0, 512]].concat(),
            ROFS,
        ),
        (
            "path_open",
            [&[3, 0], &old[..], &[0, READ | WRITE, 0, 0, 512]].concat(),
            ROFS,
        ),
        (
            "path_open",
            [&[3, 0], &old[..], &[0, WRITE, 0, 0, 512]].concat(),
            ROFS,
        ),
        (
            "path_open",
            [&[3, 0], &old[..], &[1 << 3, READ, 0, 0, 512]].concat(),
            ROFS,
        ),
        ("path_create_directory", [&[3], &new[..]].concat(), ROFS),
        ("path_remove_directory", [&[3], &empty[..]].concat(), ROFS),
        ("path_unlink_file", [&[3], &old[..]].concat(), ROFS),
        ("path_symlink", [&old[..], &[3], &new[..]].concat(), ROFS),
        (
            "path_filestat_set_times",
            [&[3, 0], &old[..], &[0, 0, 2 | 8]].concat(),
            ROFS,
        ),
        (
            "path_link",
            [&[3, 0], &old[..], &[3], &new[..]].concat(),
            ROFS,
        ),
        (
            "path_link",
            [&[3, 0], &old[..], &[4], &new[..]].concat(),
            ROFS,
        ),
        (
            "path_link",
            [&[4, 0], &old[..], &[3], &new[..]].concat(),
            ROFS,
        ),
        (
            "path_rename",
            [&[3], &old[..], &[3], &new[..]].concat(),
            ROFS,
        ),
        (
            "path_rename",
            [&[3], &old[..], &[4], &new[..]].concat(),
            ROFS,
        ),
        (
            "path_rename",
            [&[4], &old[..], &[3], &new[..]].concat(),
            ROFS,
        ),
        ("fd_filestat_set_times", vec![3, 0, 0, 2 | 8], ROFS),
        ("fd_filestat_set_times", vec![5, 0, 0, 2 | 8], ROFS),
        ("fd_filestat_set_size", vec![5, 0], BADF),
        ("fd_allocate", vec![5, 0, 1], BADF),
        ("fd_write", vec![5, 1048, 1, 512], BADF),
        ("fd_pwrite", vec![5, 1048, 1, 0, 512], BADF),
    ];
    let before = std::fs::metadata(fixed.join("old"))
        .unwrap()
        .modified()
        .unwrap();
    let wasi = WasiCtxBuilder::new()
        .preopened_dir_read_only(&fixed, "fixed")
        .unwrap();
    let mut guest = Guest::new(&module, wasi.preopened_dir(&free, "free").unwrap().build());
    assert_eq!(guest.open("old", 0, READ), Ok(5));
    guest.write(1024, b"old\0\0\0\0\0new\0\0\0\0\0empty\0\0\0");
    guest.write_words(1048, &[1024, 1]);
    for (name, args, errno) in cases {
        assert_eq!(guest.call(name, args), *errno, "{name} {args:?}");
    }
    for (path, name) in [(&fixed, "fixed"), (&free, "free")] {
        assert_eq!(std::fs::read_dir(path).unwrap().count(), 2, "{name}");
        assert_eq!(std::fs::read_to_string(path.join("old")).unwrap(), name);
    }
    let after = std::fs::metadata(fixed.join("old"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(before, after);
}

/// Numbers at which arithmetic breaks, as `i32` and as `i64`. No size in between: a file of some
/// gigabytes can be made.
const EXTREMES: &[i64] = &[
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    63,
    64,
    4095,
    65_528,
    65_535,
    65_536,
    i32::MAX as i64,
    i32::MIN as i64,
    u32::MAX as i64 - 7,
    -1,
    -2,
    i64::MAX,
    i64::MAX - 1,
    i64::MIN,
    1_000_000_000,
];

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Each function with thousands of combinations of extreme numbers: it returns an error number or
/// traps, and the host goes on.
#[test]
fn extreme_numbers_are_errors() {
    for version in [SNAPSHOT, UNSTABLE] {
        let module = mirror(version);
        let folder = tempfile::tempdir().unwrap();
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for (name, params) in FUNCTIONS {
            let wasi = WasiCtxBuilder::new()
                .arg("program")
                .env("A", "1")
                .stdin(Input::bytes("input"))
                .preopened_dir(folder.path(), "/")
                .unwrap();
            let mut guest = Guest::new(&module, wasi.build());
            let file = guest.open("file", CREATE, READ | WRITE).unwrap();
            assert_eq!(guest.put(file, b"contents").0, SUCCESS);
            let (mut numbers, mut traps) = (0, 0);
            for _ in 0..2000 {
                let mut args: Vec<i64> = params
                    .chars()
                    .map(|_| EXTREMES[random.below(EXTREMES.len())])
                    .collect();
                // What is opened must be found, and waiting for ever is no failure.
                if random.below(2) == 0
                    && let Some(first) = args.first_mut()
                {
                    *first = random.below(6) as i64;
                }
                if *name == "poll_oneoff" {
                    // Nothing but zeros: the realtime clock, at once.
                    guest.write(0, &vec![0; 65_536]);
                }
                // Space is really taken on the disk.
                let is_mid = |arg: &i64| (100_000..i64::from(u32::MAX)).contains(arg);
                if *name == "fd_allocate" && args.iter().any(is_mid) {
                    continue;
                }
                match guest.try_call(name, &args) {
                    Ok(errno) => {
                        assert!((0..=76).contains(&errno), "{name} {args:?}: {errno}");
                        numbers += 1;
                    }
                    Err(error) => {
                        assert!(error.downcast_ref::<Exit>().is_none());
                        traps += 1;
                    }
                }
            }
            assert!(numbers + traps > 500, "{name}: {numbers} {traps}");
        }
    }
}

#[test]
fn functions_have_the_types_of_the_specification() {
    let mut host = CoreHost::<WasiCtx>::new();
    p1::add_to_host(&mut host);
    for version in p1::MODULES {
        assert_eq!(host.missing(&mirror(version)).unwrap(), []);
        // That types fit is checked when the mirror is instantiated.
        Guest::new(&mirror(version), nothing());
    }
    let other = compile(
        r#"(module (import "wasi_snapshot_preview1" "fd_close" (func (param i64) (result i32))))"#,
    );
    let error = CoreInstance::new(&mut Store::new(nothing()), &other, host).unwrap_err();
    assert_eq!(
        error.to_string(),
        "incompatible import type of `wasi_snapshot_preview1` `fd_close`: the host's function is \
         (i32) -> (i32), the import (i64) -> (i32)"
    );
}

#[test]
fn all_missing_imports_are_named() {
    let module = compile(
        r#"(module
            (import "env" "log" (func (param i32)))
            (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32)))
            (import "env" "abort" (func)))"#,
    );
    let mut host = CoreHost::<WasiCtx>::new();
    p1::add_to_host(&mut host);
    let names = |name: &str| ("env".to_string(), name.to_string());
    assert_eq!(
        host.missing(&module).unwrap(),
        [names("log"), names("abort")]
    );
    let error = CoreInstance::new(&mut Store::new(nothing()), &module, host).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown imports: `env` `log`, `env` `abort`"
    );
}

#[test]
fn addresses_outside_of_memory_trap() {
    let module = mirror(SNAPSHOT);
    let mut guest = Guest::new(&module, nothing());
    for (name, args) in [
        ("random_get", &[65_528, 9][..]),
        ("random_get", &[-1, 1]),
        ("random_get", &[0, -1]),
        ("clock_time_get", &[0, 0, 65_529]),
        ("fd_write", &[1, -4, 1, 0]),
        ("poll_oneoff", &[65_500, 0, 1, 0]),
    ] {
        let error = guest.try_call(name, args).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(name) && error.contains("memory"), "{error}");
    }
    let none = compile(
        r#"(module (import "wasi_snapshot_preview1" "random_get" (func $f (param i32 i32) (result i32)))
            (export "f" (func $f)))"#,
    );
    let mut store = Store::new(nothing());
    let mut host = CoreHost::new();
    p1::add_to_host(&mut host);
    let instance = CoreInstance::new(&mut store, &none, host).unwrap();
    let function = instance.get_func(&store, "f").unwrap();
    let args = [CoreVal::I32(0), CoreVal::I32(1)];
    let error = function.call(&mut store, &args).unwrap_err();
    assert!(format!("{error:#}").contains("the module has no memory"));
}

/// 10,000 arguments and an environment of 70 KB, with bytes that are no text.
#[test]
fn arguments_and_environment_are_of_any_size_and_bytes() {
    let mut builder = WasiCtxBuilder::new();
    for number in 0..10_000 {
        builder = builder.arg(number.to_string());
    }
    builder = builder.env("LONG", "x".repeat(70_000));
    builder = builder.env(OsStr::from_bytes(b"B\xff"), OsStr::from_bytes(b"\xfe"));
    let module = compile(&format!(
        r#"(module
            (import "{SNAPSHOT}" "args_sizes_get" (func $as (param i32 i32) (result i32)))
            (import "{SNAPSHOT}" "args_get" (func $a (param i32 i32) (result i32)))
            (import "{SNAPSHOT}" "environ_sizes_get" (func $es (param i32 i32) (result i32)))
            (import "{SNAPSHOT}" "environ_get" (func $e (param i32 i32) (result i32)))
            (export "args_sizes_get" (func $as)) (export "args_get" (func $a))
            (export "environ_sizes_get" (func $es)) (export "environ_get" (func $e))
            (memory (export "memory") 8))"#
    ));
    let mut guest = Guest::new(&module, builder.build());
    assert_eq!(guest.call("args_sizes_get", &[0, 4]), SUCCESS);
    assert_eq!((guest.word(0), guest.word(4)), (10_000, 48_890));
    assert_eq!(guest.call("args_get", &[16, 65_536]), SUCCESS);
    let last = guest.word(16 + 9_999 * 4);
    assert_eq!(guest.read(last.into(), 5), b"9999\0");
    assert_eq!(guest.call("environ_sizes_get", &[0, 4]), SUCCESS);
    assert_eq!((guest.word(0), guest.word(4)), (2, 70_011));
    assert_eq!(guest.call("environ_get", &[16, 131_072]), SUCCESS);
    let second = guest.word(20);
    assert_eq!(guest.read(second.into(), 5), b"B\xff=\xfe\0");
}

/// What the command line hands over need not be text either.
#[test]
fn the_command_line_hands_over_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("echo.wat");
    // Writes the last argument, then the first variable, each with the 0 behind it.
    let text = format!(
        r#"(module
            (import "{SNAPSHOT}" "args_get" (func $args (param i32 i32) (result i32)))
            (import "{SNAPSHOT}" "environ_get" (func $env (param i32 i32) (result i32)))
            (import "{SNAPSHOT}" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start")
              (drop (call $args (i32.const 0) (i32.const 1024)))
              (drop (call $env (i32.const 64) (i32.const 2048)))
              (i32.store (i32.const 128) (i32.load (i32.const 4)))
              (i32.store (i32.const 132) (i32.const 3))
              (i32.store (i32.const 136) (i32.load (i32.const 64)))
              (i32.store (i32.const 140) (i32.const 4))
              (drop (call $w (i32.const 1) (i32.const 128) (i32.const 2) (i32.const 160)))))"#
    );
    std::fs::write(&path, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_trampette"))
        .args([OsStr::new("run"), OsStr::new("--env")])
        .arg(OsStr::from_bytes(b"A=\xfe"))
        .arg(&path)
        .arg(OsStr::from_bytes(b"\xff\xff"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.stdout, b"\xff\xff\0A=\xfe\0");
}

#[test]
fn three_hundred_files_are_open_at_once_and_the_limit_is_emfile() {
    let module = mirror(SNAPSHOT);
    let folder = tempfile::tempdir().unwrap();
    let preopened = |builder: WasiCtxBuilder| builder.preopened_dir(folder.path(), "/").unwrap();
    let mut guest = Guest::new(&module, preopened(WasiCtxBuilder::new()).build());
    for number in 0..300 {
        let fd = guest.open(&format!("f{number}"), CREATE, READ | WRITE);
        assert_eq!(fd, Ok(4 + number));
    }
    // The preopened directory is one of them.
    let few = preopened(WasiCtxBuilder::new().max_open_files(10)).build();
    let mut guest = Guest::new(&module, few);
    for _ in 0..100 {
        for number in 0..9 {
            assert_eq!(guest.open(&format!("f{number}"), 0, READ), Ok(4 + number));
        }
        assert_eq!(guest.open("f9", 0, READ), Err(MFILE));
        // A listing needs one too.
        let listing = guest.call("fd_readdir", &[3, 1024, 1024, 0, 8]);
        assert_ne!(listing, SUCCESS);
        for fd in 4..13 {
            assert_eq!(guest.call("fd_close", &[fd]), SUCCESS);
        }
    }
    assert_eq!(guest.call("fd_close", &[4]), BADF);
}

#[test]
fn the_older_version_differs_in_whence_and_layouts() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), "12345").unwrap();
    std::fs::hard_link(folder.path().join("f"), folder.path().join("g")).unwrap();
    // (version, [start, current, end], links' address and bytes, size's address, subscription)
    let versions = [
        (SNAPSHOT, [0, 1, 2], (24, 8), 32, 16),
        (UNSTABLE, [2, 0, 1], (20, 4), 24, 24),
    ];
    for (version, [start, current, end], (links, bytes), size, clock) in versions {
        let wasi = WasiCtxBuilder::new().preopened_dir(folder.path(), "/");
        let mut guest = Guest::new(&mirror(version), wasi.unwrap().build());
        let fd = guest.open("f", 0, READ).unwrap();
        let mut seek = |delta, whence| {
            let errno = guest.call("fd_seek", &[fd, delta, whence, 0]);
            (errno, guest.long(0))
        };
        assert_eq!(seek(-1, end), (SUCCESS, 4));
        assert_eq!(seek(-2, current), (SUCCESS, 2));
        assert_eq!(seek(5, start), (SUCCESS, 5));
        assert_eq!(seek(-6, current).0, INVAL);
        assert_eq!(seek(0, 3).0, INVAL);
        let place = 2048;
        assert_eq!(guest.call("fd_filestat_get", &[fd, 2048]), SUCCESS);
        assert_eq!(guest.read(place + 16, 1), [4]);
        let mut two = vec![0; bytes];
        two[0] = 2;
        assert_eq!(guest.read(place + links, bytes), two);
        assert_eq!(guest.long(place + size), 5);
        // Ten milliseconds of the monotonic clock, between two numbers of the guest's.
        guest.write(4096, &[0; 64]);
        guest.write(4096, &77_u64.to_le_bytes());
        guest.write_words(4096 + clock, &[1]);
        guest.write(4096 + clock + 8, &10_000_000_u64.to_le_bytes());
        let before = Instant::now();
        let args = [4096, 8192, 1, 16];
        assert_eq!(guest.call("poll_oneoff", &args), SUCCESS);
        assert!(before.elapsed().as_millis() >= 10);
        assert_eq!((guest.word(16), guest.long(8192)), (1, 77));
        assert_eq!(guest.read(8200, 3), [0, 0, 0]);
    }
}

#[test]
fn clocks_wait_until_the_time_that_was_asked_for() {
    let mut guest = Guest::new(&mirror(SNAPSHOT), nothing());
    let mut wait = |clock: u32, timeout: u64, absolute: u32| {
        guest.write(0, &[0; 48]);
        guest.write_words(16, &[clock]);
        guest.write(24, &timeout.to_le_bytes());
        guest.write_words(40, &[absolute]);
        // At most a millisecond is asked for.
        let watch = Watch::due(Instant::now() + Duration::from_millis(1));
        let errno = guest.call("poll_oneoff", &[0, 64, 1, 128]);
        let took = watch.stopped();
        assert!(took < PROMPT, "{took:?}");
        (errno, i32::from(guest.read(72, 1)[0]))
    };
    for clock in [0, 1] {
        assert_eq!(wait(clock, 0, 0), (SUCCESS, 0));
        assert_eq!(wait(clock, 1_000_000, 0), (SUCCESS, 0));
        assert_eq!(wait(clock, 0, 1), (SUCCESS, 0));
        assert_eq!(wait(clock, 1, 1), (SUCCESS, 0));
    }
    // The time that the host used is not the guest's.
    assert_eq!(wait(2, 0, 0), (SUCCESS, NOTSUP));
    assert_eq!(wait(3, 0, 0), (SUCCESS, NOTSUP));
    assert_eq!(wait(4, 0, 0).0, INVAL);
    assert_eq!(wait(0, 0, 2).0, INVAL);
    assert_eq!(guest.call("poll_oneoff", &[0, 64, 0, 128]), INVAL);
}

#[test]
fn standard_streams_are_what_the_host_says() {
    let module = mirror(SNAPSHOT);
    let (output, captured) = Output::captured(10);
    let (errors, seen) = std::sync::mpsc::channel();
    let wasi = WasiCtxBuilder::new()
        .stdin(Input::bytes("line\nrest"))
        .stdout(output)
        .stderr(Output::from_fn(move |bytes| {
            errors.send(bytes.to_vec()).map_err(std::io::Error::other)
        }));
    let mut guest = Guest::new(&module, wasi.build());
    assert_eq!(guest.get(0, 5).unwrap(), b"line\n");
    assert_eq!(guest.get(0, 100).unwrap(), b"rest");
    assert_eq!(guest.get(0, 100).unwrap(), b"");
    assert_eq!(guest.put(1, b"0123456"), (SUCCESS, 7));
    assert_eq!(captured.contents(), b"0123456");
    assert!(!captured.overflowed());
    // What fits is kept; the guest learns that not all of it did.
    assert_eq!(guest.put(1, b"789ab").0, NOSPC);
    assert_eq!(captured.take(), b"0123456789");
    assert!(captured.overflowed());
    assert_eq!(guest.put(1, b"again"), (SUCCESS, 5));
    assert_eq!(captured.contents(), b"again");
    assert_eq!(guest.put(2, b"oh"), (SUCCESS, 2));
    assert_eq!(seen.recv().unwrap(), b"oh");
    assert_eq!(guest.get(1, 1), Err(BADF));
    assert_eq!(guest.put(0, b"x").0, BADF);
    assert_eq!(guest.call("fd_seek", &[0, 0, 1, 8]), SPIPE);
}

#[test]
fn standard_streams_are_files_and_pipes() {
    use std::io::{Read, Seek};
    let module = mirror(SNAPSHOT);
    let mut file = tempfile::tempfile().unwrap();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let wasi = WasiCtxBuilder::new()
        .stdin(Input::file(std::os::fd::OwnedFd::from(reader).into()))
        .stdout(Output::file(file.try_clone().unwrap()));
    let mut guest = Guest::new(&module, wasi.build());
    // A large write goes through whole.
    let many = vec![b'x'; 50_000];
    assert_eq!(guest.put(1, &many), (SUCCESS, 50_000));
    file.rewind().unwrap();
    let mut found = Vec::new();
    file.read_to_end(&mut found).unwrap();
    assert_eq!(found, many);
    // A guest that does not want to wait need not.
    let nonblocking = 4;
    assert_eq!(
        guest.call("fd_fdstat_set_flags", &[0, nonblocking]),
        SUCCESS
    );
    assert_eq!(guest.get(0, 10), Err(6));
    assert_eq!(guest.call("fd_fdstat_set_flags", &[0, 0]), SUCCESS);
    let waits = std::thread::spawn(move || guest.get(0, 10));
    std::thread::sleep(Duration::from_millis(20));
    std::io::Write::write_all(&mut writer, b"late").unwrap();
    assert_eq!(waits.join().unwrap().unwrap(), b"late");
}

/// Names of any bytes are listed, page by page, and opened.
#[test]
fn names_are_bytes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(OsStr::from_bytes(b"\xff")), "one").unwrap();
    for number in 0..50 {
        std::fs::write(folder.path().join(format!("file-{number}")), "").unwrap();
    }
    let wasi = WasiCtxBuilder::new().preopened_dir(folder.path(), "/");
    let mut guest = Guest::new(&mirror(SNAPSHOT), wasi.unwrap().build());
    for room in [64, 300, 60_000] {
        let mut names: Vec<Vec<u8>> = Vec::new();
        let mut cookie = 0;
        loop {
            let args = [3, 1024, room, cookie, 0];
            assert_eq!(guest.call("fd_readdir", &args), SUCCESS);
            let used = guest.word(0);
            let page = guest.read(1024, used as usize);
            let mut rest = &page[..];
            while let Some(header) = rest.first_chunk::<24>() {
                let length = u32::from_le_bytes(header[16..20].try_into().unwrap()) as usize;
                let Some(name) = rest.get(24..24 + length) else {
                    break;
                };
                cookie = i64::from_le_bytes(header[..8].try_into().unwrap());
                names.push(name.to_vec());
                rest = &rest[24 + length..];
            }
            if i64::from(used) < room {
                break;
            }
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 53, "{room}");
        assert!(names.contains(&b"\xff".to_vec()));
    }
    guest.write(1024, b"\xff");
    let args = [3, 0, 1024, 1, 0, READ, 0, 0, 512];
    assert_eq!(guest.call("path_open", &args), SUCCESS);
    let fd = guest.word(512).into();
    assert_eq!(guest.get(fd, 10).unwrap(), b"one");
}

/// A trap's offsets are those of the module's own file.
#[test]
fn offsets_are_those_of_the_users_file() {
    let text = format!(
        r#"(module
            (import "{SNAPSHOT}" "sched_yield" (func $yield (result i32)))
            (memory (export "memory") 1)
            (func (export "_start") (drop (call $yield)) (drop (i32.const 1234567)) (unreachable)))"#
    );
    let wasm = wat::parse_str(&text).unwrap();
    // `i32.const 1234567`, `drop`, `unreachable`.
    let code = [0x41, 0x87, 0xad, 0xcb, 0x00, 0x1a, 0x00];
    let before = wasm.windows(code.len()).position(|bytes| bytes == code);
    let expected = before.unwrap() + code.len() - 1;
    let module = compile(&text);
    let mut store = Store::new(nothing());
    let mut host = CoreHost::new();
    p1::add_to_host(&mut host);
    let instance = CoreInstance::new(&mut store, &module, host).unwrap();
    let start = instance.get_func(&store, "_start").unwrap();
    let error = start.call(&mut store, &[]).unwrap_err();
    let trap = error.downcast_ref::<Trap>().unwrap();
    assert_eq!(trap.frames()[0].offset, Some(expected as u32));
}

/// A host function of the embedder's own can use the memory of whoever imports it.
#[test]
fn host_functions_get_their_importers_memory() {
    let module = compile(
        r#"(module
            (import "host" "length" (func $length (param i32) (result i32)))
            (memory (export "other") 1)
            (memory (export "memory") 1)
            (data (memory 1) (i32.const 5) "four\00")
            (func (export "f") (result i32) (call $length (i32.const 5))))"#,
    );
    let mut host = CoreHost::<()>::new();
    let ty = CoreFuncType {
        params: vec![CoreValueType::I32],
        results: vec![CoreValueType::I32],
    };
    host.func_with_memory("host", "length", ty, |caller, memory, args| {
        let (Some(memory), [CoreVal::I32(at)]) = (memory, args) else {
            anyhow::bail!("no memory, or no address");
        };
        let mut length = 0;
        let mut byte = [1];
        loop {
            memory.read(&caller, *at as u64 + length, &mut byte)?;
            if byte == [0] {
                return Ok(vec![CoreVal::I32(length as i32)]);
            }
            length += 1;
        }
    });
    let mut store = Store::new(());
    let instance = CoreInstance::new(&mut store, &module, host).unwrap();
    let function = instance.get_func(&store, "f").unwrap();
    let results = function.call(&mut store, &[]).unwrap();
    assert_eq!(results, [CoreVal::I32(4)]);
}

/// Clocks and random bytes of the host's own. (Those of WASI 0.2 and 0.3 are in
/// `crates/wasi/src/common/determinism_tests.rs`.)
#[test]
fn clocks_and_random_bytes_are_the_hosts() {
    let wasi = WasiCtxBuilder::new()
        .random(SeededRandom::new(7))
        .monotonic_clock(Simulated(AtomicU64::new(7)))
        .wall_clock(|| UNIX_EPOCH + Duration::new(1_577_836_800, 5));
    let mut guest = Guest::new(&mirror(SNAPSHOT), wasi.build());
    let mut expected = [0; 32];
    SeededRandom::new(7).fill(&mut expected);
    assert_eq!(guest.call("random_get", &[64, 5]), SUCCESS);
    assert_eq!(guest.call("random_get", &[69, 27]), SUCCESS);
    assert_eq!(guest.read(64, 32), expected);
    let mut now = |clock: i64| {
        assert_eq!(guest.call("clock_time_get", &[clock, 0, 0]), SUCCESS);
        guest.long(0)
    };
    let wall = 1_577_836_800_000_000_005;
    assert_eq!((now(0), now(1)), (wall, 7));
    // An hour of the monotonic clock, and one of the wall clock: no time of the test's.
    for (clock, flags, timeout, shown) in [
        (1, 0, HOUR, HOUR + 7),
        (1, 1, 2 * HOUR, 2 * HOUR),
        (0, 1, wall + HOUR, 3 * HOUR),
    ] {
        let mut subscription = [0; 48];
        subscription[16] = clock;
        subscription[24..32].copy_from_slice(&timeout.to_le_bytes());
        subscription[40] = flags;
        guest.write(1024, &subscription);
        assert_eq!(guest.call("poll_oneoff", &[1024, 2048, 1, 0]), SUCCESS);
        assert_eq!(guest.word(0), 1);
        assert_eq!(guest.call("clock_time_get", &[1, 0, 0]), SUCCESS);
        assert_eq!(guest.long(0), shown);
    }
}

const HOUR: u64 = 3_600_000_000_000;

/// Time passes only while the guest waits, and waiting takes none.
struct Simulated(AtomicU64);

impl MonotonicClock for Simulated {
    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn instant(&self, when: u64) -> Option<Instant> {
        self.0.fetch_max(when, Ordering::Relaxed);
        Some(Instant::now())
    }
}
