//! Files that are read for streams of 0.3: what is in the system's memory in place, and the rest by
//! other threads, which here do only what a test lets them do.

use crate::common::budget::Budget;
use crate::common::bytes::{FileSource, OtherThreads, Source};
use crate::common::descriptor::OpenFile;
use crate::common::reactor::{Reaction, Reactor, Watch};
use crate::{Access, Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use rustix::fs::Advice;
use rustix::io::{Errno, ReadWriteFlags};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// Threads that begin nothing by themselves.
#[derive(Default)]
struct Asked(Mutex<Vec<Box<dyn FnOnce() + Send>>>);

impl Reactor for Asked {
    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        panic!("nothing waits for time")
    }

    fn watch(&self, _: Arc<OwnedFd>) -> io::Result<Box<dyn Watch>> {
        panic!("nothing is watched")
    }

    fn run_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        self.0.lock().unwrap().push(work);
    }
}

impl Asked {
    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn work(&self) {
        let all = std::mem::take(&mut *self.0.lock().unwrap());
        all.into_iter().for_each(|work| work());
    }
}

fn others(asked: &Arc<Asked>, reads: usize) -> OtherThreads {
    OtherThreads {
        reaction: Reaction(Some(asked.clone())),
        reads: Budget::new(reads),
    }
}

fn open(folder: &Path, name: &str) -> Arc<OpenFile> {
    let folder = Descriptor::directory(File::open(folder).unwrap(), Access::ReadOnly);
    let (none, read) = (OpenFlags::empty(), DescriptorFlags::READ);
    let opened = folder.open_at(PathFlags::empty(), name, none, read);
    opened.unwrap().readable().unwrap().clone()
}

fn poll(source: &mut FileSource, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
    source.poll_read(&mut Context::from_waker(Waker::noop()), buffer)
}

/// Takes a file out of the system's memory; false where that cannot be done.
fn forget(file: &OpenFile) -> bool {
    file.sync_all().unwrap();
    rustix::fs::fadvise(&**file, 0, None, Advice::DontNeed).unwrap();
    read_now(file) == Err(Errno::AGAIN)
}

/// Reads a byte, if it is in the system's memory.
fn read_now(file: &OpenFile) -> Result<usize, Errno> {
    let mut byte = [0];
    let mut parts = [io::IoSliceMut::new(&mut byte)];
    rustix::io::preadv2(&**file, &mut parts, 0, ReadWriteFlags::NOWAIT)
}

/// A file of bytes, each of which says where it is.
fn written(folder: &Path, length: usize) -> Vec<u8> {
    let bytes: Vec<u8> = (0..length).map(|at| (at ^ (at >> 8)) as u8).collect();
    std::fs::write(folder.join("file"), &bytes).unwrap();
    bytes
}

/// Reads to the end; how often it had to wait.
fn all(source: &mut FileSource, asked: &Asked, size: usize) -> (Vec<u8>, usize) {
    let (mut bytes, mut waits, mut buffer) = (Vec::new(), 0, vec![0; size]);
    loop {
        match poll(source, &mut buffer) {
            Poll::Pending => {
                assert_eq!(asked.count(), 1, "it waits for something");
                asked.work();
                waits += 1;
            }
            Poll::Ready(Ok(0)) => return (bytes, waits),
            Poll::Ready(Ok(count)) => bytes.extend(&buffer[..count]),
            Poll::Ready(Err(error)) => panic!("{error}"),
        }
    }
}

#[test]
fn what_is_in_memory_is_read_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = written(folder.path(), 300_000);
    let file = open(folder.path(), "file");
    let asked = Arc::new(Asked::default());
    for from in [0, 1, 299_999, 300_000, 400_000] {
        let mut source = FileSource::new(file.clone(), from as u64, Some(others(&asked, 1)));
        let (found, waits) = all(&mut source, &asked, 70_000);
        assert!(found == bytes[from.min(bytes.len())..], "from {from}");
        assert!(
            waits == 0 || read_now(&file) == Err(Errno::OPNOTSUPP),
            "{waits} waits"
        );
    }
}

#[test]
fn what_is_not_in_memory_is_read_by_other_threads() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = written(folder.path(), 1 << 20);
    let file = open(folder.path(), "file");
    let asked = Arc::new(Asked::default());
    for size in [100_000, 1000] {
        if !forget(&file) {
            return;
        }
        let mut source = FileSource::new(file.clone(), 0, Some(others(&asked, 1)));
        let (found, waits) = all(&mut source, &asked, size);
        assert!(found == bytes && waits > 0, "{size}: {waits} waits");
        // Without such threads nothing waits.
        forget(&file);
        let mut source = FileSource::new(file.clone(), 0, None);
        assert!(all(&mut source, &asked, size) == (bytes.clone(), 0));
    }
}

/// The files of `/proc` are of those that do not say.
#[test]
fn where_nothing_is_said_of_memory_other_threads_read() {
    let asked = Arc::new(Asked::default());
    let file = open(Path::new("/proc"), "version");
    let mut source = FileSource::new(file, 0, Some(others(&asked, 1)));
    let (found, waits) = all(&mut source, &asked, 10);
    assert_eq!(found, std::fs::read("/proc/version").unwrap());
    assert!(waits > found.len() / 10, "{waits}");
}

/// Whoever has many reads under way waits in place for the others; what is given up counts until
/// it is over.
#[test]
fn reads_are_limited_and_given_back() {
    let asked = Arc::new(Asked::default());
    let others = others(&asked, 3);
    let file = open(Path::new("/proc"), "version");
    let source = || FileSource::new(file.clone(), 0, Some(others.clone()));
    let mut sources: Vec<_> = (0..5).map(|_| source()).collect();
    let mut buffer = [0; 10];
    let waits = |source: &mut FileSource, buffer: &mut [u8]| poll(source, buffer).is_pending();
    let waiting = sources.iter_mut().map(|source| waits(source, &mut buffer));
    assert_eq!(
        waiting.collect::<Vec<_>>(),
        [true, true, true, false, false]
    );
    assert_eq!(&buffer[..5], b"Linux");
    sources.truncate(1);
    assert!(
        !waits(&mut source(), &mut buffer),
        "two are given up, and not over"
    );
    asked.work();
    let mut more = [source(), source()];
    assert!(more.iter_mut().all(|source| waits(source, &mut buffer)));
    assert!(
        !waits(&mut source(), &mut buffer),
        "one is over, and not taken"
    );
    assert!(matches!(
        poll(&mut sources[0], &mut buffer),
        Poll::Ready(Ok(10))
    ));
    assert!(waits(&mut source(), &mut buffer));
}

/// A guest may give up a read, write, and read again: what it gets is what it wrote.
#[test]
fn what_was_read_before_a_write_is_not_given_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = written(folder.path(), 200_000);
    let file = open(folder.path(), "file");
    let asked = Arc::new(Asked::default());
    if !forget(&file) {
        return;
    }
    let mut source = FileSource::new(file.clone(), 0, Some(others(&asked, 1)));
    assert!(poll(&mut source, &mut [0; 1000]).is_pending());
    asked.work();
    bytes[..4].copy_from_slice(b"new!");
    std::fs::write(folder.path().join("file"), &bytes).unwrap();
    assert!(all(&mut source, &asked, 50_000).0 == bytes);
}

#[test]
fn failures_are_those_of_the_system() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), 10);
    let file = open(folder.path(), "file");
    let asked = Arc::new(Asked::default());
    for position in [1 << 63, u64::MAX] {
        for others in [None, Some(others(&asked, 1))] {
            let mut source = FileSource::new(file.clone(), position, others);
            let Poll::Ready(Err(error)) = poll(&mut source, &mut [0; 4]) else {
                panic!("there is nothing at {position}")
            };
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }
    // Threads that are gone do nothing.
    let file = open(Path::new("/proc"), "version");
    let mut source = FileSource::new(file, 0, Some(others(&asked, 1)));
    assert!(poll(&mut source, &mut [0; 4]).is_pending());
    asked.0.lock().unwrap().clear();
    assert!(matches!(
        poll(&mut source, &mut [0; 4]),
        Poll::Ready(Err(_))
    ));
}
