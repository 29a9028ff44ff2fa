//! Slashes behind a path, and symbolic links at its end, mean what they mean natively: each
//! operation on each path, compared with the system calls in a folder of the same contents.

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;
use trampette_wasi::{
    Access, Descriptor, DescriptorFlags, DescriptorType, ErrorCode, OpenFlags, PathFlags,
};

fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    std::fs::write(path.join("file"), "file").unwrap();
    std::fs::create_dir(path.join("empty")).unwrap();
    std::fs::create_dir(path.join("full")).unwrap();
    std::fs::write(path.join("full/inner"), "inner").unwrap();
    symlink("file", path.join("to-file")).unwrap();
    symlink("empty", path.join("to-empty")).unwrap();
    symlink("nowhere", path.join("to-nowhere")).unwrap();
    symlink("loop", path.join("loop")).unwrap();
    folder
}

/// The last components, in every way to write them.
fn paths() -> Vec<String> {
    let names = [
        "file",
        "empty",
        "full",
        "to-file",
        "to-empty",
        "to-nowhere",
        "loop",
        "new",
    ];
    let mut paths = Vec::new();
    for name in names {
        for before in ["", "full/..//"] {
            for behind in ["", "/", "//", "/.", "/x"] {
                paths.push(format!("{before}{name}{behind}"));
            }
        }
    }
    paths.extend(["", ".", "./", "full/..", "full/."].map(String::from));
    paths
}

/// All names below a folder, and what they are.
fn contents(folder: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut rest = vec![folder.to_path_buf()];
    while let Some(next) = rest.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            let kind = path.symlink_metadata().unwrap().file_type();
            let what = match (kind.is_dir(), kind.is_symlink()) {
                (true, _) => "directory".to_string(),
                (_, true) => std::fs::read_link(&path).unwrap().display().to_string(),
                _ => std::fs::read_to_string(&path).unwrap(),
            };
            if kind.is_dir() {
                rest.push(path);
            }
            all.insert(name, what);
        }
    }
    all
}

type Native = fn(&Path, &str) -> Result<String, Errno>;
type Ours = fn(&Descriptor, &str) -> Result<String, ErrorCode>;

fn kind(mode: u32) -> String {
    format!("{:?}", DescriptorTypeOf(FileType::from_raw_mode(mode)))
}

/// A type as 0.2 names it.
struct DescriptorTypeOf(FileType);

impl std::fmt::Debug for DescriptorTypeOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ty = match self.0 {
            FileType::Directory => DescriptorType::Directory,
            FileType::RegularFile => DescriptorType::RegularFile,
            FileType::Symlink => DescriptorType::SymbolicLink,
            _ => DescriptorType::Unknown,
        };
        write!(f, "{ty:?}")
    }
}

/// `path` below the folder, with the slashes behind it, which `Path::join` would keep too, but not
/// an empty path.
fn at(folder: &Path, path: &str) -> String {
    match path {
        "" => String::new(),
        path => format!("{}/{path}", folder.display()),
    }
}

const OPERATIONS: &[(&str, Native, Ours)] = &[
    (
        "stat",
        |folder, path| {
            let stat = rustix::fs::statat(CWD, at(folder, path), AtFlags::empty())?;
            Ok(kind(stat.st_mode))
        },
        |dir, path| {
            let stat = dir.stat_at(PathFlags::SYMLINK_FOLLOW, path)?;
            Ok(format!("{:?}", stat.type_))
        },
    ),
    (
        "lstat",
        |folder, path| {
            let stat = rustix::fs::statat(CWD, at(folder, path), AtFlags::SYMLINK_NOFOLLOW)?;
            Ok(kind(stat.st_mode))
        },
        |dir, path| {
            Ok(format!(
                "{:?}",
                dir.stat_at(PathFlags::empty(), path)?.type_
            ))
        },
    ),
    (
        "mkdir",
        |folder, path| {
            rustix::fs::mkdirat(CWD, at(folder, path), Mode::RWXU)?;
            Ok(String::new())
        },
        |dir, path| dir.create_directory_at(path).map(|()| String::new()),
    ),
    (
        "rmdir",
        |folder, path| {
            rustix::fs::unlinkat(CWD, at(folder, path), AtFlags::REMOVEDIR)?;
            Ok(String::new())
        },
        |dir, path| dir.remove_directory_at(path).map(|()| String::new()),
    ),
    (
        "unlink",
        |folder, path| {
            rustix::fs::unlinkat(CWD, at(folder, path), AtFlags::empty())?;
            Ok(String::new())
        },
        |dir, path| dir.unlink_file_at(path).map(|()| String::new()),
    ),
    (
        "readlink",
        |folder, path| {
            let target = rustix::fs::readlinkat(CWD, at(folder, path), Vec::new())?;
            Ok(target.into_string().unwrap())
        },
        |dir, path| dir.readlink_at(path),
    ),
    (
        "symlink",
        |folder, path| {
            rustix::fs::symlinkat("target", CWD, at(folder, path))?;
            Ok(String::new())
        },
        |dir, path| dir.symlink_at("target", path).map(|()| String::new()),
    ),
    (
        "rename a file to",
        |folder, path| {
            rustix::fs::renameat(CWD, at(folder, "file"), CWD, at(folder, path))?;
            Ok(String::new())
        },
        |dir, path| dir.rename_at("file", dir, path).map(|()| String::new()),
    ),
    (
        "rename a directory to",
        |folder, path| {
            rustix::fs::renameat(CWD, at(folder, "full"), CWD, at(folder, path))?;
            Ok(String::new())
        },
        |dir, path| dir.rename_at("full", dir, path).map(|()| String::new()),
    ),
    (
        "rename from",
        |folder, path| {
            rustix::fs::renameat(CWD, at(folder, path), CWD, at(folder, "renamed"))?;
            Ok(String::new())
        },
        |dir, path| dir.rename_at(path, dir, "renamed").map(|()| String::new()),
    ),
    (
        "link from",
        |folder, path| {
            let new = at(folder, "linked");
            rustix::fs::linkat(CWD, at(folder, path), CWD, new, AtFlags::empty())?;
            Ok(String::new())
        },
        |dir, path| {
            let flags = PathFlags::empty();
            dir.link_at(flags, path, dir, "linked")
                .map(|()| String::new())
        },
    ),
    (
        "link to",
        |folder, path| {
            let old = at(folder, "file");
            rustix::fs::linkat(CWD, old, CWD, at(folder, path), AtFlags::empty())?;
            Ok(String::new())
        },
        |dir, path| {
            let flags = PathFlags::empty();
            dir.link_at(flags, "file", dir, path)
                .map(|()| String::new())
        },
    ),
    (
        "open",
        |folder, path| {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(CWD, at(folder, path), flags, Mode::empty())?;
            Ok(kind(rustix::fs::fstat(fd)?.st_mode))
        },
        |dir, path| {
            let (follow, none) = (PathFlags::SYMLINK_FOLLOW, OpenFlags::empty());
            let opened = dir.open_at(follow, path, none, DescriptorFlags::READ)?;
            Ok(format!("{:?}", opened.kind()?))
        },
    ),
    (
        "create",
        |folder, path| {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(CWD, at(folder, path), flags, Mode::RWXU)?;
            Ok(kind(rustix::fs::fstat(fd)?.st_mode))
        },
        |dir, path| {
            let (follow, create) = (PathFlags::SYMLINK_FOLLOW, OpenFlags::CREATE);
            let opened = dir.open_at(follow, path, create, DescriptorFlags::WRITE)?;
            Ok(format!("{:?}", opened.kind()?))
        },
    ),
];

#[test]
fn every_operation_is_as_natively() {
    let mut differences = Vec::new();
    let mut cases = 0;
    let pristine = contents(folder().path());
    let (mut here, mut there) = (folder(), folder());
    for (name, native, ours) in OPERATIONS {
        for path in paths() {
            let dir = std::fs::File::open(there.path()).unwrap();
            let dir = Descriptor::directory(dir, Access::ReadWrite);
            let natively = native(here.path(), &path);
            let ours = ours(&dir, &path);
            cases += 1;
            // Whether it fails, and what it leaves, always; and the number, as WASI has it.
            let expected = natively.map_err(ErrorCode::from_errno);
            let left = (contents(here.path()), contents(there.path()));
            if ours != expected || left.0 != left.1 {
                differences.push(format!("{name} {path:?}: {ours:?}, natively {expected:?}"));
            }
            if left.0 != pristine || left.1 != pristine {
                (here, there) = (folder(), folder());
            }
        }
    }
    assert!(cases > 1000);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The number of a system's error, as WASI has it.
trait FromErrno {
    fn from_errno(errno: Errno) -> ErrorCode;
}

impl FromErrno for ErrorCode {
    fn from_errno(errno: Errno) -> ErrorCode {
        ErrorCode::from(std::io::Error::from(errno))
    }
}
