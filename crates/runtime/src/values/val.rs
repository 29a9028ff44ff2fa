//! [`Val`]: any component-level value, and how it is read from and written to native layout.
//!
//! Both are driven by the component's types. Values come from the embedder here, so everything that
//! compiled code or Rust's types would guarantee is checked: kinds, names of cases and fields,
//! lengths, and whose resources handles are of.

use crate::load::names::{Name, Names};
use crate::machine::store::StoreInner;
use crate::native::NativeSlice;
use crate::values::error_context::ErrorContext;
use crate::values::keep::Keep;
use crate::values::resource::ResourceAny;
use crate::values::streams::{FutureAny, StreamAny};
use crate::values::typed::{CallOrigin, LowerContext, ResourceType};
use anyhow::{Context, Result, bail, ensure};
use trampette_artifact::canonical::{discriminant_size, flags_size, variant_cases};
use trampette_artifact::ids::ResourceId;
use trampette_artifact::metadata::Metadata;
use trampette_artifact::native;
use trampette_artifact::types::{DefinedType, Type};

/// A component-level value of any type.
///
/// Each takes 32 bytes, also as an element of a list: so a `list<u8>` takes 32 times its length
/// ([`StoreLimits::value_bytes`](crate::StoreLimits::value_bytes) bounds that). Rust types, given
/// to [`Instance::get_typed_func`](crate::Instance::get_typed_func) or
/// [`LinkerInstance::func_wrap`](crate::LinkerInstance::func_wrap), take as much as the guest's.
///
/// ```
/// use trampette_runtime::Val;
///
/// // record { name: string, tags: list<string>, age: option<u32> }
/// let value = Val::Record(vec![
///     ("name".into(), Val::from("Ada")),
///     ("tags".into(), Val::List(vec![Val::from("engine")])),
///     ("age".into(), Val::Option(Some(Box::new(Val::U32(36))))),
/// ]);
/// assert_eq!(value.kind(), "record");
/// ```
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)]
pub enum Val {
    Bool(bool),
    S8(i8),
    U8(u8),
    S16(i16),
    U16(u16),
    S32(i32),
    U32(u32),
    S64(i64),
    U64(u64),
    Float32(f32),
    Float64(f64),
    Char(char),
    String(String),
    /// Of fixed length or not.
    List(Vec<Val>),
    Map(Vec<(Val, Val)>),
    /// Every field, in order, with its name.
    Record(Vec<(Name, Val)>),
    Tuple(Vec<Val>),
    /// The case's name and payload.
    Variant(Name, Option<Box<Val>>),
    Enum(Name),
    Option(Option<Box<Val>>),
    Result(Result<Option<Box<Val>>, Option<Box<Val>>>),
    /// The names of the flags that are set.
    Flags(Vec<Name>),
    Resource(ResourceAny),
    ErrorContext(ErrorContext),
    /// The readable end of a stream. Clones stand for the same end.
    Stream(StreamAny),
    /// The readable end of a future.
    Future(FutureAny),
}

// Most of what a long list costs.
const _: () = assert!(size_of::<Val>() == 32 && size_of::<(Name, Val)>() == 48);

impl Val {
    /// The kind of value as WIT spells it.
    pub fn kind(&self) -> &'static str {
        match self {
            Val::Bool(_) => "bool",
            Val::S8(_) => "s8",
            Val::U8(_) => "u8",
            Val::S16(_) => "s16",
            Val::U16(_) => "u16",
            Val::S32(_) => "s32",
            Val::U32(_) => "u32",
            Val::S64(_) => "s64",
            Val::U64(_) => "u64",
            Val::Float32(_) => "f32",
            Val::Float64(_) => "f64",
            Val::Char(_) => "char",
            Val::String(_) => "string",
            Val::List(_) => "list",
            Val::Map(_) => "map",
            Val::Record(_) => "record",
            Val::Tuple(_) => "tuple",
            Val::Variant(..) => "variant",
            Val::Enum(_) => "enum",
            Val::Option(_) => "option",
            Val::Result(_) => "result",
            Val::Flags(_) => "flags",
            Val::Resource(_) => "resource",
            Val::ErrorContext(_) => "error-context",
            Val::Stream(_) => "stream",
            Val::Future(_) => "future",
        }
    }
}

impl From<&str> for Val {
    fn from(text: &str) -> Val {
        Val::String(text.to_string())
    }
}

/// Reads values from native layout.
pub(crate) struct NativeReader<'a> {
    metadata: &'a Metadata,
    names: &'a Names,
    resources: &'a [ResourceType],
    origin: Option<CallOrigin<'a>>,
    store: Option<&'a StoreInner>,
}

/// Elements of a list that are read before the reader looks whether there is time for more.
const PART: usize = 1 << 10;

impl<'a> NativeReader<'a> {
    /// For values whose types are in `metadata`, and the names of those in `names`.
    pub(crate) fn new(
        metadata: &'a Metadata,
        names: &'a Names,
        resources: &'a [ResourceType],
        origin: Option<CallOrigin<'a>>,
    ) -> Self {
        NativeReader {
            metadata,
            names,
            resources,
            origin,
            store: None,
        }
        .charged_to(origin.map(|origin| origin.store))
    }

    /// The same for values that are charged to this store.
    fn charged_to(self, store: Option<&'a StoreInner>) -> Self {
        if let Some(store) = store {
            store.ledger.begin_values();
        }
        NativeReader { store, ..self }
    }

    /// Charges for what is about to be read: a limit of the store's bounds what one call gives to
    /// the host.
    fn charge(&self, bytes: usize) -> Result<()> {
        match self.store {
            Some(store) => store.charge_values(bytes as u64),
            None => Ok(()),
        }
    }

    /// The same for values that come from this store, but no instance whose resources they could be
    /// of.
    pub(crate) fn in_store(self, store: &'a StoreInner) -> Self {
        self.charged_to(Some(store))
    }

    /// Reads a value.
    ///
    /// # Safety
    /// A valid native value of that type is at `from`.
    ///
    /// # Errors
    /// If the host cannot represent such values.
    #[inline]
    pub(crate) unsafe fn read(&self, ty: Type, from: *const u8) -> Result<Val> {
        // SAFETY: the caller's promise, for every read below.
        unsafe {
            Ok(match ty {
                Type::Bool => Val::Bool(from.read() != 0),
                Type::S8 => Val::S8(from.cast::<i8>().read()),
                Type::U8 => Val::U8(from.read()),
                Type::S16 => Val::S16(from.cast::<i16>().read()),
                Type::U16 => Val::U16(from.cast::<u16>().read()),
                Type::S32 => Val::S32(from.cast::<i32>().read()),
                Type::U32 => Val::U32(from.cast::<u32>().read()),
                Type::S64 => Val::S64(from.cast::<i64>().read()),
                Type::U64 => Val::U64(from.cast::<u64>().read()),
                Type::F32 => Val::Float32(from.cast::<f32>().read()),
                Type::F64 => Val::Float64(from.cast::<f64>().read()),
                Type::Char => {
                    let code = from.cast::<u32>().read();
                    Val::Char(char::from_u32(code).context("a character is invalid")?)
                }
                _ => return self.read_other(ty, from),
            })
        }
    }

    /// [`NativeReader::read`] for what is not a scalar, apart from what is.
    #[inline(never)]
    unsafe fn read_other(&self, ty: Type, from: *const u8) -> Result<Val> {
        // SAFETY: the caller's promise, for every read below.
        unsafe {
            Ok(match ty {
                Type::String => {
                    let bytes = from.cast::<NativeSlice>().read().as_slice::<u8>();
                    self.charge(bytes.len())?;
                    Val::String(std::str::from_utf8(bytes)?.to_string())
                }
                Type::ErrorContext => {
                    let id = from.cast::<u32>().read();
                    Val::ErrorContext(ErrorContext::from_native(self.store, id))
                }
                Type::Defined(id) => {
                    let defined = self.metadata.types.get(id);
                    let defined = defined.context("a type is unknown")?;
                    self.read_defined(defined, self.names.of(id, defined), ty, from)?
                }
                _ => unreachable!("scalars have been read"),
            })
        }
    }

    unsafe fn read_defined(
        &self,
        defined: &DefinedType,
        names: &[Name],
        ty: Type,
        from: *const u8,
    ) -> Result<Val> {
        // SAFETY: the caller's promise, for every read below.
        unsafe {
            Ok(match defined {
                DefinedType::List(element) => {
                    let slice = from.cast::<NativeSlice>().read();
                    Val::List(self.read_elements(*element, slice.ptr, slice.len)?)
                }
                DefinedType::FixedLengthList(element, length) => {
                    Val::List(self.read_elements(*element, from, *length as usize)?)
                }
                DefinedType::Map(key, value) => {
                    let slice = from.cast::<NativeSlice>().read();
                    let (layout, offsets) =
                        native::record_layout(&self.metadata.types, [*key, *value]);
                    self.charge(slice.len.saturating_mul(size_of::<(Val, Val)>()))?;
                    let mut entries = Vec::with_capacity(slice.len);
                    for i in 0..slice.len {
                        if i % PART == PART - 1 {
                            self.charge(0)?;
                        }
                        let entry = slice.ptr.add(i * layout.size as usize);
                        entries.push((
                            self.read(*key, entry.add(offsets[0] as usize))?,
                            self.read(*value, entry.add(offsets[1] as usize))?,
                        ));
                    }
                    Val::Map(entries)
                }
                DefinedType::Record(fields) => {
                    self.charge(fields.len() * size_of::<(Name, Val)>())?;
                    let types = fields.iter().map(|field| field.ty);
                    let (_, offsets) = native::record_layout(&self.metadata.types, types);
                    let mut values = Vec::with_capacity(fields.len());
                    for ((field, offset), name) in fields.iter().zip(offsets).zip(names) {
                        let value = self.read(field.ty, from.add(offset as usize))?;
                        values.push((name.clone(), value));
                    }
                    Val::Record(values)
                }
                DefinedType::Tuple(types) => {
                    self.charge(types.len() * size_of::<Val>())?;
                    let (_, offsets) =
                        native::record_layout(&self.metadata.types, types.iter().copied());
                    let mut values = Vec::with_capacity(types.len());
                    for (ty, offset) in types.iter().zip(offsets) {
                        values.push(self.read(*ty, from.add(offset as usize))?);
                    }
                    Val::Tuple(values)
                }
                DefinedType::Flags(_) => {
                    let bits = read_number(from, flags_size(names.len()));
                    let count = bits.count_ones() as usize;
                    self.charge(count * size_of::<Name>())?;
                    let mut set = Vec::with_capacity(count);
                    for (i, name) in names.iter().enumerate() {
                        if bits >> i & 1 == 1 {
                            set.push(name.clone());
                        }
                    }
                    Val::Flags(set)
                }
                DefinedType::Enum(_) => {
                    let tag = read_number(from, discriminant_size(names.len()));
                    let name = names.get(tag as usize);
                    Val::Enum(name.context("an enum's case is out of range")?.clone())
                }
                DefinedType::Own(id) | DefinedType::Borrow(id) => {
                    let handle = from.cast::<u32>().read();
                    Val::Resource(self.resource(*id, handle)?)
                }
                DefinedType::Stream(_) => {
                    let store = self.store.context("there is no store for the stream")?;
                    Val::Stream(StreamAny::from_native(store, from.cast::<u32>().read()))
                }
                DefinedType::Future(_) => {
                    let store = self.store.context("there is no store for the future")?;
                    Val::Future(FutureAny::from_native(store, from.cast::<u32>().read()))
                }
                DefinedType::Variant(_) => {
                    let (tag, payload) = self.read_variant(ty, from)?;
                    Val::Variant(names[tag].clone(), payload)
                }
                DefinedType::Option(_) => Val::Option(self.read_variant(ty, from)?.1),
                DefinedType::Result { .. } => match self.read_variant(ty, from)? {
                    (0, payload) => Val::Result(Ok(payload)),
                    (_, payload) => Val::Result(Err(payload)),
                },
            })
        }
    }

    unsafe fn read_elements(&self, ty: Type, from: *const u8, len: usize) -> Result<Vec<Val>> {
        let size = native::size_align(&self.metadata.types, ty).size as usize;
        // SAFETY: the caller's promise: `len` elements are there.
        let element = |i: usize| unsafe { self.read(ty, from.add(i * size)) };
        self.charge(len.saturating_mul(size_of::<Val>()))?;
        let mut values = Vec::with_capacity(len);
        for i in 0..len {
            if i % PART == PART - 1 {
                self.charge(0)?;
            }
            values.push(element(i)?);
        }
        Ok(values)
    }

    unsafe fn read_variant(&self, ty: Type, from: *const u8) -> Result<(usize, Option<Box<Val>>)> {
        let types = &self.metadata.types;
        let cases = variant_cases(types, ty).context("a type is no variant")?;
        // SAFETY: the caller's promise: the tag, and the payload that it announces, are there.
        unsafe {
            let tag = read_number(from, discriminant_size(cases.len())) as usize;
            let payload = match cases.get(tag).context("a variant's case is out of range")? {
                Some(ty) => {
                    self.charge(size_of::<Val>())?;
                    let payload = from.add(native::payload_offset(types, &cases) as usize);
                    Some(Box::new(self.read(*ty, payload)?))
                }
                None => None,
            };
            Ok((tag, payload))
        }
    }

    fn resource(&self, id: ResourceId, handle: u32) -> Result<ResourceAny> {
        match (self.resources.get(id.index()), self.origin) {
            (Some(ResourceType::Guest(_)), Some(instance)) => {
                Ok(ResourceAny::guest(instance, handle))
            }
            (Some(ResourceType::Guest(_)), None) => {
                bail!("a component's own resource was given to an import")
            }
            (Some(host), _) => Ok(ResourceAny::host(*host, handle)),
            (None, _) => bail!("a resource type is unknown"),
        }
    }
}

/// Writes values in native layout.
pub(crate) struct NativeWriter<'a, 'k> {
    metadata: &'a Metadata,
    resources: &'a [ResourceType],
    cx: LowerContext<'k>,
}

impl<'a, 'k> NativeWriter<'a, 'k> {
    pub(crate) fn new(
        metadata: &'a Metadata,
        resources: &'a [ResourceType],
        keep: Keep<'k>,
        origin: Option<CallOrigin<'k>>,
    ) -> Self {
        NativeWriter {
            metadata,
            resources,
            cx: LowerContext::new(keep, origin),
        }
    }

    /// Writes a value.
    ///
    /// # Safety
    /// `to` is aligned, with room for a native value of that type.
    ///
    /// # Errors
    /// If the value is not of that type. What was written before is then of no use.
    #[inline]
    pub(crate) unsafe fn write(&mut self, ty: Type, value: &Val, to: *mut u8) -> Result<()> {
        // SAFETY: the caller's promise, for every write below.
        unsafe {
            match (ty, value) {
                (Type::Bool, Val::Bool(v)) => to.write(u8::from(*v)),
                (Type::S8, Val::S8(v)) => to.cast::<i8>().write(*v),
                (Type::U8, Val::U8(v)) => to.write(*v),
                (Type::S16, Val::S16(v)) => to.cast::<i16>().write(*v),
                (Type::U16, Val::U16(v)) => to.cast::<u16>().write(*v),
                (Type::S32, Val::S32(v)) => to.cast::<i32>().write(*v),
                (Type::U32, Val::U32(v)) => to.cast::<u32>().write(*v),
                (Type::S64, Val::S64(v)) => to.cast::<i64>().write(*v),
                (Type::U64, Val::U64(v)) => to.cast::<u64>().write(*v),
                (Type::F32, Val::Float32(v)) => to.cast::<f32>().write(*v),
                (Type::F64, Val::Float64(v)) => to.cast::<f64>().write(*v),
                (Type::Char, Val::Char(v)) => to.cast::<u32>().write(u32::from(*v)),
                _ => return self.write_other(ty, value, to),
            }
        }
        Ok(())
    }

    /// [`NativeWriter::write`] for what is not a scalar, apart from what is; also says what does
    /// not fit.
    #[inline(never)]
    unsafe fn write_other(&mut self, ty: Type, value: &Val, to: *mut u8) -> Result<()> {
        // SAFETY: the caller's promise, for every write below.
        unsafe {
            match (ty, value) {
                (Type::String, Val::String(v)) => {
                    let slice = self.cx.keep_vec(v.clone().into_bytes());
                    to.cast::<NativeSlice>().write(slice);
                }
                (Type::ErrorContext, Val::ErrorContext(v)) => {
                    let store = self.cx.store();
                    to.cast::<u32>().write(v.to_native(store));
                }
                (Type::Defined(id), value) => {
                    let metadata = self.metadata;
                    let defined = metadata.types.get(id).context("a type is unknown")?;
                    return self.write_defined(defined, ty, value, to);
                }
                _ => return Err(self.mismatch(ty, value)),
            }
        }
        Ok(())
    }

    fn mismatch(&self, ty: Type, value: &Val) -> anyhow::Error {
        let expected = self.metadata.display(ty);
        anyhow::anyhow!("expected `{expected}`, found `{}`", value.kind())
    }

    unsafe fn write_defined(
        &mut self,
        defined: &DefinedType,
        ty: Type,
        value: &Val,
        to: *mut u8,
    ) -> Result<()> {
        // SAFETY: the caller's promise, for every write below.
        unsafe {
            match (defined, value) {
                (DefinedType::List(element), Val::List(values)) => {
                    let slice = self.write_list(*element, values)?;
                    to.cast::<NativeSlice>().write(slice);
                }
                (DefinedType::FixedLengthList(element, length), Val::List(values)) => {
                    ensure!(
                        values.len() == *length as usize,
                        "expected {length} elements, found {}",
                        values.len()
                    );
                    self.write_elements(*element, values, to)?;
                }
                (DefinedType::Map(key, value), Val::Map(entries)) => {
                    let (layout, offsets) =
                        native::record_layout(&self.metadata.types, [*key, *value]);
                    let size = layout.size as usize;
                    let room = self.cx.zeroed(size, entries.len())?.as_ptr();
                    for (i, (k, v)) in entries.iter().enumerate() {
                        let entry = room.add(i * size);
                        self.write(*key, k, entry.add(offsets[0] as usize))
                            .with_context(|| format!("map key {i}"))?;
                        self.write(*value, v, entry.add(offsets[1] as usize))
                            .with_context(|| format!("map value {i}"))?;
                    }
                    to.cast::<NativeSlice>().write(NativeSlice {
                        ptr: room,
                        len: entries.len(),
                    });
                }
                (DefinedType::Record(fields), Val::Record(values)) => {
                    ensure!(
                        values.len() == fields.len(),
                        "expected {} fields, found {}",
                        fields.len(),
                        values.len()
                    );
                    let types = fields.iter().map(|field| field.ty);
                    let (_, offsets) = native::record_layout(&self.metadata.types, types);
                    for ((field, offset), (name, value)) in fields.iter().zip(offsets).zip(values) {
                        ensure!(
                            *name == field.name,
                            "expected field `{}`, found `{name}`",
                            field.name
                        );
                        self.write(field.ty, value, to.add(offset as usize))
                            .with_context(|| format!("record field `{name}`"))?;
                    }
                }
                (DefinedType::Tuple(types), Val::Tuple(values)) => {
                    ensure!(
                        values.len() == types.len(),
                        "expected {} fields, found {}",
                        types.len(),
                        values.len()
                    );
                    let (_, offsets) =
                        native::record_layout(&self.metadata.types, types.iter().copied());
                    for (i, (ty, value)) in types.iter().zip(values).enumerate() {
                        self.write(*ty, value, to.add(offsets[i] as usize))
                            .with_context(|| format!("tuple field {i}"))?;
                    }
                }
                (DefinedType::Flags(names), Val::Flags(set)) => {
                    let mut bits = 0;
                    for flag in set {
                        let position = names.iter().position(|name| name == flag);
                        bits |= 1
                            << position.with_context(|| {
                                let expected = self.metadata.display(ty);
                                format!("expected flags of `{expected}`, found `{flag}`")
                            })?;
                    }
                    write_number(to, flags_size(names.len()), bits);
                }
                (DefinedType::Enum(names), Val::Enum(name)) => {
                    let position = names.iter().position(|other| other == name);
                    let tag = position.with_context(|| {
                        let expected = self.metadata.display(ty);
                        format!("expected a case of `{expected}`, found `{name}`")
                    })?;
                    write_number(to, discriminant_size(names.len()), tag as u32);
                }
                (DefinedType::Own(id) | DefinedType::Borrow(id), Val::Resource(resource)) => {
                    let expected = self.resources.get(id.index());
                    let expected = *expected.context("a resource type is unknown")?;
                    let handle = resource
                        .lower_as(expected, self.cx.origin)
                        .with_context(|| format!("expected `{}`", self.metadata.display(ty)))?;
                    to.cast::<u32>().write(handle);
                }
                (DefinedType::Stream(_), Val::Stream(end)) => {
                    let end = end.to_native(&mut self.cx)?;
                    to.cast::<u32>().write(end);
                }
                (DefinedType::Future(_), Val::Future(end)) => {
                    let end = end.to_native(&mut self.cx)?;
                    to.cast::<u32>().write(end);
                }
                (DefinedType::Variant(cases), Val::Variant(name, payload)) => {
                    let position = cases.iter().position(|case| case.name == *name);
                    let tag = position.with_context(|| {
                        let expected = self.metadata.display(ty);
                        format!("expected a case of `{expected}`, found `{name}`")
                    })?;
                    self.write_variant(ty, tag, payload.as_deref(), to)
                        .with_context(|| format!("variant case `{name}`"))?;
                }
                (DefinedType::Option(_), Val::Option(payload)) => {
                    let tag = usize::from(payload.is_some());
                    self.write_variant(ty, tag, payload.as_deref(), to)
                        .context("option payload")?;
                }
                (DefinedType::Result { .. }, Val::Result(result)) => {
                    let (tag, payload, place) = match result {
                        Ok(payload) => (0, payload, "result ok payload"),
                        Err(payload) => (1, payload, "result error payload"),
                    };
                    self.write_variant(ty, tag, payload.as_deref(), to)
                        .context(place)?;
                }
                _ => return Err(self.mismatch(ty, value)),
            }
        }
        Ok(())
    }

    /// Writes a list's elements into kept memory; bytes in one go.
    unsafe fn write_list(&mut self, ty: Type, values: &[Val]) -> Result<NativeSlice> {
        if ty == Type::U8 {
            let byte = |(i, value): (usize, &Val)| match value {
                Val::U8(byte) => Ok(*byte),
                other => Err(self
                    .mismatch(ty, other)
                    .context(format!("list element {i}"))),
            };
            let bytes = values.iter().enumerate().map(byte);
            let bytes = bytes.collect::<Result<Vec<u8>>>()?;
            return Ok(self.cx.keep_vec(bytes));
        }
        let size = native::size_align(&self.metadata.types, ty).size as usize;
        let room = self.cx.zeroed(size, values.len())?;
        // SAFETY: there is room for every element.
        unsafe { self.write_elements(ty, values, room.as_ptr()) }?;
        Ok(NativeSlice {
            ptr: room.as_ptr(),
            len: values.len(),
        })
    }

    unsafe fn write_elements(&mut self, ty: Type, values: &[Val], to: *mut u8) -> Result<()> {
        let size = native::size_align(&self.metadata.types, ty).size as usize;
        for (i, value) in values.iter().enumerate() {
            // SAFETY: the caller's promise: there is room for every element.
            unsafe { self.write(ty, value, to.add(i * size)) }
                .with_context(|| format!("list element {i}"))?;
        }
        Ok(())
    }

    unsafe fn write_variant(
        &mut self,
        ty: Type,
        tag: usize,
        payload: Option<&Val>,
        to: *mut u8,
    ) -> Result<()> {
        let types = &self.metadata.types;
        let cases = variant_cases(types, ty).context("a type is no variant")?;
        // SAFETY: the caller's promise: there is room for tag and payload.
        unsafe {
            write_number(to, discriminant_size(cases.len()), tag as u32);
            let place = to.add(native::payload_offset(types, &cases) as usize);
            match (cases[tag], payload) {
                (Some(ty), Some(value)) => self.write(ty, value, place),
                (None, None) => Ok(()),
                (Some(ty), None) => bail!(
                    "expected a payload of type `{}`, found none",
                    self.metadata.display(ty)
                ),
                (None, Some(value)) => bail!("expected no payload, found `{}`", value.kind()),
            }
        }
    }
}

/// Reads a tag or flags of 1, 2 or 4 bytes.
///
/// # Safety
/// An integer of that size is at `from`, aligned.
unsafe fn read_number(from: *const u8, size: u32) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        match size {
            1 => u32::from(from.read()),
            2 => u32::from(from.cast::<u16>().read()),
            _ => from.cast::<u32>().read(),
        }
    }
}

/// Writes a tag or flags of 1, 2 or 4 bytes, which the number fits.
///
/// # Safety
/// There is room for an integer of that size at `to`, aligned.
unsafe fn write_number(to: *mut u8, size: u32, number: u32) {
    // SAFETY: the caller's promise.
    unsafe {
        match size {
            1 => to.write(number as u8),
            2 => to.cast::<u16>().write(number as u16),
            _ => to.cast::<u32>().write(number),
        }
    }
}
