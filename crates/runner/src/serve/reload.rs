//! Hot reload: a thread that reads the component again when it is told to (SIGHUP) or its file
//! changes (`--watch`), beside the one that serves.
//!
//! Files are looked at four times a second. That is one system call each, and sees what inotify
//! does not: a change of a symbolic link on the way to the file (as Kubernetes swaps mounted
//! configuration), of a file on a network or an overlay, or behind a bind mount. A file counts when
//! it has not changed from one look to the next, so that one that is being written is left alone;
//! one that was read half-written does not compile, or has a wrong checksum, and is read again when
//! it changes again.

use crate::output;
use crate::serve::arguments::ServeArguments;
use crate::serve::generation::{Current, Generation};
use crate::serve::metrics::Metrics;
use crate::serve::{Load, Loading};
use anyhow::{Context, Result, ensure};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// From one look at the files to the next.
const INTERVAL: Duration = Duration::from_millis(250);
/// The stack of the thread, which may compile: that of a process's first thread.
const STACK: usize = 8 << 20;

/// Files that are served.
pub(super) struct Files {
    paths: Vec<PathBuf>,
    /// As they were when they were last read.
    taken: Vec<Option<Stamp>>,
    /// As they were at the last look.
    seen: Vec<Option<Stamp>>,
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Files {
    /// The files that the arguments name, as they are now.
    pub(super) fn new(arguments: &ServeArguments) -> Files {
        let input = Some(arguments.input());
        let certificates = [arguments.cert.as_deref(), arguments.key.as_deref()];
        let paths = [input].into_iter().chain(certificates).flatten();
        Files::at(paths.map(PathBuf::from).collect())
    }

    fn at(paths: Vec<PathBuf>) -> Files {
        let mut files = Files {
            paths,
            taken: Vec::new(),
            seen: Vec::new(),
        };
        files.take();
        files
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        let stamp = |path: &PathBuf| {
            let metadata = std::fs::metadata(path).ok()?;
            Some(Stamp {
                device: metadata.dev(),
                inode: metadata.ino(),
                size: metadata.size(),
                seconds: metadata.mtime(),
                nanoseconds: metadata.mtime_nsec(),
            })
        };
        self.paths.iter().map(stamp).collect()
    }

    /// Notes that the files are read as they are now.
    fn take(&mut self) {
        self.taken = self.stamps();
        self.seen.clone_from(&self.taken);
    }

    /// Looks whether they are other ones than those that were read, all there, and not being
    /// written.
    fn are_new(&mut self) -> bool {
        let now = self.stamps();
        let is_quiet = now == self.seen && now.iter().all(Option::is_some);
        self.seen = now;
        is_quiet && self.seen != self.taken
    }
}

/// What reads the component again.
pub(super) struct Reloader {
    pub load: Box<Load>,
    pub arguments: ServeArguments,
    pub files: Files,
    pub current: Arc<Current>,
    pub metrics: Arc<Metrics>,
}

impl Reloader {
    /// Starts the thread. It ends when nobody can tell it anything any more.
    ///
    /// # Errors
    /// If there can be no thread.
    pub(super) fn start(self, told: Receiver<()>) -> Result<()> {
        let builder = std::thread::Builder::new().name("reload".to_string());
        let thread = builder.stack_size(STACK).spawn(move || self.run(&told));
        thread.map(drop).context("cannot start a thread")
    }

    fn run(mut self, told: &Receiver<()>) {
        loop {
            let told = match self.arguments.watch {
                true => told.recv_timeout(INTERVAL),
                false => told.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match told {
                Ok(()) => self.reload(),
                Err(RecvTimeoutError::Timeout) if self.files.are_new() => self.reload(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn reload(&mut self) {
        // What is written from here on is new.
        self.files.take();
        let name = output::shown(&self.arguments.input().to_string_lossy());
        match self.read() {
            Ok(generation) => {
                self.current.set(generation);
                self.metrics.reloaded();
                output::note(format!("reloaded {name}"));
            }
            Err(error) => {
                self.metrics.not_reloaded();
                let kept = format!("cannot reload {name}, and goes on with what was there before");
                output::error(&error.context(kept));
            }
        }
    }

    fn read(&self) -> Result<Generation> {
        ensure!(
            !self.arguments.is_standard_input(),
            "standard input is read once"
        );
        Generation::new(&(self.load)(Loading::Copied)?, &self.arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_new_when_they_are_quiet() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("trampette-reload-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let (path, other, link) = (folder.join("a"), folder.join("b"), folder.join("link"));
        std::fs::write(&path, "1")?;
        std::os::unix::fs::symlink("a", &link)?;
        let mut files = Files::at(vec![link.clone()]);
        assert!(!files.are_new());
        let mut look = |expected: [bool; 2], what: &str| {
            assert_eq!([files.are_new(), files.are_new()], expected, "{what}");
            if expected[1] {
                files.take();
                assert!(!files.are_new(), "{what}");
            }
        };
        std::fs::write(&path, "12")?;
        look([false, true], "written in place");
        std::fs::write(&other, "12")?;
        std::fs::rename(&other, &path)?;
        look([false, true], "replaced by a file that is as long");
        std::fs::write(&other, "3")?;
        std::fs::remove_file(&link)?;
        look([false, false], "taken away");
        std::os::unix::fs::symlink("b", &link)?;
        look([false, true], "another link");
        std::fs::write(&other, "4")?;
        assert!(!files.are_new());
        std::fs::write(&other, "45")?;
        assert!(!files.are_new(), "still being written");
        assert!(files.are_new());
        std::fs::remove_dir_all(&folder)?;
        Ok(())
    }
}
