//! [`Trap`], the error of a call that trapped, and [`WasmBacktrace`].

use crate::load::component::Component;
use crate::load::dwarf::{self, SourceLine};
use std::fmt;
use std::sync::OnceLock;
use trampette_artifact::key::{FuncKey, SymbolKey};
use trampette_artifact::names;
use trampette_artifact::tables::InlinedCall;
use trampette_artifact::trap::TrapCode;

/// Why a call into a component ended abnormally, and where.
#[derive(Clone, Debug)]
pub struct Trap {
    kind: TrapCode,
    payload: u64,
    /// What the embedder used, for traps that no guest code raised.
    place: Option<String>,
    backtrace: WasmBacktrace,
}

impl Trap {
    pub(crate) fn new(kind: TrapCode, payload: u64, backtrace: WasmBacktrace) -> Trap {
        Trap {
            kind,
            payload,
            place: None,
            backtrace,
        }
    }

    /// The same trap, with what the embedder used when it occurred.
    pub(crate) fn at(mut self, place: String) -> Trap {
        self.place = Some(place);
        self
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

    /// The same, to be shown.
    pub fn backtrace(&self) -> &WasmBacktrace {
        &self.backtrace
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wasm trap: {}", self.kind.text(self.payload))?;
        if let Some(place) = &self.place {
            write!(f, " ({place})")?;
        }
        if !self.backtrace.is_empty() {
            write!(f, "\n{}", self.backtrace)?;
        }
        Ok(())
    }
}

impl std::error::Error for Trap {}

/// The guest's frames at a trap, innermost first. Host errors that passed through a guest carry it
/// as context. Names and lines are looked up when they are first asked for.
#[derive(Clone, Default)]
pub struct WasmBacktrace {
    component: Option<Component>,
    /// Code offsets, and whether each is exact rather than a return address.
    raw: Vec<(u32, bool)>,
    frames: OnceLock<Vec<Frame>>,
}

impl WasmBacktrace {
    pub(crate) fn new(component: Component, raw: Vec<(u32, bool)>) -> WasmBacktrace {
        WasmBacktrace {
            component: Some(component),
            raw,
            frames: OnceLock::new(),
        }
    }

    /// The frames, innermost first. Only frames of core functions: trampolines are left out.
    pub fn frames(&self) -> &[Frame] {
        self.frames.get_or_init(|| match &self.component {
            Some(component) => self
                .raw
                .iter()
                .flat_map(|(offset, exact)| {
                    // A return address may already belong to the next instruction, or function.
                    let offset = offset.checked_sub(u32::from(!exact));
                    offset.map_or_else(Vec::new, |offset| frames_at(component, offset))
                })
                .collect(),
            None => Vec::new(),
        })
    }

    /// Whether there are no frames.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty() || self.frames().is_empty()
    }
}

/// The frames that code at an offset stands for: those of inlined functions, and the function's
/// own.
fn frames_at(component: &Component, offset: u32) -> Vec<Frame> {
    let site = component.site_at(offset);
    let mut source = site.and_then(|site| site.source);
    let mut inlined = site.and_then(|site| site.inlined);
    let mut frames = Vec::new();
    while let Some(index) = inlined {
        let Some(call) = component.inlined_call(index) else {
            break;
        };
        if let Some(SymbolKey::Func(callee)) = SymbolKey::decode(call.namespace, call.index) {
            frames.extend(frame_of(component, callee, source));
        }
        source = (call.source != InlinedCall::NO_SOURCE).then_some(call.source);
        // Parents come first; whatever a damaged table says, this ends.
        inlined = call.parent.checked_sub(1).filter(|parent| *parent < index);
    }
    if let Some((key, _)) = component.function_at(offset) {
        frames.extend(frame_of(component, key, source));
    }
    frames
}

/// The frame of a core function; trampolines have none.
fn frame_of(component: &Component, key: FuncKey, offset: Option<u32>) -> Option<Frame> {
    let FuncKey::ModuleFunction(unit, defined) = key else {
        return None;
    };
    let metadata = component.metadata();
    let id = metadata.units.get(unit)?.module;
    let module = metadata.modules.get(id)?;
    let function_index = module.imported_functions.checked_add(defined.0)?;
    let (start, length) = module.function_names;
    let name = component
        .custom_section(start, length)
        .and_then(|table| names::find(table, function_index))
        .map(ToString::to_string);
    Some(Frame {
        module: match &module.name[..] {
            "" => id.to_string(),
            name => name.to_string(),
        },
        function: name,
        function_index,
        offset,
        source: offset.map_or_else(Vec::new, |offset| {
            dwarf::source_lines(component, module, offset)
        }),
    })
}

impl fmt::Debug for WasmBacktrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for WasmBacktrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wasm backtrace:")?;
        for (number, frame) in self.frames().iter().enumerate() {
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
            write!(f, "\n              at ")?;
            if let Some(function) = &line.function {
                write!(f, "{function} in ")?;
            }
            write!(f, "{}:{}", line.file, line.line)?;
            if line.column != 0 {
                write!(f, ":{}", line.column)?;
            }
        }
        Ok(())
    }
}
