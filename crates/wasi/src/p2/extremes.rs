//! Tests: calls of WASI 0.2 with numbers at which arithmetic breaks, and its standard streams.
//! (Those of preview 1 are in the package's `tests/preview1.rs`, where guests can be compiled.)

use crate::p2::bindings::wasi::cli::{stdin::Host as _, stdout::Host as _};
use crate::p2::bindings::wasi::clocks::monotonic_clock::Host as _;
use crate::p2::bindings::wasi::clocks::wall_clock::Datetime;
use crate::p2::bindings::wasi::filesystem::preopens::Host as _;
use crate::p2::bindings::wasi::filesystem::types::{Advice, HostDescriptor, NewTimestamp};
use crate::p2::bindings::wasi::io::poll::HostPollable;
use crate::p2::bindings::wasi::io::streams::{HostInputStream, HostOutputStream};
use crate::p2::bindings::wasi::random::random::Host as _;
use crate::p2::filesystem::Failure;
use crate::p2::io;
use crate::{
    Descriptor, DescriptorFlags, ErrorCode, Input, OpenFlags, Output, PathFlags, WasiCtx,
    WasiCtxBuilder,
};
use trampette_runtime::Resource;

const EXTREMES: [u64; 8] = [
    0,
    1,
    u32::MAX as u64,
    1 << 62,
    i64::MAX as u64,
    i64::MAX as u64 + 1,
    u64::MAX - 1,
    u64::MAX,
];

/// What a call with nonsense may do: fail with a code, or trap; not panic.
fn settled<R>(result: Result<R, Failure>) -> Option<ErrorCode> {
    match result {
        Err(Failure::Code(code)) => Some(code),
        Ok(_) | Err(Failure::Trap(_)) => None,
    }
}

fn with_file() -> (tempfile::TempDir, WasiCtx, Resource<Descriptor>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "contents").unwrap();
    let wasi = WasiCtxBuilder::new().preopened_dir(folder.path(), "/");
    let mut wasi = wasi.unwrap().build();
    let (dir, _) = wasi.get_directories().unwrap().remove(0);
    (folder, wasi, dir)
}

/// Another handle of the same descriptor, for a call that takes it.
fn again<R: 'static>(resource: &Resource<R>) -> Resource<R> {
    Resource::new(resource.rep())
}

fn open(wasi: &mut WasiCtx, dir: &Resource<Descriptor>) -> Resource<Descriptor> {
    let (none, open) = (PathFlags::empty(), OpenFlags::empty());
    let both = DescriptorFlags::READ | DescriptorFlags::WRITE;
    match wasi.open_at(again(dir), none, "file", open, both) {
        Ok(file) => file,
        Err(_) => panic!("it is there"),
    }
}

#[test]
fn offsets_and_sizes_of_files() {
    let (_folder, mut wasi, dir) = with_file();
    let file = open(&mut wasi, &dir);
    for a in EXTREMES {
        for b in EXTREMES {
            settled(HostDescriptor::read(&mut wasi, again(&file), a, b));
            settled(wasi.advise(again(&file), a, b, Advice::WillNeed));
            if let Ok(stream) = wasi.read_via_stream(again(&file), a) {
                let _ = HostInputStream::read(&mut wasi, again(&stream), b);
                let _ = HostInputStream::skip(&mut wasi, again(&stream), b);
            }
        }
        if a > i64::MAX as u64 {
            let written = HostDescriptor::write(&mut wasi, again(&file), b"x", a);
            assert!(settled(written).is_some(), "{a}");
            assert!(settled(wasi.set_size(again(&file), a)).is_some(), "{a}");
            let Ok(stream) = wasi.write_via_stream(again(&file), a) else {
                panic!("a position is only looked at when it is used");
            };
            assert!(HostOutputStream::write(&mut wasi, again(&stream), b"x").is_err());
            assert!(HostOutputStream::write_zeroes(&mut wasi, again(&stream), a).is_err());
        }
    }
}

#[test]
fn times_of_files() {
    let (_folder, mut wasi, dir) = with_file();
    let file = open(&mut wasi, &dir);
    // The two that the system gives a meaning of their own to, and around a second.
    let all_nanoseconds = [
        0,
        999_999_999,
        1_000_000_000,
        0x3fff_ffff,
        0x3fff_fffe,
        u32::MAX,
    ];
    for seconds in EXTREMES {
        for nanoseconds in all_nanoseconds {
            let time = || {
                NewTimestamp::Timestamp(Datetime {
                    seconds,
                    nanoseconds,
                })
            };
            for follow in [PathFlags::empty(), PathFlags::SYMLINK_FOLLOW] {
                let (first, second) = (time(), NewTimestamp::NoChange);
                let result = wasi.set_times_at(again(&dir), follow, "file", first, second);
                let at = settled(result);
                let open = settled(wasi.set_times(again(&file), NewTimestamp::Now, time()));
                if nanoseconds >= 1_000_000_000 {
                    assert_eq!(
                        (at, open),
                        (Some(ErrorCode::Invalid), Some(ErrorCode::Invalid))
                    );
                } else if seconds > i64::MAX as u64 {
                    assert_eq!(
                        (at, open),
                        (Some(ErrorCode::Overflow), Some(ErrorCode::Overflow))
                    );
                }
            }
        }
    }
}

#[test]
fn clocks_and_random_bytes() {
    let mut wasi = WasiCtxBuilder::new().build();
    for when in EXTREMES {
        let instant = wasi.subscribe_instant(when).unwrap();
        let duration = wasi.subscribe_duration(when).unwrap();
        for pollable in [instant, duration] {
            let soon = when <= 1;
            std::thread::sleep(std::time::Duration::from_micros(1));
            assert_eq!(wasi.ready(again(&pollable)).unwrap(), soon, "{when}");
            if soon {
                wasi.block(again(&pollable)).now().unwrap().unwrap();
            }
            HostPollable::drop(&mut wasi, pollable).unwrap();
        }
        assert_eq!(wasi.get_random_bytes(when).is_ok(), when <= 1, "{when}");
    }
}

#[test]
fn open_files_are_limited() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "contents").unwrap();
    let wasi = WasiCtxBuilder::new().max_open_files(4);
    let mut wasi = wasi.preopened_dir(folder.path(), "/").unwrap().build();
    let (dir, _) = wasi.get_directories().unwrap().remove(0);
    let files: Vec<_> = (0..3).map(|_| open(&mut wasi, &dir)).collect();
    let more = |wasi: &mut WasiCtx| {
        let read = DescriptorFlags::READ;
        let (none, nothing) = (PathFlags::empty(), OpenFlags::empty());
        settled(wasi.open_at(again(&dir), none, "file", nothing, read))
    };
    assert_eq!(more(&mut wasi), Some(ErrorCode::InsufficientMemory));
    let listing = settled(wasi.read_directory(again(&dir)));
    assert_eq!(listing, Some(ErrorCode::InsufficientMemory));
    assert!(wasi.get_directories().is_err());
    // A stream keeps the file of a descriptor that is given up.
    let [first, ..] = &files[..] else { panic!() };
    let Ok(stream) = wasi.read_via_stream(again(first), 0) else {
        panic!("it can be read");
    };
    HostDescriptor::drop(&mut wasi, again(first)).unwrap();
    assert_eq!(more(&mut wasi), Some(ErrorCode::InsufficientMemory));
    HostInputStream::drop(&mut wasi, stream).unwrap();
    assert_eq!(more(&mut wasi), None);
}

#[test]
fn names_that_are_no_text_are_left_out() {
    use std::os::unix::ffi::OsStrExt;
    let (folder, mut wasi, dir) = with_file();
    let name = std::ffi::OsStr::from_bytes(b"\xff");
    std::fs::write(folder.path().join(name), "").unwrap();
    let Ok(stream) = wasi.read_directory(again(&dir)) else {
        panic!("it can be read");
    };
    let stream = wasi.table.get_mut(&stream).unwrap();
    let first = stream.next_entry().unwrap();
    assert_eq!(first.map(|entry| entry.name).as_deref(), Some("file"));
    assert!(stream.next_entry().unwrap().is_none());
}

#[test]
fn standard_streams_are_what_the_host_says() {
    let (output, captured) = Output::captured(4);
    let wasi = WasiCtxBuilder::new().stdin(Input::bytes("input"));
    let mut wasi = wasi.stdout(output).build();
    let stdin = wasi.get_stdin().unwrap();
    // Another handle goes on where the first one is.
    let other = wasi.get_stdin().unwrap();
    let mut read = |stream: &Resource<_>, length| match HostInputStream::blocking_read(
        &mut wasi,
        again(stream),
        length,
    )
    .now()
    {
        Some(Ok(bytes)) => Some(bytes),
        Some(Err(io::Failure::Closed)) => None,
        _ => panic!("it can be read"),
    };
    assert_eq!(read(&stdin, 2).unwrap(), b"in");
    assert_eq!(read(&other, 100).unwrap(), b"put");
    assert_eq!(read(&stdin, 100), None);
    let stdout = wasi.get_stdout().unwrap();
    assert!(HostOutputStream::write(&mut wasi, again(&stdout), b"123").is_ok());
    let full = HostOutputStream::write(&mut wasi, again(&stdout), b"45");
    let Err(io::Failure::Failed(error)) = full else {
        panic!("there is no room");
    };
    assert_eq!(ErrorCode::from(&error), ErrorCode::InsufficientSpace);
    assert_eq!(captured.contents(), b"1234");
    assert!(captured.overflowed());
}
