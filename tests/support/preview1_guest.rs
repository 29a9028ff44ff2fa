//! A guest of WASI preview 1 that is driven from a test: a module that exports what it imports, so
//! that each function is called with any arguments, on a memory that is written and read.

use trampette::CompileOptions;
use trampette_runtime::{
    Component, CoreHost, CoreInstance, CoreMemory, CoreVal, CoreValueType, Store,
};
use trampette_wasi::{WasiCtx, p1};

pub const SNAPSHOT: &str = "wasi_snapshot_preview1";
pub const UNSTABLE: &str = "wasi_unstable";

pub const SUCCESS: i32 = 0;
pub const BADF: i32 = 8;
pub const INVAL: i32 = 28;
pub const MFILE: i32 = 33;
pub const NOSPC: i32 = 51;
pub const NOTSUP: i32 = 58;
pub const ROFS: i32 = 69;
pub const SPIPE: i32 = 70;

/// Names of all functions and their parameters, as the specification has them.
pub const FUNCTIONS: &[(&str, &str)] = &[
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "ili"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("fd_advise", "illi"),
    ("fd_allocate", "ill"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "ill"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "il"),
    ("fd_filestat_set_times", "illi"),
    ("fd_pread", "iiili"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_prestat_get", "ii"),
    ("fd_pwrite", "iiili"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiili"),
    ("fd_renumber", "ii"),
    ("fd_seek", "ilii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiilli"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiillii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("proc_raise", "i"),
    ("random_get", "ii"),
    ("sched_yield", ""),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

pub fn compile(text: &str) -> Component {
    let wasm = wat::parse_str(text).unwrap();
    let artifact = trampette::compile_module(&wasm, &CompileOptions::default()).unwrap();
    // SAFETY: it was just compiled.
    unsafe { Component::from_bytes(artifact.bytes()) }.unwrap()
}

/// A module that exports what it imports from one version, and a memory of one page.
pub fn mirror(version: &str) -> Component {
    let mut text = "(module ".to_string();
    for (name, params) in FUNCTIONS {
        let types = params.chars().map(|letter| match letter {
            'l' => " i64",
            _ => " i32",
        });
        let types: String = types.collect();
        text +=
            &format!(r#"(import "{version}" "{name}" (func ${name} (param{types}) (result i32)))"#);
    }
    for (name, _) in FUNCTIONS {
        text += &format!(r#"(export "{name}" (func ${name}))"#);
    }
    compile(&(text + r#"(memory (export "memory") 1))"#))
}

/// An instance of the mirror.
pub struct Guest {
    pub store: Store<WasiCtx>,
    pub instance: CoreInstance,
    pub memory: CoreMemory,
}

impl Guest {
    pub fn new(module: &Component, wasi: WasiCtx) -> Guest {
        let mut store = Store::new(wasi);
        let mut host = CoreHost::new();
        p1::add_to_host(&mut host);
        let instance = CoreInstance::new(&mut store, module, host).unwrap();
        let memory = instance.get_memory(&store, "memory").unwrap();
        Guest {
            store,
            instance,
            memory,
        }
    }

    /// Calls a function with arguments that are made to fit its parameters: the error number.
    pub fn try_call(&mut self, name: &str, args: &[i64]) -> anyhow::Result<i32> {
        let function = self.instance.get_func(&self.store, name)?;
        let value = |(ty, value): (&CoreValueType, &i64)| match ty {
            CoreValueType::I64 => CoreVal::I64(*value),
            _ => CoreVal::I32(*value as i32),
        };
        let args: Vec<CoreVal> = function.ty().params.iter().zip(args).map(value).collect();
        match function.call(&mut self.store, &args)?[..] {
            [CoreVal::I32(errno)] => Ok(errno),
            ref other => panic!("{name} gives {other:?}"),
        }
    }

    pub fn call(&mut self, name: &str, args: &[i64]) -> i32 {
        self.try_call(name, args).unwrap()
    }

    pub fn read(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.memory.read(&self.store, address, &mut bytes).unwrap();
        bytes
    }

    pub fn word(&self, address: u64) -> u32 {
        u32::from_le_bytes(self.read(address, 4).try_into().unwrap())
    }

    pub fn long(&self, address: u64) -> u64 {
        u64::from_le_bytes(self.read(address, 8).try_into().unwrap())
    }

    pub fn write(&mut self, address: u64, bytes: &[u8]) {
        self.memory.write(&mut self.store, address, bytes).unwrap();
    }

    pub fn write_words(&mut self, address: u64, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.write(address, &bytes);
    }

    /// Opens a path below the directory 3 with `oflags` and rights: the number, or the error's.
    pub fn open(&mut self, path: &str, how: i64, rights: i64) -> Result<i64, i32> {
        self.write(1024, path.as_bytes());
        let length = path.len() as i64;
        let args = [3, 0, 1024, length, how, rights, 0, 0, 512];
        match self.call("path_open", &args) {
            SUCCESS => Ok(self.word(512).into()),
            errno => Err(errno),
        }
    }

    /// Writes bytes to a descriptor: the error number, and how many it took.
    pub fn put(&mut self, fd: i64, bytes: &[u8]) -> (i32, u32) {
        self.write(8192, bytes);
        self.write_words(0, &[8192, bytes.len() as u32]);
        let errno = self.call("fd_write", &[fd, 0, 1, 8]);
        (errno, self.word(8))
    }

    /// Reads from a descriptor.
    pub fn get(&mut self, fd: i64, length: u32) -> Result<Vec<u8>, i32> {
        self.write_words(0, &[8192, length]);
        match self.call("fd_read", &[fd, 0, 1, 8]) {
            SUCCESS => Ok(self.read(8192, self.word(8) as usize)),
            errno => Err(errno),
        }
    }
}

pub const READ: i64 = 1 << 1;
pub const WRITE: i64 = 1 << 6;
pub const CREATE: i64 = 1;
