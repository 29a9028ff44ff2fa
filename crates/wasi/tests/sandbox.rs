//! No path leads out of a preopened directory, and a descriptor does only what it was opened for.

use std::os::unix::fs::symlink;
use tempfile::TempDir;
use trampette_wasi::{Access, Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

/// A folder with `inside/` preopened, and a secret beside it.
struct Sandbox {
    outer: TempDir,
}

impl Sandbox {
    fn new() -> Sandbox {
        let outer = TempDir::new().unwrap();
        let inside = outer.path().join("inside");
        std::fs::create_dir_all(inside.join("sub")).unwrap();
        std::fs::write(outer.path().join("secret"), "secret").unwrap();
        std::fs::write(inside.join("file"), "contents").unwrap();
        symlink("../secret", inside.join("relative-link")).unwrap();
        symlink(outer.path().join("secret"), inside.join("absolute-link")).unwrap();
        symlink("..", inside.join("parent-link")).unwrap();
        symlink("file", inside.join("good-link")).unwrap();
        Sandbox { outer }
    }

    fn preopen(&self, access: Access) -> Descriptor {
        let dir = std::fs::File::open(self.outer.path().join("inside"));
        Descriptor::directory(dir.unwrap(), access)
    }
}

fn open(dir: &Descriptor, path: &str) -> Result<Descriptor, ErrorCode> {
    dir.open_at(
        PathFlags::SYMLINK_FOLLOW,
        path,
        OpenFlags::empty(),
        DescriptorFlags::READ,
    )
}

#[test]
fn no_path_leads_outside() {
    let sandbox = Sandbox::new();
    let dir = sandbox.preopen(Access::ReadWrite);
    let absolute = sandbox.outer.path().join("secret");
    let escapes = [
        "../secret",
        "sub/../../secret",
        "..",
        absolute.to_str().unwrap(),
        "relative-link",
        "absolute-link",
        "parent-link/secret",
    ];
    for path in escapes {
        let refused = |result: Result<(), ErrorCode>, what: &str| {
            let code = result.expect_err(&format!("{what} {path} leads outside"));
            assert!(
                matches!(
                    code,
                    ErrorCode::NotPermitted | ErrorCode::NoEntry | ErrorCode::Loop
                ),
                "{what} {path}: {code:?}"
            );
        };
        refused(open(&dir, path).map(drop), "open");
        refused(
            dir.stat_at(PathFlags::SYMLINK_FOLLOW, path).map(drop),
            "stat",
        );
    }
    for path in ["../new", "parent-link/new", "/tmp/new"] {
        let created = dir.open_at(
            PathFlags::SYMLINK_FOLLOW,
            path,
            OpenFlags::CREATE,
            DescriptorFlags::WRITE,
        );
        assert!(created.is_err(), "{path} was created");
        assert!(dir.create_directory_at(path).is_err(), "{path} was created");
        assert!(
            dir.rename_at("file", &dir, path).is_err(),
            "renamed to {path}"
        );
        assert!(
            dir.link_at(PathFlags::empty(), "file", &dir, path).is_err(),
            "linked {path}"
        );
    }
    assert!(dir.unlink_file_at("../secret").is_err());
    assert!(
        dir.symlink_at("/etc/passwd", "link").is_err(),
        "links to absolute paths are refused"
    );
    assert_eq!(std::fs::read_to_string(absolute).unwrap(), "secret");
    assert_eq!(std::fs::read_dir(sandbox.outer.path()).unwrap().count(), 2);
}

#[test]
fn links_inside_are_followed_if_asked() {
    let sandbox = Sandbox::new();
    let dir = sandbox.preopen(Access::ReadWrite);
    let (bytes, _) = open(&dir, "good-link").unwrap().read(100, 0).unwrap();
    assert_eq!(bytes, b"contents");
    let unfollowed = dir.open_at(
        PathFlags::empty(),
        "good-link",
        OpenFlags::empty(),
        DescriptorFlags::READ,
    );
    assert_eq!(unfollowed.err(), Some(ErrorCode::Loop));
    assert_eq!(dir.readlink_at("good-link").unwrap(), "file");
}

#[test]
fn a_read_only_directory_stays_as_it_is() {
    let sandbox = Sandbox::new();
    let dir = sandbox.preopen(Access::ReadOnly);
    let write = |flags| dir.open_at(PathFlags::empty(), "file", flags, DescriptorFlags::WRITE);
    assert_eq!(write(OpenFlags::empty()).err(), Some(ErrorCode::ReadOnly));
    assert_eq!(write(OpenFlags::TRUNCATE).err(), Some(ErrorCode::ReadOnly));
    assert_eq!(dir.unlink_file_at("file"), Err(ErrorCode::ReadOnly));
    let sub = open(&dir, "sub").unwrap();
    assert_eq!(sub.create_directory_at("more"), Err(ErrorCode::ReadOnly));
    let file = open(&dir, "file").unwrap();
    assert_eq!(file.write(b"x", 0), Err(ErrorCode::BadDescriptor));
    assert_eq!(file.set_size(0), Err(ErrorCode::BadDescriptor));
}

#[test]
fn directories_are_listed_without_themselves() {
    let sandbox = Sandbox::new();
    let mut entries = sandbox.preopen(Access::ReadOnly).read_directory().unwrap();
    let mut names = Vec::new();
    while let Some(entry) = entries.next_entry().unwrap() {
        names.push(entry.name);
    }
    names.sort();
    let expected = [
        "absolute-link",
        "file",
        "good-link",
        "parent-link",
        "relative-link",
        "sub",
    ];
    assert_eq!(names, expected);
}
