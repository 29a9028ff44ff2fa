//! Ways out of a preopened directory, each tried with each operation: by paths, by links, by what
//! others do to the directories meanwhile, and by special files.

use rustix::fs::{CWD, FileType, Mode};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use trampette_wasi::{Access, Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

const SECRET: &[u8] = b"secret";

/// A folder with `inside/`, which a guest has, and what it must not reach beside it.
struct World {
    outer: TempDir,
    dir: Descriptor,
}

impl World {
    fn new() -> World {
        let outer = TempDir::new().unwrap();
        let path = |path: &str| outer.path().join(path);
        std::fs::create_dir_all(path("inside/sub/deep")).unwrap();
        std::fs::create_dir_all(path("outside")).unwrap();
        std::fs::write(path("outside/secret"), SECRET).unwrap();
        std::fs::write(path("secret"), SECRET).unwrap();
        std::fs::write(path("inside/file"), "file").unwrap();
        let absolute = |to: &str| path(to).display().to_string();
        let links = [
            ("to-secret", "../secret".to_string()),
            ("to-outside", "../outside".to_string()),
            ("to-outside-slash", "../outside/".to_string()),
            ("to-outer", "..".to_string()),
            ("to-outer-dot", "../.".to_string()),
            ("to-itself", "../inside".to_string()),
            ("absolute-secret", absolute("secret")),
            ("absolute-outside", absolute("outside")),
            ("absolute-itself", absolute("inside")),
            ("absolute-root", "/".to_string()),
            ("many-slashes", "//..//secret".to_string()),
            ("by-way-of-sub", "sub/../../secret".to_string()),
            ("chain", "chain-2".to_string()),
            ("chain-2", "sub/chain-3".to_string()),
            ("sub/chain-3", "../to-secret".to_string()),
            ("sub/up", "../..".to_string()),
            ("sub/deep/up", "../../..".to_string()),
        ];
        for (link, target) in links {
            symlink(target, path("inside").join(link)).unwrap();
        }
        let dir = Descriptor::directory(
            std::fs::File::open(path("inside")).unwrap(),
            Access::ReadWrite,
        );
        World { outer, dir }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.outer.path().join(path)
    }

    /// Paths that lead outside.
    fn ways_out(&self) -> Vec<String> {
        let absolute = |path: &str| self.path(path).display().to_string();
        let mut ways: Vec<String> = [
            "..",
            "../",
            "../.",
            "./..",
            "../secret",
            "../outside/secret",
            "..//secret",
            "./../secret",
            "sub/../../secret",
            "sub/deep/../../../secret",
            "sub/./../../secret",
            "file/../../secret",
            "../inside/../secret",
            "../inside/file",
            "to-secret",
            "to-secret/",
            "to-outside/secret",
            "to-outside/",
            "to-outside-slash/secret",
            "to-outside/.",
            "to-outside/../secret",
            "to-outer/secret",
            "to-outer/inside/file",
            "to-outer-dot/secret",
            "to-itself/file",
            "to-itself/../secret",
            "absolute-secret",
            "absolute-outside/secret",
            "absolute-itself/file",
            "absolute-root/etc/passwd",
            "many-slashes",
            "by-way-of-sub",
            "chain",
            "sub/up/secret",
            "sub/up/inside/file",
            "sub/deep/up/secret",
            "sub/deep/up/outside/secret",
            "/",
            "//",
            "/etc/passwd",
            "/proc/self/root/etc/passwd",
            "/proc/self/cwd",
            "/dev/null",
        ]
        .map(String::from)
        .into();
        ways.extend(["secret", "outside/secret", "inside/file", "inside"].map(absolute));
        ways.push(format!("{}secret", "../".repeat(50)));
        ways
    }

    /// All that is there, with its contents.
    fn contents(&self) -> Vec<(PathBuf, String)> {
        let mut all = Vec::new();
        let mut rest = vec![self.outer.path().to_path_buf()];
        while let Some(next) = rest.pop() {
            for entry in std::fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                let kind = path.symlink_metadata().unwrap().file_type();
                let what = match (kind.is_dir(), kind.is_symlink()) {
                    (true, _) => "directory".to_string(),
                    (_, true) => format!("{:?}", std::fs::read_link(&path).unwrap()),
                    _ => format!("{:?}", std::fs::read(&path).unwrap()),
                };
                if kind.is_dir() {
                    rest.push(path.clone());
                }
                all.push((path, what));
            }
        }
        all.sort();
        all
    }
}

fn read(dir: &Descriptor, path: impl AsRef<Path>) -> Result<Vec<u8>, ErrorCode> {
    let (open, flags) = (OpenFlags::empty(), DescriptorFlags::READ);
    let file = dir.open_at(PathFlags::SYMLINK_FOLLOW, path, open, flags)?;
    Ok(file.read(100, 0)?.0)
}

/// What is done with a path that leads outside. All of it is to fail.
type Attempt = fn(&Descriptor, &str) -> Result<(), ErrorCode>;

const FOLLOWING: &[(&str, Attempt)] = &[
    ("read", |dir, path| read(dir, path).map(drop)),
    ("list", |dir, path| {
        let (open, flags) = (OpenFlags::DIRECTORY, DescriptorFlags::READ);
        let found = dir.open_at(PathFlags::SYMLINK_FOLLOW, path, open, flags)?;
        found.read_directory().map(drop)
    }),
    ("write", |dir, path| {
        let (open, flags) = (OpenFlags::TRUNCATE, DescriptorFlags::WRITE);
        dir.open_at(PathFlags::SYMLINK_FOLLOW, path, open, flags)
            .map(drop)
    }),
    ("make", |dir, path| {
        let (open, flags) = (OpenFlags::CREATE, DescriptorFlags::WRITE);
        dir.open_at(PathFlags::SYMLINK_FOLLOW, path, open, flags)
            .map(drop)
    }),
    ("stat", |dir, path| {
        dir.stat_at(PathFlags::SYMLINK_FOLLOW, path).map(drop)
    }),
    ("hash", |dir, path| {
        dir.metadata_hash_at(PathFlags::SYMLINK_FOLLOW, path)
            .map(drop)
    }),
];

/// Of these the last component is not followed: they must change nothing outside.
const CHANGING: &[(&str, Attempt)] = &[
    ("mkdir", |dir, path| dir.create_directory_at(path)),
    ("rmdir", |dir, path| dir.remove_directory_at(path)),
    ("rename from", |dir, path| dir.rename_at(path, dir, "taken")),
    ("rename to", |dir, path| dir.rename_at("file", dir, path)),
    ("link from", |dir, path| {
        dir.link_at(PathFlags::empty(), path, dir, "taken")
    }),
    ("link to", |dir, path| {
        dir.link_at(PathFlags::empty(), "file", dir, path)
    }),
    ("symlink", |dir, path| dir.symlink_at("file", path)),
    ("unlink", |dir, path| dir.unlink_file_at(path)),
];

#[test]
fn no_path_reads_or_opens_what_is_outside() {
    let world = World::new();
    let ways = world.ways_out();
    let before = world.contents();
    for (name, attempt) in FOLLOWING {
        for way in &ways {
            let done = attempt(&world.dir, way);
            assert!(done.is_err(), "{name} {way}");
        }
    }
    assert_eq!(world.contents(), before);
    assert!(ways.len() * FOLLOWING.len() >= 60);
}

#[test]
fn no_path_changes_what_is_outside() {
    for (name, attempt) in CHANGING {
        let paths = World::new().ways_out().len();
        for index in 0..paths {
            let world = World::new();
            // The path of this world, which has another absolute one.
            let way = &world.ways_out()[index];
            let outside = |contents: Vec<(PathBuf, String)>| -> Vec<(PathBuf, String)> {
                let inside = world.path("inside");
                let is_outside = |(path, _): &(PathBuf, String)| !path.starts_with(&inside);
                contents.into_iter().filter(is_outside).collect()
            };
            let before = outside(world.contents());
            let _ = attempt(&world.dir, way);
            assert_eq!(outside(world.contents()), before, "{name} {way}");
            // Nothing of what is outside has a name inside now.
            for taken in ["taken", "taken/secret", "file", "sub/file"] {
                let is_secret = read(&world.dir, taken).is_ok_and(|bytes| bytes == SECRET);
                assert!(!is_secret, "{name} {way}: {taken}");
            }
        }
    }
}

/// Lets another thread change the folder while a guest looks, for a while.
fn race(world: &World, disturb: impl Fn() + Sync, look: impl Fn(&Descriptor)) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                disturb();
            }
        });
        let until = Instant::now() + Duration::from_millis(500);
        while Instant::now() < until {
            look(&world.dir);
        }
        done.store(true, Ordering::Relaxed);
    });
}

fn is_no_secret(dir: &Descriptor, path: &str) {
    assert!(
        !read(dir, path).is_ok_and(|bytes| bytes == SECRET),
        "{path}"
    );
}

#[test]
fn directories_that_become_links_are_not_followed() {
    let world = World::new();
    let (real, link) = (world.path("inside/real"), world.path("inside/link"));
    std::fs::create_dir(&real).unwrap();
    std::fs::write(real.join("secret"), "harmless").unwrap();
    symlink("../outside", &link).unwrap();
    let swap = || {
        let flags = rustix::fs::RenameFlags::EXCHANGE;
        let _ = rustix::fs::renameat_with(CWD, &real, CWD, &link, flags);
    };
    race(&world, swap, |dir| {
        is_no_secret(dir, "real/secret");
        is_no_secret(dir, "link/secret");
        let _ = dir.unlink_file_at("real/nothing");
    });
    assert_eq!(std::fs::read(world.path("outside/secret")).unwrap(), SECRET);
}

#[test]
fn directories_that_move_outside_do_not_lead_there() {
    let world = World::new();
    let (here, there) = (world.path("inside/sub/deep"), world.path("outside/deep"));
    let swap = || {
        let _ = std::fs::rename(&here, &there);
        let _ = std::fs::rename(&there, &here);
    };
    race(&world, swap, |dir| {
        is_no_secret(dir, "sub/deep/../secret");
        is_no_secret(dir, "sub/deep/../../secret");
        is_no_secret(dir, "sub/deep/../../../secret");
    });
    // One that is open already, for good.
    let _ = std::fs::rename(&there, &here);
    let (open, flags) = (OpenFlags::DIRECTORY, DescriptorFlags::READ);
    let deep = world
        .dir
        .open_at(PathFlags::empty(), "sub/deep", open, flags);
    let deep = deep.unwrap();
    std::fs::rename(&here, &there).unwrap();
    for path in ["../secret", "../../secret", "..", "../../inside/file"] {
        assert_eq!(read(&deep, path), Err(ErrorCode::NotPermitted), "{path}");
    }
}

#[test]
fn processes_and_their_files_are_not_reached_by_way_of_proc() {
    let proc = std::fs::File::open("/proc").unwrap();
    let proc = Descriptor::directory(proc, Access::ReadOnly);
    for path in [
        "self/root/etc/passwd",
        "self/cwd/Cargo.toml",
        "self/exe",
        "self/fd/0",
        "thread-self/root/etc/passwd",
        "thread-self/fd/0",
        "1/root/etc/passwd",
    ] {
        assert!(read(&proc, path).is_err(), "{path}");
        let stat = proc.stat_at(PathFlags::SYMLINK_FOLLOW, path);
        assert!(stat.is_err(), "{path}");
    }
}

#[test]
fn special_files_keep_nobody_waiting() {
    let world = World::new();
    let pipe = world.path("inside/pipe");
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(world.path("inside/socket")).unwrap();
    let start = Instant::now();
    for path in ["pipe", "socket"] {
        for flags in [DescriptorFlags::READ, DescriptorFlags::WRITE] {
            let opened = world
                .dir
                .open_at(PathFlags::empty(), path, OpenFlags::empty(), flags);
            // Only what reads from a pipe finds it open.
            let may_open = path == "pipe" && flags == DescriptorFlags::READ;
            assert_eq!(opened.is_ok(), may_open, "{path} {flags:?}");
        }
    }
    assert!(start.elapsed() < Duration::from_secs(5));
    drop(socket);
}
