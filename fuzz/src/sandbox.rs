//! What calls of WASI may touch of the system: a folder that they are given, beside things that
//! must not change; this process's file descriptors; and how large a file may be.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Files may have so many bytes, whatever is asked for.
const LARGEST_FILE: u64 = 8 << 20;

/// What is known of a file: mode, links, length, and when it and its contents changed.
type Facts = (u32, u64, u64, i64, i64, Vec<u8>);

/// A folder with one to write in, one to read, and one that nobody is given.
pub struct Sandbox {
    root: TempDir,
    /// Everything that must stay as it is.
    kept: BTreeMap<PathBuf, Facts>,
}

impl Sandbox {
    /// Makes the folders.
    ///
    /// # Errors
    /// If one cannot be made.
    pub fn new() -> Result<Sandbox> {
        let root = TempDir::new()?;
        for name in ["outside", "outside/sub", "readonly", "readonly/sub"] {
            fs::create_dir(root.path().join(name))?;
        }
        for name in [
            "outside/secret",
            "outside/sub/x",
            "readonly/file",
            "readonly/sub/x",
        ] {
            fs::write(root.path().join(name), "contents")?;
        }
        let mut sandbox = Sandbox {
            root,
            kept: BTreeMap::new(),
        };
        sandbox.fill()?;
        sandbox.kept = sandbox.look()?;
        Ok(sandbox)
    }

    /// The folder to write in.
    pub fn writable(&self) -> PathBuf {
        self.root.path().join("inside")
    }

    /// The folder to read.
    pub fn readable(&self) -> PathBuf {
        self.root.path().join("readonly")
    }

    /// Makes the folder to write in anew.
    ///
    /// # Errors
    /// If something cannot be made.
    pub fn fill(&self) -> Result<()> {
        let inside = self.writable();
        if inside.exists() {
            fs::remove_dir_all(&inside).context("emptying the folder")?;
        }
        fs::create_dir_all(inside.join("sub"))?;
        fs::write(inside.join("file"), "contents of a file")?;
        fs::write(inside.join("sub/x"), [b'x'; 5000])?;
        symlink("../outside", inside.join("out"))?;
        symlink(self.root.path().join("outside/secret"), inside.join("abs"))?;
        symlink("file", inside.join("link"))?;
        symlink("loop", inside.join("loop"))?;
        Ok(())
    }

    fn look(&self) -> Result<BTreeMap<PathBuf, Facts>> {
        let mut found = BTreeMap::new();
        for name in ["outside", "readonly"] {
            look_at(&self.root.path().join(name), &mut found)?;
        }
        // What stands beside the folders.
        for entry in fs::read_dir(self.root.path())? {
            found.entry(entry?.path()).or_default();
        }
        Ok(found)
    }

    /// What changed that must not.
    ///
    /// # Errors
    /// If something did.
    pub fn check(&self) -> Result<()> {
        let now = self.look()?;
        for path in self.kept.keys().chain(now.keys()) {
            let (before, after) = (self.kept.get(path), now.get(path));
            ensure!(
                before == after,
                "{} changed: {before:?}, {after:?}",
                path.display()
            );
        }
        Ok(())
    }
}

fn look_at(path: &Path, found: &mut BTreeMap<PathBuf, Facts>) -> Result<()> {
    let facts = fs::symlink_metadata(path)?;
    let mut contents = Vec::new();
    if facts.is_dir() {
        for entry in fs::read_dir(path)? {
            look_at(&entry?.path(), found)?;
        }
    } else if facts.is_file() {
        contents = fs::read(path)?;
    }
    let facts = (
        facts.mode(),
        facts.nlink(),
        facts.len(),
        facts.mtime_nsec(),
        facts.ctime_nsec(),
        contents,
    );
    found.insert(path.to_path_buf(), facts);
    Ok(())
}

/// How many file descriptors this process has open.
///
/// # Errors
/// If the system does not say.
pub fn open_files() -> Result<usize> {
    Ok(fs::read_dir("/proc/self/fd")?.count())
}

/// Keeps files of this process small.
pub fn limit_files() {
    let limit = libc::rlimit {
        rlim_cur: LARGEST_FILE,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: neither touches memory of this process but `limit`.
    unsafe {
        // Without it, writing more would end the process.
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::setrlimit(libc::RLIMIT_FSIZE, &limit);
    }
}
