//! What a preview-1 module has open, by number.

use super::abi::{self, CHARACTER_DEVICE, fdflags, file_type, rights};
use super::errno::Errno;
use super::guest::Fallible;
use crate::common::context::WasiCtx;
use crate::common::descriptor::{Access, Descriptor, Object};
use crate::common::stdio::{Input, Output};
use crate::p2::bindings::wasi::filesystem::types::{DescriptorFlags, DescriptorType};
use anyhow::Result;

/// Open descriptors. What is not a standard stream is counted by the context's budget, so there are
/// never many more than that.
pub(crate) struct Descriptors(Vec<Option<Open>>);

/// An open descriptor.
pub(super) struct Open {
    pub(super) what: What,
    /// `fdflags` that it has.
    pub(super) flags: u16,
}

pub(super) enum What {
    Input(Input),
    Output(Output),
    File {
        descriptor: Descriptor,
        /// Where the next read or write begins.
        position: u64,
    },
    Directory {
        descriptor: Descriptor,
        /// The guest's name for it, if it is a preopened one.
        preopened: Option<String>,
    },
}

impl Open {
    /// What was opened with these flags.
    pub(super) fn new(descriptor: Descriptor, flags: u16) -> Open {
        let what = match &descriptor.object {
            Object::File(_) => What::File {
                descriptor,
                position: 0,
            },
            Object::Directory(_) => What::Directory {
                descriptor,
                preopened: None,
            },
        };
        Open { what, flags }
    }

    pub(super) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Its `filetype`. Of the standard streams only terminals have one.
    pub(super) fn kind(&self) -> Fallible<u8> {
        let terminal = |is_terminal| match is_terminal {
            true => CHARACTER_DEVICE,
            false => file_type(DescriptorType::Unknown),
        };
        Ok(match &self.what {
            What::Input(input) => terminal(input.is_terminal()),
            What::Output(output) => terminal(output.is_terminal()),
            What::File { descriptor, .. } => file_type(descriptor.kind()?),
            What::Directory { .. } => abi::DIRECTORY,
        })
    }

    /// The rights of it, and of what is opened below it.
    pub(super) fn rights(&self) -> (u64, u64) {
        use rights::*;
        let streams = FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE;
        match &self.what {
            What::Input(_) => (FD_READ | streams, 0),
            What::Output(_) => (FD_WRITE | streams, 0),
            What::File { descriptor, .. } => {
                let flags = descriptor.flags();
                let mut all = FILE;
                if flags.contains(DescriptorFlags::READ) {
                    all |= FD_READ;
                }
                if flags.contains(DescriptorFlags::WRITE) {
                    all |= FILE_WRITE;
                }
                (all, 0)
            }
            What::Directory { descriptor, .. } => {
                let below = FILE | FD_READ;
                match descriptor.access() {
                    Access::ReadWrite => {
                        let own = rights::DIRECTORY | DIRECTORY_WRITE;
                        (own, own | below | FILE_WRITE)
                    }
                    Access::ReadOnly => (rights::DIRECTORY, rights::DIRECTORY | below),
                }
            }
        }
    }

    /// The descriptor of a file or directory.
    pub(super) fn descriptor(&self) -> Fallible<&Descriptor> {
        match &self.what {
            What::File { descriptor, .. } | What::Directory { descriptor, .. } => Ok(descriptor),
            What::Input(_) | What::Output(_) => Err(Errno::INVAL.into()),
        }
    }

    /// The descriptor of a file.
    pub(super) fn file(&self) -> Fallible<&Descriptor> {
        match &self.what {
            What::File { descriptor, .. } => Ok(descriptor),
            What::Directory { .. } | What::Input(_) | What::Output(_) => Err(Errno::BADF.into()),
        }
    }
}

impl Descriptors {
    /// Those of a context: at first the standard streams, and from 3 on the preopened directories.
    pub(crate) fn of(context: &mut WasiCtx) -> Result<&mut Descriptors> {
        if context.p1.is_none() {
            let outputs = [context.stdout.clone(), context.stderr.clone()];
            let streams = [What::Input(context.stdin.clone())]
                .into_iter()
                .chain(outputs.map(What::Output));
            let preopens = context.open_preopens()?.into_iter();
            let preopens = preopens.map(|(descriptor, name)| What::Directory {
                descriptor,
                preopened: Some(name),
            });
            let open = |what| Some(Open { what, flags: 0 });
            let all = streams.chain(preopens).map(open).collect();
            context.p1 = Some(Descriptors(all));
        }
        Ok(context.p1.get_or_insert_with(|| Descriptors(Vec::new())))
    }

    pub(super) fn get(&self, fd: u32) -> Fallible<&Open> {
        let open = self.0.get(fd as usize).and_then(Option::as_ref);
        Ok(open.ok_or(Errno::BADF)?)
    }

    pub(super) fn get_mut(&mut self, fd: u32) -> Fallible<&mut Open> {
        let open = self.0.get_mut(fd as usize).and_then(Option::as_mut);
        Ok(open.ok_or(Errno::BADF)?)
    }

    /// A directory.
    pub(super) fn directory(&self, fd: u32) -> Fallible<&Descriptor> {
        match &self.get(fd)?.what {
            What::Directory { descriptor, .. } => Ok(descriptor),
            What::File { .. } => Err(Errno::NOTDIR.into()),
            What::Input(_) | What::Output(_) => Err(Errno::NOTDIR.into()),
        }
    }

    /// Gives it the lowest number that is free, as natively.
    pub(super) fn add(&mut self, open: Open) -> u32 {
        let number = self.0.iter().position(Option::is_none);
        let number = number.unwrap_or_else(|| {
            self.0.push(None);
            self.0.len() - 1
        });
        self.0[number] = Some(open);
        number as u32
    }

    pub(super) fn close(&mut self, fd: u32) -> Fallible<Open> {
        let open = self.0.get_mut(fd as usize).and_then(Option::take);
        Ok(open.ok_or(Errno::BADF)?)
    }

    /// Moves what is open under one number to another, in the place of what is open there.
    pub(super) fn renumber(&mut self, from: u32, to: u32) -> Fallible<()> {
        self.get(from)?;
        self.get(to)?;
        if from != to {
            self.0[to as usize] = self.0[from as usize].take();
        }
        Ok(())
    }
}

/// The flags of the system's that a file is opened with.
pub(super) fn descriptor_flags(flags: u16) -> DescriptorFlags {
    let mut all = DescriptorFlags::empty();
    let each = [
        (fdflags::SYNC, DescriptorFlags::FILE_INTEGRITY_SYNC),
        (fdflags::DSYNC, DescriptorFlags::DATA_INTEGRITY_SYNC),
        (fdflags::RSYNC, DescriptorFlags::REQUESTED_WRITE_SYNC),
    ];
    for (flag, meaning) in each {
        if flags & flag != 0 {
            all |= meaning;
        }
    }
    all
}
