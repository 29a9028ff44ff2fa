//! Lookups below an open directory that never leave it, whatever the path says and whoever changes
//! the directories meanwhile.
//!
//! The kernel does them (`openat2` with `RESOLVE_BENEATH`). Where it cannot, or a sandbox around
//! this process does not let it, [`walk`](walk()) does the same one component after the other, with
//! directories that stay open, so that a `..` goes back to where the walk came from.

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Timestamps};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a symbolic link that a path ends at is looked through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Follow {
    /// It is.
    Yes,
    /// It is not, unless slashes behind it ask for a directory.
    No,
}

/// A path that leads outside is not permitted.
const OUTSIDE: Errno = Errno::PERM;
/// Symbolic links that a path may go through: as many as natively.
const MOST_LINKS: u32 = 40;
/// How often a lookup is tried that others disturb by renaming.
const TRIES: u32 = 64;
/// Rights of what is made, before the process's mask.
const NEW_FILE: Mode = Mode::RUSR
    .union(Mode::WUSR)
    .union(Mode::RGRP)
    .union(Mode::WGRP)
    .union(Mode::ROTH)
    .union(Mode::WOTH);

/// Whether the kernel has refused `openat2` as a whole.
static HAS_NO_OPENAT2: AtomicBool = AtomicBool::new(false);

/// Opens what a path leads to.
///
/// # Errors
/// The system's; `EPERM` if the path leads outside.
pub(crate) fn open(
    dir: impl AsFd,
    path: &Path,
    flags: OFlags,
    follow: Follow,
) -> Result<OwnedFd, Errno> {
    let dir = dir.as_fd();
    let flags = flags | OFlags::CLOEXEC;
    if !HAS_NO_OPENAT2.load(Ordering::Relaxed) {
        match by_kernel(dir, path, flags, follow) {
            Err(Errno::XDEV) => return Err(OUTSIDE),
            // A sandbox around the process says the latter of every call; a file of its own.
            Err(Errno::NOSYS | Errno::PERM) if !is_there(dir) => {
                HAS_NO_OPENAT2.store(true, Ordering::Relaxed);
            }
            found => return found,
        }
    }
    walk(dir, path, flags, follow)
}

/// Whether the kernel does any such lookup.
fn is_there(dir: BorrowedFd<'_>) -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    by_kernel(dir, Path::new("."), flags, Follow::Yes).is_ok()
}

fn by_kernel(
    dir: BorrowedFd<'_>,
    path: &Path,
    mut flags: OFlags,
    follow: Follow,
) -> Result<OwnedFd, Errno> {
    if follow == Follow::No {
        flags |= OFlags::NOFOLLOW;
    }
    // The kernel insists on no rights where nothing is made.
    let mode = match flags.contains(OFlags::CREATE) {
        true => NEW_FILE,
        false => Mode::empty(),
    };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..TRIES {
        match rustix::fs::openat2(dir, path, flags, mode, resolve) {
            // Something was renamed meanwhile, so that it is not certain where `..` led.
            Err(Errno::AGAIN | Errno::INTR) => {}
            found => return found,
        }
    }
    Err(Errno::AGAIN)
}

/// What is left of a path that is walked.
struct Left {
    /// Components, the next one first.
    names: VecDeque<OsString>,
    /// Whether the path ends with slashes, and so asks for a directory.
    wants_directory: bool,
}

impl Left {
    fn of(path: &OsStr) -> Result<Left, Errno> {
        let bytes = path.as_bytes();
        if bytes.is_empty() {
            return Err(Errno::NOENT);
        }
        if bytes.starts_with(b"/") {
            return Err(OUTSIDE);
        }
        let names = bytes.split(|byte| *byte == b'/');
        let names = names.filter(|name| !name.is_empty());
        Ok(Left {
            names: names.map(|name| OsStr::from_bytes(name).into()).collect(),
            wants_directory: bytes.ends_with(b"/"),
        })
    }

    /// Puts what a symbolic link says before what is left.
    fn go_through(&mut self, target: &OsStr) -> Result<(), Errno> {
        let mut new = Left::of(target)?;
        self.wants_directory |= new.wants_directory && self.names.is_empty();
        new.names.append(&mut self.names);
        self.names = new.names;
        Ok(())
    }
}

/// [`open`] without the kernel's help.
pub(crate) fn walk(
    dir: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    follow: Follow,
) -> Result<OwnedFd, Errno> {
    const PASS: OFlags = OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);
    let mut left = Left::of(path.as_os_str())?;
    // Directories below `dir` that the walk is in, each inside of the one before.
    let mut inside: Vec<OwnedFd> = Vec::new();
    let mut links = 0;
    while let Some(name) = left.names.pop_front() {
        let here = inside.last().map_or(dir, |fd| fd.as_fd());
        let is_last = left.names.is_empty();
        match name.as_bytes() {
            b"." => continue,
            b".." => {
                inside.pop().ok_or(OUTSIDE)?;
                continue;
            }
            _ => {}
        }
        if is_last && (follow == Follow::No || makes_new(flags)) && !left.wants_directory {
            match open_last(here, &name, flags) {
                Err(Errno::LOOP) if follow == Follow::Yes => {}
                found => return found,
            }
        }
        if is_last && makes_new(flags) && left.wants_directory {
            // As natively, that cannot be made by opening.
            return Err(Errno::ISDIR);
        }
        let found = rustix::fs::openat(here, &name, PASS, Mode::empty())?;
        match FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode) {
            FileType::Symlink => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Errno::LOOP);
                }
                let target = rustix::fs::readlinkat(&found, "", Vec::new())?;
                left.go_through(&OsString::from_vec(target.into_bytes()))?;
            }
            FileType::Directory => inside.push(found),
            _ if !is_last || left.wants_directory => return Err(Errno::NOTDIR),
            // Opened again by its name: if that is a link by now, it is not followed.
            _ => return open_last(here, &name, flags),
        }
    }
    // The path leads to a directory.
    if flags.contains(OFlags::CREATE) {
        let exclusive = flags.contains(OFlags::EXCL);
        return Err(if exclusive {
            Errno::EXIST
        } else {
            Errno::ISDIR
        });
    }
    let here = inside.last().map_or(dir, |fd| fd.as_fd());
    rustix::fs::openat(here, ".", flags, Mode::empty())
}

fn makes_new(flags: OFlags) -> bool {
    flags.contains(OFlags::CREATE)
}

/// Opens an entry of a directory; `ELOOP` if it is a symbolic link, unless that itself is wanted.
fn open_last(here: BorrowedFd<'_>, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::NOFOLLOW;
    rustix::fs::openat(here, name, flags, NEW_FILE)
}

/// What a path leads to.
///
/// # Errors
/// As [`open`].
pub(crate) fn metadata(dir: impl AsFd, path: &Path, follow: Follow) -> Result<Metadata, Errno> {
    let found = open(dir, path, OFlags::PATH, follow)?;
    let metadata = File::from(found).metadata();
    metadata.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// Sets the times of what a path leads to.
///
/// # Errors
/// As [`open`].
pub(crate) fn set_times(dir: impl AsFd, path: &Path, times: &Timestamps) -> Result<(), Errno> {
    let found = open(dir, path, OFlags::PATH, Follow::Yes)?;
    match rustix::fs::utimensat(&found, "", times, AtFlags::EMPTY_PATH) {
        // Kernels before 5.8.
        Err(Errno::INVAL) => {
            let path = format!("/proc/self/fd/{}", found.as_raw_fd());
            rustix::fs::utimensat(CWD, path, times, AtFlags::empty())
        }
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    /// A folder with links of all kinds, inside of one that must not be reached.
    fn folder() -> tempfile::TempDir {
        let outer = tempfile::tempdir().unwrap();
        let at = |path: &str| outer.path().join("inner").join(path);
        std::fs::create_dir_all(at("a/b/c")).unwrap();
        std::fs::write(outer.path().join("secret"), "secret").unwrap();
        std::fs::write(at("f"), "f").unwrap();
        std::fs::write(at("a/f"), "a/f").unwrap();
        let links = [
            ("to-f", "f"),
            ("to-a", "a"),
            ("to-a-slash", "a/"),
            ("to-f-slash", "f/"),
            ("to-secret", "../secret"),
            ("to-outer", ".."),
            ("to-root", "/"),
            ("to-none", "none"),
            ("loop", "loop"),
            ("a/up", ".."),
            ("a/up-up", "../.."),
            ("a/b/to-f", "../../to-f"),
            ("a/b/around", "../../a/b/../f"),
        ];
        for (link, target) in links {
            symlink(target, at(link)).unwrap();
        }
        let mut chain = "f".to_string();
        for index in 0..=MOST_LINKS {
            let link = format!("chain-{index}");
            symlink(&chain, at(&link)).unwrap();
            chain = link;
        }
        outer
    }

    /// All paths of up to three components.
    fn paths() -> Vec<String> {
        let names = [
            ".",
            "..",
            "a",
            "b",
            "c",
            "f",
            "none",
            "new",
            "to-f",
            "to-a",
            "to-a-slash",
            "to-f-slash",
            "to-secret",
            "to-outer",
            "to-root",
            "to-none",
            "loop",
            "up",
            "up-up",
            "around",
            "inner",
            "secret",
        ];
        let mut paths = vec![String::new(), "/".into(), "/f".into(), "//".into()];
        paths.extend([38, 39, 40].map(|index| format!("chain-{index}")));
        for first in names {
            paths.push(first.to_string());
            for second in names {
                paths.push(format!("{first}/{second}"));
                paths.extend(names.map(|third| format!("{first}/{second}/{third}")));
            }
        }
        let slashes = paths
            .iter()
            .flat_map(|path| [format!("{path}/"), format!("{path}//")]);
        let all = slashes.collect::<Vec<_>>();
        paths.extend(all);
        paths
    }

    /// What was found: its kind, and which one it is.
    fn identity(found: Result<OwnedFd, Errno>) -> Result<(u32, u64), Errno> {
        let metadata = File::from(found?).metadata().unwrap();
        Ok((metadata.mode(), metadata.ino()))
    }

    /// A walk finds what the kernel finds, and refuses what it refuses, for the same reason.
    #[test]
    fn a_walk_is_what_the_kernel_does() {
        let outer = folder();
        let dir = File::open(outer.path().join("inner")).unwrap();
        let secret = std::fs::metadata(outer.path().join("secret"))
            .unwrap()
            .ino();
        let of_dir = std::fs::metadata(outer.path()).unwrap().ino();
        if !is_there(dir.as_fd()) {
            return;
        }
        let flags = [
            OFlags::PATH,
            OFlags::RDONLY,
            OFlags::RDONLY | OFlags::DIRECTORY,
            OFlags::WRONLY,
            OFlags::RDWR | OFlags::CREATE,
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL,
        ];
        let mut found_any = 0;
        for path in paths() {
            for flags in flags {
                for follow in [Follow::Yes, Follow::No] {
                    let tidy = || {
                        if !flags.contains(OFlags::CREATE) {
                            return;
                        }
                        for new in ["new", "none", "a/new", "a/none", "a/b/new", "a/b/c/new"] {
                            let _ = std::fs::remove_file(outer.path().join("inner").join(new));
                        }
                    };
                    let flags = flags | OFlags::CLOEXEC;
                    let path = Path::new(&path);
                    let kernel = by_kernel(dir.as_fd(), path, flags, follow);
                    let kernel = identity(kernel.map_err(|error| match error {
                        Errno::XDEV => OUTSIDE,
                        error => error,
                    }));
                    tidy();
                    let walked = identity(walk(dir.as_fd(), path, flags, follow));
                    tidy();
                    let same = match (kernel, walked) {
                        // Of what is made each has another one.
                        (Ok((mode, _)), Ok((walked, _))) if flags.contains(OFlags::CREATE) => {
                            mode == walked
                        }
                        (kernel, walked) => kernel == walked,
                    };
                    assert!(
                        same,
                        "{path:?} {flags:?} {follow:?}: {kernel:?}, {walked:?}"
                    );
                    if let Ok((_, inode)) = walked {
                        found_any += 1;
                        assert!(inode != secret && inode != of_dir, "{path:?} leads outside");
                    }
                }
            }
        }
        assert!(found_any > 3_000, "{found_any}");
    }
}
