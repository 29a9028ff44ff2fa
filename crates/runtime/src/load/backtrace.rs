//! [`Trap`], the error of a call that trapped, and [`WasmBacktrace`].

use crate::load::component::Component;
use crate::load::dwarf::{self, Budget, SourceLine};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;
use trampette_artifact::demangle::demangled;
use trampette_artifact::ids::ModuleId;
use trampette_artifact::key::{FuncKey, SymbolKey};
use trampette_artifact::names;
use trampette_artifact::tables::InlinedCall;
use trampette_artifact::text::{escaped, shortened};
use trampette_artifact::trap::TrapCode;

/// Why a call into a component ended abnormally, and where.
///
/// ```
/// # use trampette_runtime::{Store, Trap, TrapCode, TypedFunc};
/// # fn main() {}
/// # fn run(store: &mut Store<()>, run: TypedFunc<(), ()>) -> anyhow::Result<()> {
/// if let Err(error) = run.call(&mut *store, ()) {
///     match error.downcast_ref::<Trap>().map(Trap::kind) {
///         Some(TrapCode::Deadline) => println!("it took too long"),
///         Some(kind) => println!("the guest failed: {}", kind.text(0)),
///         None => println!("a function of the host failed: {error:#}"),
///     }
/// }
/// # Ok(()) }
/// ```
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
            write!(f, " ({})", escaped(place))?;
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
///
/// ```
/// # use trampette_runtime::WasmBacktrace;
/// # fn innermost(error: &anyhow::Error) -> Option<String> {
/// // An error of a host function's own, on its way through a guest.
/// let backtrace = error.downcast_ref::<WasmBacktrace>()?;
/// backtrace.frames().first()?.function.clone()
/// # }
/// ```
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
            Some(component) => look_up(component, &self.raw),
            None => Vec::new(),
        })
    }

    /// Whether there are no frames.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty() || self.frames().is_empty()
    }
}

/// Frames that are looked up: those that were recorded, and inlined ones.
const MAX_FRAMES: usize = 256;
/// Bytes of a module's name.
const MAX_MODULE_NAME: usize = 256;

/// A frame before its names and lines are looked up.
struct RawFrame {
    module: ModuleId,
    function_index: u32,
    offset: Option<u32>,
}

/// Looks up frames: all at once, since what is read for one serves the others.
fn look_up(component: &Component, raw: &[(u32, bool)]) -> Vec<Frame> {
    let mut frames = Vec::new();
    for (offset, exact) in raw {
        // A return address may already belong to the next instruction, or function.
        if let Some(offset) = offset.checked_sub(u32::from(!exact)) {
            frames_at(component, offset, &mut frames);
        }
    }
    let mut offsets: BTreeMap<ModuleId, Vec<u32>> = BTreeMap::new();
    for frame in &frames {
        let of_module = offsets.entry(frame.module).or_default();
        of_module.extend(frame.offset);
    }
    let modules = &component.metadata().modules;
    let mut budget = Budget::of_backtrace();
    let lines: BTreeMap<ModuleId, _> = offsets
        .into_iter()
        .map(|(id, offsets)| {
            let module = &modules[id];
            let lines = dwarf::source_lines(component, id, module, &offsets, &mut budget);
            (id, lines)
        })
        .collect();
    // A function that calls itself has its name looked up once.
    let mut names: BTreeMap<(ModuleId, u32), Option<String>> = BTreeMap::new();
    let frames = frames.into_iter().map(|frame| {
        let (id, function_index) = (frame.module, frame.function_index);
        let module = &modules[id];
        let name = names.entry((id, function_index)).or_insert_with(|| {
            let (start, length) = module.function_names;
            let table = component.custom_section(start, length)?;
            names::find(table, function_index).map(demangled)
        });
        let lines = frame.offset.and_then(|offset| lines[&id].get(&offset));
        Frame {
            module: match &module.name[..] {
                "" => id.to_string(),
                name => shortened(name.as_bytes(), MAX_MODULE_NAME),
            },
            function: name.clone(),
            function_index,
            offset: frame.offset,
            source: lines.cloned().unwrap_or_default(),
        }
    });
    frames.collect()
}

/// Adds the frames that code at an offset stands for: those of inlined functions, and the
/// function's own.
fn frames_at(component: &Component, offset: u32, frames: &mut Vec<RawFrame>) {
    let site = component.site_at(offset);
    let mut source = site.and_then(|site| site.source);
    let mut inlined = site.and_then(|site| site.inlined);
    let mut add = |key, source| {
        if frames.len() < MAX_FRAMES {
            frames.extend(frame_of(component, key, source));
        }
        frames.len() < MAX_FRAMES
    };
    while let Some(index) = inlined {
        let Some(call) = component.inlined_call(index) else {
            break;
        };
        if let Some(SymbolKey::Func(callee)) = SymbolKey::decode(call.namespace, call.index)
            && !add(callee, source)
        {
            return;
        }
        source = (call.source != InlinedCall::NO_SOURCE).then_some(call.source);
        // Parents come first; whatever a damaged table says, this ends.
        inlined = call.parent.checked_sub(1).filter(|parent| *parent < index);
    }
    if let Some((key, _)) = component.function_at(offset) {
        add(key, source);
    }
}

/// The frame of a core function; trampolines have none.
fn frame_of(component: &Component, key: FuncKey, offset: Option<u32>) -> Option<RawFrame> {
    let FuncKey::ModuleFunction(unit, defined) = key else {
        return None;
    };
    let metadata = component.metadata();
    let id = metadata.units.get(unit)?.module;
    let module = metadata.modules.get(id)?;
    Some(RawFrame {
        module: id,
        function_index: module.imported_functions.checked_add(defined.0)?,
        offset,
    })
}

impl fmt::Debug for WasmBacktrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the text of a backtrace begins with.
pub(crate) const HEADING: &str = "wasm backtrace:";

impl fmt::Display for WasmBacktrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEADING)?;
        let frames: Vec<String> = self.frames().iter().map(Frame::to_string).collect();
        let mut number = 0;
        while number < frames.len() {
            let (period, times) = repetition(&frames[number..]);
            for (index, frame) in frames[number..number + period].iter().enumerate() {
                write!(f, "\n{:5}: {frame}", number + index)?;
            }
            match (period, times) {
                (_, 1) => {}
                (1, times) => write!(f, "\n       … repeated {} times", times - 1)?,
                (period, times) => {
                    write!(f, "\n       … these {period} repeated {} times", times - 1)?;
                }
            }
            number += period * times;
        }
        Ok(())
    }
}

/// Frames that call each other in a circle and are shown once.
const MAX_PERIOD: usize = 8;

/// How many of the first frames stand for several rounds of a recursion, and for how many; one and
/// one if there is none worth to be left out.
fn repetition(frames: &[String]) -> (usize, usize) {
    for period in 1..=MAX_PERIOD.min(frames.len()) {
        let (first, rest) = frames.split_at(period);
        let again = rest.chunks_exact(period).take_while(|next| *next == first);
        let times = 1 + again.count();
        // A line that says so must be shorter than what it stands for.
        if times >= 3 {
            return (period, times);
        }
    }
    (1, 1)
}

impl std::error::Error for WasmBacktrace {}

/// One frame of a guest. Names are the guest's: its text ([`Display`](fmt::Display)) has control
/// characters spelt, the fields do not.
///
/// ```
/// # fn show(trap: &trampette_runtime::Trap) {
/// for frame in trap.frames() {
///     println!("{frame}");
///     for line in &frame.source {
///         println!("  {}:{}", line.file, line.line);
///     }
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Frame {
    /// The static module's name, or its number.
    pub module: String,
    /// The function's name, if the module has one for it; names that Rust or C++ mangled are spelt
    /// out.
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
        write!(f, "{}!", escaped(&self.module))?;
        match &self.function {
            Some(name) => write!(f, "{}", escaped(name))?,
            None => write!(f, "<wasm function {}>", self.function_index)?,
        }
        for line in &self.source {
            write!(f, "\n              at ")?;
            if let Some(function) = &line.function {
                write!(f, "{} in ", escaped(function))?;
            }
            write!(f, "{}:{}", escaped(&line.file), line.line)?;
            if line.column != 0 {
                write!(f, ":{}", line.column)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_of_a_recursion_are_found() {
        let cases: [(&str, (usize, usize)); 7] = [
            ("a", (1, 1)),
            ("aa", (1, 1)),
            ("aaab", (1, 3)),
            ("abab", (1, 1)),
            ("abababa", (2, 3)),
            ("aabaabaab", (3, 3)),
            ("abcdefghabcdefghabcdefghabc", (8, 3)),
        ];
        for (frames, expected) in cases {
            let frames: Vec<String> = frames.chars().map(|c| c.to_string()).collect();
            assert_eq!(repetition(&frames), expected, "{frames:?}");
        }
    }
}
