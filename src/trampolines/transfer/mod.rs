//! The transfer engine: moves one component-level value from a source to a destination, in CLIF.
//!
//! There are two kinds of [`Side`]. A *guest* keeps values as flat core values or in its linear
//! memory, in the canonical layout; the *host* keeps them in native memory, in the native layout.
//! Every trampoline that carries values is two transfers between two sides: a lowered import moves
//! its parameters from guest to host and its result back; a lifted export does the opposite; an
//! adapter moves between two guests.
//!
//! Each kind of type has one function, generic over both sides: it takes a [`Source`], which says
//! where the value is, and a [`Destination`], which says where it goes. Lifting and lowering as the
//! Canonical ABI specifies them (*Loading*, *Storing*, *Flat Lifting*, *Flat Lowering*) are fused
//! here; checks of what a guest supplied are those of lifting, and are made when the source is a
//! guest. What the host supplies natively is trusted, except for sizes and handles.
//!
//! | file | types |
//! | --- | --- |
//! | `scalars` | numbers, `bool`, `char`, `flags`; pairs of pointer and length |
//! | `records` | `record`, `tuple`, fixed-length lists |
//! | `variants` | `variant`, `option`, `result`, `enum` |
//! | `lists` | `list`, `map` |
//! | `strings` | `string` from and to the host |
//! | `strings_between` | `string` from guest to guest |
//! | `handles` | `own`, `borrow` |
//! | `shared` | parts of large types, carried by code of their own |
//! | `checks` | the one place where pointers, lengths and alignments of guests are checked |
//! | `facts`, `kind` | what is known about types without values; how a call carries them |
//!
//! Not decided here: flags of instances, marks of the arena, release of the host's results. The
//! trampolines do that.

mod checks;
pub(crate) mod facts;
mod handles;
pub(crate) mod kind;
mod lists;
mod records;
mod scalars;
mod shared;
mod strings;
mod strings_between;
#[cfg(test)]
mod tests;
mod variants;

pub(crate) use checks::{allocate, allocate_tuple, checked_tuple};
use shared::Sharing;
pub(crate) use shared::{find_shared_transfers, shared_transfer};

use super::borrows::BorrowScope;
use crate::codegen::TransferPart;
use crate::codegen::emitter::Emitter;
use crate::program::{CanonicalOptions, CoreFunc, StringEncoding, Waiting};
use anyhow::{Context, Result, bail};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value};
use trampette_artifact::canonical::{self, Flat, PointerWidth, SizeAlign};
use trampette_artifact::facts::FlatTypes;
use trampette_artifact::ids::{ComponentInstanceId, MemoryId, ResourceId};
use trampette_artifact::native;
use trampette_artifact::types::{DefinedType, Type, TypeTable};

/// A side whose values are in linear memory or flat.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guest<'a> {
    options: &'a CanonicalOptions,
}

impl<'a> Guest<'a> {
    /// The side that these canonical options describe.
    pub(crate) fn new(options: &'a CanonicalOptions) -> Self {
        Guest { options }
    }

    /// Width of its pointers.
    pub(crate) fn width(&self) -> PointerWidth {
        self.options
            .memory
            .map_or(PointerWidth::P32, |(_, width)| width)
    }

    /// Its component instance.
    pub(crate) fn instance(&self) -> ComponentInstanceId {
        self.options.instance
    }

    /// Its string encoding.
    pub(crate) fn encoding(&self) -> StringEncoding {
        self.options.encoding
    }

    /// Its options `async` and `callback`.
    pub(crate) fn waiting(&self) -> Waiting {
        self.options.waiting
    }

    /// Whether both keep their values in the same memory.
    pub(crate) fn shares_memory(&self, other: Guest<'_>) -> bool {
        let memory = |guest: &Guest<'_>| guest.options.memory.map(|(memory, _)| memory);
        memory(self).is_some() && memory(self) == memory(&other)
    }

    fn memory(&self) -> Result<MemoryId> {
        let (memory, _) = self
            .options
            .memory
            .context("the types need the canonical option `memory`")?;
        Ok(memory)
    }

    fn realloc(&self) -> Result<CoreFunc> {
        self.options
            .realloc
            .context("the types need the canonical option `realloc`")
    }
}

/// One end of a transfer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side<'a> {
    /// Flat core values, or linear memory in the canonical layout.
    Guest(Guest<'a>),
    /// Native memory in the native layout.
    Host,
}

impl Side<'_> {
    /// Size and alignment in this side's memory.
    pub(crate) fn size_align(&self, types: &TypeTable, shape: &Shape) -> SizeAlign {
        match (self, shape) {
            (Side::Guest(guest), Shape::Value(ty)) => {
                canonical::size_align(types, *ty, guest.width())
            }
            (Side::Host, Shape::Value(ty)) => native::size_align(types, *ty),
            (_, Shape::Tuple(fields)) => self.record_layout(types, fields).0,
        }
    }

    /// Size, alignment and offsets of consecutive fields.
    pub(crate) fn record_layout(
        &self,
        types: &TypeTable,
        fields: &[Type],
    ) -> (SizeAlign, Vec<u64>) {
        let all = fields.iter().copied();
        match self {
            Side::Guest(guest) => canonical::record_layout(types, all, guest.width()),
            Side::Host => native::record_layout(types, all),
        }
    }

    fn payload_offset(&self, types: &TypeTable, cases: &[Option<Type>]) -> u64 {
        match self {
            Side::Guest(guest) => canonical::payload_offset(types, cases, guest.width()),
            Side::Host => native::payload_offset(types, cases),
        }
    }

    /// Flat core types of a value. Only for values that are flat on this side, so few.
    fn flat(&self, types: &TypeTable, ty: Type) -> Vec<Flat> {
        let width = match self {
            Side::Guest(guest) => guest.width(),
            Side::Host => PointerWidth::P64,
        };
        let flat = types.facts(ty).flat(width);
        flat.into_iter().flat_map(FlatTypes::iter).collect()
    }
}

/// A type, or a tuple that need not be interned: parameters of a function, entries of a map.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// A type.
    Value(Type),
    /// A tuple of these.
    Tuple(Vec<Type>),
}

/// A place in memory whose bounds and alignment are known to be good.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// A native address (`i64`), in linear memory too.
    pub address: Value,
    /// Bytes from there.
    pub offset: u64,
}

impl Place {
    /// The place at an address.
    pub(crate) fn new(address: Value) -> Self {
        Place { address, offset: 0 }
    }

    fn plus(self, offset: u64) -> Self {
        Place {
            address: self.address,
            offset: self.offset + offset,
        }
    }
}

/// Flat values that are consumed in order: `CoreValueIter` of the Canonical ABI.
#[derive(Debug)]
pub(crate) struct FlatValues {
    values: Vec<Value>,
    next: usize,
}

impl FlatValues {
    /// All of `values`.
    pub(crate) fn new(values: Vec<Value>) -> Self {
        FlatValues { values, next: 0 }
    }

    /// The next value.
    ///
    /// # Panics
    /// If all were taken: the core signature is the flattening of the type, which was validated.
    pub(crate) fn take(&mut self) -> Value {
        self.next += 1;
        self.values[self.next - 1]
    }
}

/// Where a value comes from.
#[derive(Debug)]
pub(crate) enum Source<'s> {
    /// The next of these core values.
    Flat(&'s mut FlatValues),
    /// The memory of the source's guest.
    Guest(Place),
    /// Native memory.
    Native(Place),
}

impl Source<'_> {
    /// The field at `offset`; the next values if flat.
    fn at(&mut self, offset: u64) -> Source<'_> {
        match self {
            Source::Flat(values) => Source::Flat(values),
            Source::Guest(place) => Source::Guest(place.plus(offset)),
            Source::Native(place) => Source::Native(place.plus(offset)),
        }
    }
}

/// Where a value goes.
#[derive(Debug)]
pub(crate) enum Destination<'d> {
    /// Appended to these core values.
    Flat(&'d mut Vec<Value>),
    /// The memory of the destination's guest.
    Guest(Place),
    /// Native memory.
    Native(Place),
}

impl Destination<'_> {
    /// The field at `offset`; the next values if flat.
    fn at(&mut self, offset: u64) -> Destination<'_> {
        match self {
            Destination::Flat(values) => Destination::Flat(values),
            Destination::Guest(place) => Destination::Guest(place.plus(offset)),
            Destination::Native(place) => Destination::Native(place.plus(offset)),
        }
    }
}

/// How a place in memory is loaded or stored.
struct Access {
    flags: MemFlagsData,
    address: Value,
    displacement: i32,
}

/// A transfer under construction.
pub(crate) struct Transfer<'t, 'a, 'f> {
    /// Where code goes.
    pub e: &'t mut Emitter<'a, 'f>,
    from: Side<'t>,
    to: Side<'t>,
    /// Resources whose lends the rest of the transfer can observe.
    observed_lends: Vec<ResourceId>,
    /// Where borrowed handles of the destination are counted, if there can be any.
    borrows: Option<BorrowScope>,
    /// In-line string checks emitted so far: each is some hundred bytes of code.
    inline_strings: u32,
    /// Strings that are passed on in line so far.
    passed_strings: u32,
    /// Cases of variants that the transfer is in.
    cases: u32,
    /// Which parts of types are carried by code of their own.
    sharing: Sharing,
}

impl<'t, 'a, 'f> Transfer<'t, 'a, 'f> {
    /// Starts a transfer between two sides.
    ///
    /// # Errors
    /// If a side's memory is shared: other threads could change values after they were checked.
    pub(crate) fn new(e: &'t mut Emitter<'a, 'f>, from: Side<'t>, to: Side<'t>) -> Result<Self> {
        for side in [from, to] {
            let Side::Guest(guest) = side else { continue };
            let Some((memory, _)) = guest.options.memory else {
                continue;
            };
            if e.session.layout.memories[memory].shared().is_some() {
                bail!("a shared memory ({memory}) as canonical option `memory` is not supported");
            }
        }
        Ok(Transfer {
            e,
            from,
            to,
            observed_lends: Vec::new(),
            borrows: None,
            inline_strings: 0,
            passed_strings: 0,
            cases: 0,
            sharing: Sharing::Nothing,
        })
    }

    /// Records lends of these resources' handles, because the same parameters, or code that runs
    /// during the call, may give up a handle that was lent before.
    pub(crate) fn observe_lends(&mut self, resources: Vec<ResourceId>) {
        self.observed_lends = resources;
    }

    /// Counts borrowed handles that are lowered as those of a task.
    pub(crate) fn count_borrows(&mut self, task: Option<BorrowScope>) {
        self.borrows = task;
    }

    /// Whether neither side is the host. The traps of what `realloc` returns are named differently
    /// then: like those of the value that goes there.
    fn between_guests(&self) -> bool {
        matches!((self.from, self.to), (Side::Guest(_), Side::Guest(_)))
    }

    fn types(&self) -> &'a TypeTable {
        &self.e.session.program.types
    }

    /// Transfers a value of some shape.
    ///
    /// # Errors
    /// If the type has values that cannot be transferred yet, or options that it needs are missing.
    pub(crate) fn shape(
        &mut self,
        shape: &Shape,
        from: &mut Source<'_>,
        to: &mut Destination<'_>,
    ) -> Result<()> {
        match shape {
            Shape::Value(ty) => self.value(*ty, from, to),
            Shape::Tuple(fields) => self.fields(fields, from, to),
        }
    }

    /// Transfers the parameters or the result of a function. If they are large, parts of their
    /// types are carried by code that all share who carry them alike.
    ///
    /// # Errors
    /// As [`Transfer::shape`].
    pub(crate) fn all(
        &mut self,
        shape: &Shape,
        from: &mut Source<'_>,
        to: &mut Destination<'_>,
    ) -> Result<()> {
        self.sharing = Sharing::of(self.types(), shape);
        self.shape(shape, from, to)
    }

    /// Transfers a value of a type.
    ///
    /// # Errors
    /// As [`Transfer::shape`].
    pub(crate) fn value(
        &mut self,
        ty: Type,
        from: &mut Source<'_>,
        to: &mut Destination<'_>,
    ) -> Result<()> {
        use scalars::Integer;
        match ty {
            Type::Bool => self.boolean(from, to),
            Type::S8 => self.integer(Integer::S8, from, to),
            Type::U8 => self.integer(Integer::U8, from, to),
            Type::S16 => self.integer(Integer::S16, from, to),
            Type::U16 => self.integer(Integer::U16, from, to),
            Type::S32 | Type::U32 => self.integer(Integer::Any32, from, to),
            Type::S64 | Type::U64 => self.integer(Integer::Any64, from, to),
            Type::F32 => self.float(Flat::F32, from, to),
            Type::F64 => self.float(Flat::F64, from, to),
            Type::Char => self.character(from, to),
            Type::String => return self.string(from, to),
            Type::ErrorContext => self.error_context(from, to),
            Type::Defined(_) if self.is_shared(ty) => {
                return self.call_shared(TransferPart::Whole(ty), from, to);
            }
            Type::Defined(id) => return self.defined(ty, &self.types()[id], from, to),
        }
        Ok(())
    }

    fn defined(
        &mut self,
        ty: Type,
        defined: &DefinedType,
        from: &mut Source<'_>,
        to: &mut Destination<'_>,
    ) -> Result<()> {
        match defined {
            DefinedType::Record(_) | DefinedType::Tuple(_) => {
                let fields = canonical::record_fields(self.types(), ty)
                    .context("a record or tuple has fields")?;
                self.record(ty, &fields, from, to)
            }
            DefinedType::FixedLengthList(element, count) => {
                self.fixed_length_list(*element, *count, from, to)
            }
            DefinedType::List(element) => self.list(&Shape::Value(*element), from, to),
            DefinedType::Map(key, value) => self.list(&Shape::Tuple(vec![*key, *value]), from, to),
            DefinedType::Flags(labels) => {
                self.flags(labels.len(), from, to);
                Ok(())
            }
            DefinedType::Enum(names) => {
                self.enumeration(names.len(), from, to);
                Ok(())
            }
            DefinedType::Variant(_) | DefinedType::Option(_) | DefinedType::Result { .. } => {
                let cases = canonical::variant_cases(self.types(), ty)
                    .context("a variant, option or result has cases")?;
                self.variant(ty, &cases, from, to)
            }
            DefinedType::Own(resource) => self.own(*resource, from, to),
            DefinedType::Borrow(resource) => self.borrow(*resource, from, to),
            DefinedType::Stream(_) | DefinedType::Future(_) => self.end(ty, from, to),
        }
    }

    /// How to load from the source; `None` if it is flat.
    fn read_access(&mut self, from: &Source<'_>) -> Option<Access> {
        match from {
            Source::Flat(_) => None,
            Source::Guest(place) => Some(self.guest_access(self.from, *place)),
            Source::Native(place) => Some(self.native_access(*place)),
        }
    }

    /// How to store to the destination; `None` if it is flat.
    fn write_access(&mut self, to: &Destination<'_>) -> Option<Access> {
        match to {
            Destination::Flat(_) => None,
            Destination::Guest(place) => Some(self.guest_access(self.to, *place)),
            Destination::Native(place) => Some(self.native_access(*place)),
        }
    }

    fn guest_access(&mut self, side: Side<'_>, place: Place) -> Access {
        let memory = match side {
            Side::Guest(guest) => guest.options.memory,
            Side::Host => None,
        };
        let (memory, _) = memory.expect("places in linear memory come from checks of its bounds");
        let flags = self.e.memory_flags(memory);
        self.access(flags, place)
    }

    fn native_access(&mut self, place: Place) -> Access {
        let flags = self.e.native_flags();
        self.access(flags, place)
    }

    fn access(&mut self, flags: MemFlagsData, place: Place) -> Access {
        match i32::try_from(place.offset) {
            Ok(displacement) => Access {
                flags,
                address: place.address,
                displacement,
            },
            Err(_) => Access {
                flags,
                address: self.address(place),
                displacement: 0,
            },
        }
    }

    /// The native address of a place.
    fn address(&mut self, place: Place) -> Value {
        if place.offset == 0 {
            return place.address;
        }
        let offset = self.e.size(place.offset);
        self.e.builder.ins().iadd(place.address, offset)
    }
}
