//! Random calls of what can be done with paths, compared with a model of a POSIX directory.
//!
//! `TRAMPETTE_POSIX_CALLS` says how many, `TRAMPETTE_POSIX_SEED` which. What slashes behind a path
//! and a last `.` or `..` mean is in `native_paths.rs`.

use std::collections::BTreeMap;
use tempfile::TempDir;
use trampette_wasi::{
    Access, Descriptor, DescriptorFlags, DescriptorType, ErrorCode, OpenFlags, PathFlags,
};

type Result<T> = std::result::Result<T, ErrorCode>;

/// Symbolic links that a path may go through.
const MOST_LINKS: u32 = 40;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Id(usize);

const ROOT: Id = Id(0);

#[derive(Debug)]
enum Node {
    Directory {
        parent: Id,
        entries: BTreeMap<String, Id>,
    },
    File {
        bytes: Vec<u8>,
        links: u64,
    },
    Link {
        target: String,
    },
}

/// What a path names: an entry of a directory, which is there or not.
struct Place {
    directory: Id,
    name: String,
    found: Option<Id>,
}

struct Model(Vec<Node>);

impl Model {
    fn new() -> Model {
        let entries = BTreeMap::new();
        Model(vec![Node::Directory {
            parent: ROOT,
            entries,
        }])
    }

    fn add(&mut self, node: Node) -> Id {
        self.0.push(node);
        Id(self.0.len() - 1)
    }

    fn entries(&self, id: Id) -> Result<&BTreeMap<String, Id>> {
        match &self.0[id.0] {
            Node::Directory { entries, .. } => Ok(entries),
            _ => Err(ErrorCode::NotDirectory),
        }
    }

    fn entries_mut(&mut self, id: Id) -> &mut BTreeMap<String, Id> {
        match &mut self.0[id.0] {
            Node::Directory { entries, .. } => entries,
            other => panic!("not a directory: {other:?}"),
        }
    }

    fn is_directory(&self, id: Id) -> bool {
        matches!(self.0[id.0], Node::Directory { .. })
    }

    /// The entry that a path names, with all links on the way, and at its end if `follow`.
    fn place(&self, path: &str, follow: PathFlags) -> Result<Place> {
        let mut left: Vec<String> = path.rsplit('/').map(String::from).collect();
        let mut directory = ROOT;
        let mut links = 0;
        while let Some(name) = left.pop() {
            let entries = self.entries(directory)?;
            if name == ".." {
                let Node::Directory { parent, .. } = self.0[directory.0] else {
                    return Err(ErrorCode::NotDirectory);
                };
                if directory == ROOT {
                    return Err(ErrorCode::NotPermitted);
                }
                directory = parent;
                if left.is_empty() {
                    // Only a link ends like this.
                    let name = "..".to_string();
                    let found = Some(directory);
                    return Ok(Place {
                        directory,
                        name,
                        found,
                    });
                }
                continue;
            }
            let found = entries.get(&name).copied();
            let is_last = left.is_empty();
            match found.map(|id| &self.0[id.0]) {
                Some(Node::Link { target })
                    if !is_last || follow.contains(PathFlags::SYMLINK_FOLLOW) =>
                {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(ErrorCode::Loop);
                    }
                    left.extend(target.rsplit('/').map(String::from));
                }
                _ if is_last => {
                    return Ok(Place {
                        directory,
                        name,
                        found,
                    });
                }
                None => return Err(ErrorCode::NoEntry),
                Some(Node::Directory { .. }) => directory = found.unwrap_or(ROOT),
                Some(_) => return Err(ErrorCode::NotDirectory),
            }
        }
        Err(ErrorCode::NoEntry)
    }

    fn insert(&mut self, place: Place, node: Node) -> Id {
        let id = self.add(node);
        self.entries_mut(place.directory).insert(place.name, id);
        id
    }

    fn unlink(&mut self, place: &Place) {
        let gone = self.entries_mut(place.directory).remove(&place.name);
        if let Some(Id(gone)) = gone
            && let Node::File { links, .. } = &mut self.0[gone]
        {
            *links -= 1;
        }
    }

    fn create_directory(&mut self, path: &str) -> Result<()> {
        let place = self.place(path, PathFlags::empty())?;
        if place.found.is_some() {
            return Err(ErrorCode::Exist);
        }
        let (parent, entries) = (place.directory, BTreeMap::new());
        self.insert(place, Node::Directory { parent, entries });
        Ok(())
    }

    fn remove_directory(&mut self, path: &str) -> Result<()> {
        let place = self.place(path, PathFlags::empty())?;
        let found = place.found.ok_or(ErrorCode::NoEntry)?;
        match self.entries(found)?.is_empty() {
            true => self.unlink(&place),
            false => return Err(ErrorCode::NotEmpty),
        }
        Ok(())
    }

    fn unlink_file(&mut self, path: &str) -> Result<()> {
        let place = self.place(path, PathFlags::empty())?;
        let found = place.found.ok_or(ErrorCode::NoEntry)?;
        match self.is_directory(found) {
            true => return Err(ErrorCode::IsDirectory),
            false => self.unlink(&place),
        }
        Ok(())
    }

    /// Whether a directory is another one, or inside of it.
    fn is_inside(&self, mut id: Id, outer: Id) -> bool {
        loop {
            match self.0[id.0] {
                _ if id == outer => return true,
                Node::Directory { parent, .. } if id != ROOT => id = parent,
                _ => return false,
            }
        }
    }

    fn rename(&mut self, path: &str, new: &str) -> Result<()> {
        let (from, to) = (
            self.place(path, PathFlags::empty())?,
            self.place(new, PathFlags::empty())?,
        );
        let moved = from.found.ok_or(ErrorCode::NoEntry)?;
        if self.is_directory(moved) && self.is_inside(to.directory, moved) {
            return Err(ErrorCode::Invalid);
        }
        if let Some(target) = to.found {
            if self.is_directory(target)
                && target != moved
                && self.is_inside(from.directory, target)
            {
                return Err(ErrorCode::NotEmpty);
            }
            if target == moved {
                return Ok(());
            }
            match (self.is_directory(moved), self.is_directory(target)) {
                (true, false) => return Err(ErrorCode::NotDirectory),
                (false, true) => return Err(ErrorCode::IsDirectory),
                (true, true) if !self.entries(target)?.is_empty() => {
                    return Err(ErrorCode::NotEmpty);
                }
                _ => self.unlink(&to),
            }
        }
        self.entries_mut(from.directory).remove(&from.name);
        self.entries_mut(to.directory).insert(to.name, moved);
        if let Node::Directory { parent, .. } = &mut self.0[moved.0] {
            *parent = to.directory;
        }
        Ok(())
    }

    fn link(&mut self, path: &str, new: &str) -> Result<()> {
        let (from, to) = (
            self.place(path, PathFlags::empty())?,
            self.place(new, PathFlags::empty())?,
        );
        let found = from.found.ok_or(ErrorCode::NoEntry)?;
        if to.found.is_some() {
            return Err(ErrorCode::Exist);
        }
        match &mut self.0[found.0] {
            Node::Directory { .. } => return Err(ErrorCode::NotPermitted),
            Node::File { links, .. } => *links += 1,
            Node::Link { .. } => {}
        }
        self.entries_mut(to.directory).insert(to.name, found);
        Ok(())
    }

    fn symlink(&mut self, target: &str, path: &str) -> Result<()> {
        let place = self.place(path, PathFlags::empty())?;
        if place.found.is_some() {
            return Err(ErrorCode::Exist);
        }
        let target = target.to_string();
        self.insert(place, Node::Link { target });
        Ok(())
    }

    fn read_link(&self, path: &str) -> Result<String> {
        let found = self
            .place(path, PathFlags::empty())?
            .found
            .ok_or(ErrorCode::NoEntry)?;
        match &self.0[found.0] {
            Node::Link { target } => Ok(target.clone()),
            _ => Err(ErrorCode::Invalid),
        }
    }

    /// The type, and of a file the size and how many names it has.
    fn stat(&self, path: &str, follow: PathFlags) -> Result<String> {
        let found = self.place(path, follow)?.found.ok_or(ErrorCode::NoEntry)?;
        Ok(match &self.0[found.0] {
            Node::Directory { .. } => format!("{:?}", DescriptorType::Directory),
            Node::Link { .. } => format!("{:?}", DescriptorType::SymbolicLink),
            Node::File { bytes, links } => {
                let kind = DescriptorType::RegularFile;
                format!("{kind:?} {} {links}", bytes.len())
            }
        })
    }

    fn list(&self, path: &str) -> Result<String> {
        let found = self
            .place(path, PathFlags::SYMLINK_FOLLOW)?
            .found
            .ok_or(ErrorCode::NoEntry)?;
        let names: Vec<_> = self.entries(found)?.keys().cloned().collect();
        Ok(names.join(" "))
    }

    fn open(&mut self, call: &Open) -> Result<Id> {
        let exclusive = call.open.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE);
        let follow = match exclusive {
            true => PathFlags::empty(),
            false => call.follow,
        };
        let place = self.place(&call.path, follow)?;
        if exclusive && place.found.is_some() {
            return Err(ErrorCode::Exist);
        }
        let Some(found) = place.found else {
            if !call.open.contains(OpenFlags::CREATE) {
                return Err(ErrorCode::NoEntry);
            }
            let (bytes, links) = (Vec::new(), 1);
            return Ok(self.insert(place, Node::File { bytes, links }));
        };
        match &mut self.0[found.0] {
            Node::Link { .. } => Err(ErrorCode::Loop),
            Node::Directory { .. } if call.writes() => Err(ErrorCode::IsDirectory),
            Node::File { bytes, .. } => {
                if call.open.contains(OpenFlags::TRUNCATE) {
                    bytes.clear();
                }
                Ok(found)
            }
            Node::Directory { .. } => Ok(found),
        }
    }

    /// Opens, and writes or reads: what is there then.
    fn use_file(&mut self, call: &Open) -> Result<String> {
        let found = self.open(call)?;
        let Node::File { bytes, .. } = &mut self.0[found.0] else {
            return Ok("directory".to_string());
        };
        if call.flags.contains(DescriptorFlags::WRITE) {
            let end = call.offset + call.bytes.len();
            if !call.bytes.is_empty() {
                bytes.resize(bytes.len().max(end), 0);
                bytes[call.offset..end].copy_from_slice(&call.bytes);
            }
            if let Some(size) = call.size {
                bytes.resize(size, 0);
            }
        }
        Ok(match call.flags.contains(DescriptorFlags::READ) {
            true => format!("{bytes:?}"),
            false => String::new(),
        })
    }
}

/// What is done with a file.
#[derive(Debug)]
struct Open {
    path: String,
    follow: PathFlags,
    open: OpenFlags,
    flags: DescriptorFlags,
    offset: usize,
    bytes: Vec<u8>,
    size: Option<usize>,
}

impl Open {
    fn writes(&self) -> bool {
        self.open
            .intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE)
            || self.flags.contains(DescriptorFlags::WRITE)
    }
}

fn stat(dir: &Descriptor, path: &str, follow: PathFlags) -> Result<String> {
    let stat = dir.stat_at(follow, path)?;
    Ok(match stat.type_ {
        DescriptorType::RegularFile => {
            format!("{:?} {} {}", stat.type_, stat.size, stat.link_count)
        }
        other => format!("{other:?}"),
    })
}

fn list(dir: &Descriptor, path: &str) -> Result<String> {
    let (open, flags) = (OpenFlags::DIRECTORY, DescriptorFlags::READ);
    let found = dir.open_at(PathFlags::SYMLINK_FOLLOW, path, open, flags)?;
    let mut entries = found.read_directory()?;
    let mut names = Vec::new();
    while let Some(entry) = entries.next_entry()? {
        names.push(entry.name);
    }
    names.sort();
    Ok(names.join(" "))
}

fn use_file(dir: &Descriptor, call: &Open) -> Result<String> {
    let file = dir.open_at(call.follow, &call.path, call.open, call.flags)?;
    if file.kind()? == DescriptorType::Directory {
        return Ok("directory".to_string());
    }
    if call.flags.contains(DescriptorFlags::WRITE) {
        let written = file.write(&call.bytes, call.offset as u64)?;
        assert_eq!(written, call.bytes.len() as u64);
        if let Some(size) = call.size {
            file.set_size(size as u64)?;
        }
    }
    Ok(match call.flags.contains(DescriptorFlags::READ) {
        true => format!("{:?}", file.read(1 << 16, 0)?.0),
        false => String::new(),
    })
}

/// Numbers that are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }

    fn name(&mut self) -> &'static str {
        ["a", "b", "c", "d"][self.below(4) as usize]
    }

    fn path(&mut self) -> String {
        let mut path = String::new();
        for _ in 0..self.below(3) {
            path += match self.below(6) {
                0 => "..",
                _ => self.name(),
            };
            path += "/";
        }
        path + self.name()
    }

    /// To follow, but for one of so many times.
    fn follow(&mut self, times: u64) -> PathFlags {
        match self.below(times) {
            0 => PathFlags::empty(),
            _ => PathFlags::SYMLINK_FOLLOW,
        }
    }

    fn open(&mut self) -> Open {
        let mut open = OpenFlags::empty();
        for flag in [OpenFlags::CREATE, OpenFlags::EXCLUSIVE, OpenFlags::TRUNCATE] {
            if self.below(3) == 0 {
                open |= flag;
            }
        }
        let flags = match self.below(3) {
            0 => DescriptorFlags::READ,
            1 => DescriptorFlags::WRITE,
            _ => DescriptorFlags::READ | DescriptorFlags::WRITE,
        };
        let length = self.below(20);
        Open {
            path: self.path(),
            follow: self.follow(4),
            open,
            flags,
            offset: self.below(30) as usize,
            bytes: (0..length).map(|_| self.below(256) as u8).collect(),
            size: (self.below(4) == 0).then(|| self.below(40) as usize),
        }
    }
}

fn setting(name: &str, usual: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.and_then(|value| value.parse().ok()).unwrap_or(usual)
}

#[test]
fn calls_agree_with_the_model() {
    let folder = TempDir::new().unwrap();
    let dir = std::fs::File::open(folder.path()).unwrap();
    let dir = Descriptor::directory(dir, Access::ReadWrite);
    let mut model = Model::new();
    let mut numbers = Numbers(setting("TRAMPETTE_POSIX_SEED", 7));
    let mut succeeded = 0;
    let calls = setting("TRAMPETTE_POSIX_CALLS", 20_000);
    for index in 0..calls {
        let nothing = |result: Result<()>| result.map(|()| String::new());
        let (path, other) = (numbers.path(), numbers.path());
        let follow = numbers.follow(2);
        let (what, expected, found) = match numbers.below(12) {
            0 | 1 => (
                format!("create-directory {path}"),
                nothing(model.create_directory(&path)),
                nothing(dir.create_directory_at(&path)),
            ),
            2 => (
                format!("remove-directory {path}"),
                nothing(model.remove_directory(&path)),
                nothing(dir.remove_directory_at(&path)),
            ),
            3 => (
                format!("unlink {path}"),
                nothing(model.unlink_file(&path)),
                nothing(dir.unlink_file_at(&path)),
            ),
            4 => (
                format!("rename {path} {other}"),
                nothing(model.rename(&path, &other)),
                nothing(dir.rename_at(&path, &dir, &other)),
            ),
            5 => (
                format!("link {path} {other}"),
                nothing(model.link(&path, &other)),
                nothing(dir.link_at(PathFlags::empty(), &path, &dir, &other)),
            ),
            6 => (
                format!("symlink {path} at {other}"),
                nothing(model.symlink(&path, &other)),
                nothing(dir.symlink_at(&path, &other)),
            ),
            7 => (
                format!("readlink {path}"),
                model.read_link(&path),
                dir.readlink_at(&path),
            ),
            8 => (
                format!("stat {path}, {follow:?}"),
                model.stat(&path, follow),
                stat(&dir, &path, follow),
            ),
            9 => (format!("list {path}"), model.list(&path), list(&dir, &path)),
            _ => {
                let call = numbers.open();
                let results = (model.use_file(&call), use_file(&dir, &call));
                (format!("{call:?}"), results.0, results.1)
            }
        };
        assert_eq!(found, expected, "call {index}: {what}");
        succeeded += u64::from(found.is_ok());
    }
    println!("{calls} calls, of which {succeeded} succeeded");
    assert!(succeeded > calls / 10, "{succeeded} of {calls}");
}
