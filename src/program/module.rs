//! [`Module`]: a parsed and validated core module, borrowed from the component's bytes.

use super::lock::lock;
use anyhow::Result;
use std::fmt;
use std::ops::Range;
use trampette_artifact::canonical::{Flat, PointerWidth};
use trampette_artifact::ids::{DefinedFunc, IdVec};

/// A core value type, as far as code generation tells them apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)]
pub(crate) enum CoreType {
    I32,
    I64,
    F32,
    F64,
    V128,
    /// A reference; its exact type was validated. 32 bits: a function id or an id of the host's.
    Ref(RefKind),
}

/// What kind of thing a reference refers to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)]
pub(crate) enum RefKind {
    Func,
    Extern,
    Exn,
}

/// A core function type by its parameters and results. Which declared types are one and the same is
/// for [`CanonicalTypes`](super::types::CanonicalTypes) to say.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct CoreSignature {
    /// Parameters.
    pub params: Box<[CoreType]>,
    /// Results.
    pub results: Box<[CoreType]>,
}

impl CoreSignature {
    /// The type of a `realloc` of a memory of a width: `(ptr, ptr, ptr, ptr) -> ptr`.
    pub(crate) fn realloc(width: PointerWidth) -> CoreSignature {
        let pointer = CoreType::pointer(width);
        CoreSignature {
            params: [pointer; 4].into(),
            results: [pointer].into(),
        }
    }

    /// The type of the `post-return` of a lifted function of this type, whose results it takes.
    pub(crate) fn post_return(&self) -> CoreSignature {
        CoreSignature {
            params: self.results.clone(),
            results: [].into(),
        }
    }
}

impl fmt::Display for CoreSignature {
    /// `(i32, i64) -> i32`; the arrow is left out when there are no results.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |types: &[CoreType]| {
            let names: Vec<&str> = types.iter().map(|ty| ty.name()).collect();
            names.join(", ")
        };
        write!(f, "({})", all(&self.params))?;
        match &self.results[..] {
            [] => Ok(()),
            [one] => write!(f, " -> {}", one.name()),
            more => write!(f, " -> ({})", all(more)),
        }
    }
}

impl From<Flat> for CoreType {
    fn from(flat: Flat) -> CoreType {
        match flat {
            Flat::I32 => CoreType::I32,
            Flat::I64 => CoreType::I64,
            Flat::F32 => CoreType::F32,
            Flat::F64 => CoreType::F64,
        }
    }
}

impl CoreType {
    /// The type of addresses of a width.
    pub(crate) fn pointer(width: PointerWidth) -> CoreType {
        match width {
            PointerWidth::P32 => CoreType::I32,
            PointerWidth::P64 => CoreType::I64,
        }
    }

    /// The type as the text format spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            CoreType::I32 => "i32",
            CoreType::I64 => "i64",
            CoreType::F32 => "f32",
            CoreType::F64 => "f64",
            CoreType::V128 => "v128",
            CoreType::Ref(RefKind::Func) => "funcref",
            CoreType::Ref(RefKind::Extern) => "externref",
            CoreType::Ref(RefKind::Exn) => "exnref",
        }
    }
}

/// A parsed core module.
#[derive(Debug, Default)]
pub(crate) struct Module<'a> {
    /// From the name section, or empty.
    pub name: String,
    /// Byte range in the component; offsets in code are relative to the component's start.
    pub range: Range<usize>,
    /// The module's bytes.
    pub bytes: &'a [u8],
    /// Function types by type index. Types that are no function types are refused.
    pub types: Vec<CoreSignature>,
    /// The same types as declared, by recursion group; the indices in them are the module's.
    pub recursion_groups: Vec<Vec<wasmparser::SubType>>,
    /// Imports in order.
    pub imports: Vec<ModuleImport<'a>>,
    /// Type index of each function, imported ones first.
    pub functions: Vec<u32>,
    /// How many of `functions` are imported.
    pub imported_functions: u32,
    /// Tables, imported ones first.
    pub tables: Vec<ModuleTable<'a>>,
    /// How many of `tables` are imported.
    pub imported_tables: u32,
    /// Memories, imported ones first.
    pub memories: Vec<wasmparser::MemoryType>,
    /// How many of `memories` are imported.
    pub imported_memories: u32,
    /// Globals, imported ones first.
    pub globals: Vec<ModuleGlobal<'a>>,
    /// How many of `globals` are imported.
    pub imported_globals: u32,
    /// Type index of each tag, imported ones first.
    pub tags: Vec<u32>,
    /// How many of `tags` are imported.
    pub imported_tags: u32,
    /// Exports in order: name, kind, index.
    pub exports: Vec<(&'a str, EntityKind, u32)>,
    /// The start function.
    pub start: Option<u32>,
    /// Element segments.
    pub elements: Vec<ElementSegment<'a>>,
    /// Data segments.
    pub data: Vec<DataSegment<'a>>,
    /// Bodies of defined functions with their validation state, in order.
    pub bodies: IdVec<DefinedFunc, FunctionBody<'a>>,
    /// Names of functions by index, from the name section.
    pub function_names: Vec<(u32, String)>,
    /// Custom sections: name and contents.
    pub custom_sections: Vec<(&'a str, &'a [u8])>,
    /// Byte offset of the code section's contents in the component.
    pub code_section_start: usize,
    /// Facts about which instructions the module has, found in a pre-pass over all bodies.
    pub uses: Uses,
}

/// What a module's instructions can change; conservative summaries by index space.
#[derive(Debug, Default, Clone)]
pub(crate) struct Uses {
    /// Tables (by index) that some `table.set/fill/copy/init/grow` may write.
    pub written_tables: Vec<bool>,
    /// Tables that some `table.grow` may grow.
    pub grown_tables: Vec<bool>,
    /// Tables that some `table.get` or `table.copy` reads.
    pub read_tables: Vec<bool>,
    /// Memories that some instruction may write.
    pub written_memories: Vec<bool>,
    /// Memories that some `memory.grow` may grow.
    pub grown_memories: Vec<bool>,
    /// Globals that some `global.set` writes.
    pub written_globals: Vec<bool>,
    /// How many `global.get` and `global.set` name each global.
    pub global_accesses: Vec<u32>,
    /// Data segments that some `memory.init` or `data.drop` names.
    pub used_data: Vec<bool>,
    /// Element segments that some `table.init` or `elem.drop` names.
    pub used_elements: Vec<bool>,
    /// Functions (by index) that some `ref.func` in a body names.
    pub referenced_functions: Vec<u32>,
}

impl Uses {
    /// Counts one access to a global; an index that is out of range counts nothing.
    pub(crate) fn count_global(&mut self, global: u32) {
        if let Some(count) = self.global_accesses.get_mut(global as usize) {
            *count = count.saturating_add(1);
        }
    }
}

/// Kinds of core entities.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)]
pub(crate) enum EntityKind {
    Func,
    Table,
    Memory,
    Global,
    Tag,
}

/// An import of a module.
#[derive(Clone, Debug)]
pub(crate) struct ModuleImport<'a> {
    /// First name.
    pub module: &'a str,
    /// Second name.
    pub name: &'a str,
    /// What is imported; its type is in the module's index space at `index`.
    pub kind: EntityKind,
    /// Index in the index space of that kind.
    pub index: u32,
}

/// A table.
#[derive(Clone, Debug)]
pub(crate) struct ModuleTable<'a> {
    /// Its type.
    pub ty: wasmparser::TableType,
    /// What it holds.
    pub element: RefKind,
    /// The initial value of a defined table's entries; `None` is null.
    pub init: Option<wasmparser::ConstExpr<'a>>,
    /// Where it is declared, as a byte offset in the input.
    pub declared_at: u64,
}

/// A global.
#[derive(Clone, Debug)]
pub(crate) struct ModuleGlobal<'a> {
    /// Its type.
    pub ty: CoreType,
    /// Its type as declared.
    pub declared: wasmparser::ValType,
    /// Whether it may be written.
    pub mutable: bool,
    /// The initial value of a defined global.
    pub init: Option<wasmparser::ConstExpr<'a>>,
}

/// Where an active segment goes.
#[derive(Clone, Debug)]
pub(crate) enum SegmentMode<'a> {
    /// Written at instantiation.
    Active {
        /// Memory or table index.
        index: u32,
        /// The offset.
        offset: wasmparser::ConstExpr<'a>,
    },
    /// Copied by instructions.
    Passive,
    /// Only declares function references.
    Declared,
}

/// An element segment.
#[derive(Clone, Debug)]
pub(crate) struct ElementSegment<'a> {
    /// Where it goes.
    pub mode: SegmentMode<'a>,
    /// Its entries.
    pub items: ElementItems<'a>,
}

/// The entries of an element segment.
#[derive(Clone, Debug)]
pub(crate) enum ElementItems<'a> {
    /// Function indices.
    Functions(Vec<u32>),
    /// Constant expressions.
    Expressions(Vec<wasmparser::ConstExpr<'a>>),
}

/// A data segment.
#[derive(Clone, Debug)]
pub(crate) struct DataSegment<'a> {
    /// Where it goes.
    pub mode: SegmentMode<'a>,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// A function body and what is needed to validate it while translating. Validation happens together
/// with translation, in parallel; bodies that pruning leaves out are validated on their own.
#[derive(Debug)]
pub(crate) struct FunctionBody<'a> {
    /// The body; its reader's offsets are relative to the component's start.
    pub body: wasmparser::FunctionBody<'a>,
    /// What validates it. Taken by whoever validates (behind a lock, since compilation is
    /// parallel).
    pub validator:
        std::sync::Mutex<Option<wasmparser::FuncToValidate<wasmparser::ValidatorResources>>>,
    /// The same, for further units that translate the body, when it is known to be valid.
    pub known: wasmparser::FuncToValidate<wasmparser::ValidatorResources>,
    /// Its calls in order; `None` if it cannot be read, which validation will report.
    pub calls: Option<Box<[Call]>>,
    /// How many blocks, loops, conditions and branches it has.
    pub controls: u32,
}

/// A call in a body. The indices are the module's, and not validated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    /// `call`, `return_call`.
    Direct {
        /// The function.
        function: u32,
    },
    /// `call_indirect`, `return_call_indirect`.
    Indirect {
        /// The table.
        table: u32,
        /// The type index.
        ty: u32,
        /// The entry, if it is a constant; [`u32::MAX`] for one that no table has.
        entry: Option<u32>,
    },
    /// `call_ref`, `return_call_ref`.
    Reference,
}

impl FunctionBody<'_> {
    /// What validates the body while it is translated, as often as there are units of its module.
    pub(crate) fn take_validator(
        &self,
    ) -> wasmparser::FuncToValidate<wasmparser::ValidatorResources> {
        let first = lock(&self.validator).take();
        first.unwrap_or_else(|| copy_validator(&self.known))
    }
}

/// Another validator of the same body.
pub(crate) fn copy_validator(
    validator: &wasmparser::FuncToValidate<wasmparser::ValidatorResources>,
) -> wasmparser::FuncToValidate<wasmparser::ValidatorResources> {
    wasmparser::FuncToValidate {
        resources: validator.resources.clone(),
        index: validator.index,
        ty: validator.ty,
        features: validator.features,
    }
}

impl<'a> Module<'a> {
    /// The index of a function that the module defines.
    pub(crate) fn index_of(&self, function: DefinedFunc) -> u32 {
        self.imported_functions + function.0
    }

    /// The signature of a function by index.
    pub(crate) fn signature(&self, function: u32) -> &CoreSignature {
        &self.types[self.functions[function as usize] as usize]
    }

    /// The name of a function from the name section.
    pub(crate) fn function_name(&self, function: u32) -> Option<&str> {
        let at = self
            .function_names
            .binary_search_by_key(&function, |(index, _)| *index)
            .ok()?;
        Some(&self.function_names[at].1)
    }
}

/// Turns a parser's value type into ours.
///
/// # Errors
/// For types of the garbage collection proposal, which is not supported.
pub(crate) fn core_type(ty: wasmparser::ValType) -> Result<CoreType> {
    use wasmparser::{AbstractHeapType as A, HeapType, ValType};
    Ok(match ty {
        ValType::I32 => CoreType::I32,
        ValType::I64 => CoreType::I64,
        ValType::F32 => CoreType::F32,
        ValType::F64 => CoreType::F64,
        ValType::V128 => CoreType::V128,
        ValType::Ref(reference) => CoreType::Ref(match reference.heap_type() {
            HeapType::Abstract {
                ty: A::Func | A::NoFunc,
                ..
            }
            | HeapType::Concrete(_) => RefKind::Func,
            HeapType::Abstract {
                ty: A::Extern | A::NoExtern,
                ..
            } => RefKind::Extern,
            HeapType::Abstract {
                ty: A::Exn | A::NoExn,
                ..
            } => RefKind::Exn,
            other => anyhow::bail!("garbage collection types are not supported: {other:?}"),
        }),
    })
}
