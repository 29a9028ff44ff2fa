//! [`Trap`], the error of a call that trapped, and [`WasmBacktrace`].

use std::fmt;
use trampette_artifact::trap::TrapCode;

/// Why a call into a component ended abnormally, and where.
#[derive(Clone, Debug)]
pub struct Trap {
    kind: TrapCode,
    payload: u64,
    backtrace: WasmBacktrace,
}

impl Trap {
    pub(crate) fn new(kind: TrapCode, payload: u64, backtrace: WasmBacktrace) -> Trap {
        Trap {
            kind,
            payload,
            backtrace,
        }
    }

    /// The kind of trap.
    pub fn kind(&self) -> TrapCode {
        self.kind
    }

    /// What parameterises the kind's text: a handle's index, for example.
    pub fn payload(&self) -> u64 {
        self.payload
    }

    /// The guest's frames, innermost first.
    pub fn frames(&self) -> &[Frame] {
        self.backtrace.frames()
    }

    pub(crate) fn is_host_error(&self) -> bool {
        self.kind == TrapCode::HostError
    }

    pub(crate) fn into_backtrace(self) -> WasmBacktrace {
        self.backtrace
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wasm trap: {}", self.kind.text(self.payload))?;
        if !self.frames().is_empty() {
            write!(f, "\n{}", self.backtrace)?;
        }
        Ok(())
    }
}

impl std::error::Error for Trap {}

/// The guest's frames at a trap, innermost first. Host errors that passed through a guest carry it as
/// context.
#[derive(Clone, Debug, Default)]
pub struct WasmBacktrace {
    frames: Vec<Frame>,
}

impl WasmBacktrace {
    pub(crate) fn new(frames: Vec<Frame>) -> WasmBacktrace {
        WasmBacktrace { frames }
    }

    /// The frames, innermost first.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }
}

impl fmt::Display for WasmBacktrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wasm backtrace:")?;
        for (number, frame) in self.frames.iter().enumerate() {
            write!(f, "\n{number:5}: {frame}")?;
        }
        Ok(())
    }
}

impl std::error::Error for WasmBacktrace {}

/// One frame of a guest.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The static module's name, or its number.
    pub module: String,
    /// The function's name, demangled, if the module has a name for it.
    pub function: Option<String>,
    /// Its index in the module's function index space.
    pub function_index: u32,
    /// Byte offset in the component of the instruction, if known.
    pub offset: Option<u32>,
    /// `file:line:column` from the module's DWARF, innermost inlined function first.
    pub source: Vec<SourceLine>,
}

/// A source position of a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceLine {
    /// The function, if it was inlined.
    pub function: Option<String>,
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1; 0 if unknown.
    pub column: u32,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(offset) = self.offset {
            write!(f, "{offset:#8x} - ")?;
        }
        write!(f, "{}!", self.module)?;
        match &self.function {
            Some(name) => write!(f, "{name}")?,
            None => write!(f, "<wasm function {}>", self.function_index)?,
        }
        for line in &self.source {
            write!(f, "\n              at {}:{}", line.file, line.line)?;
            if line.column != 0 {
                write!(f, ":{}", line.column)?;
            }
        }
        Ok(())
    }
}
