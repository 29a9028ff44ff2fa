//! Readable ends of streams and futures as values of the host's: [`StreamReader`],
//! [`FutureReader`], and [`StreamAny`] and [`FutureAny`], whose elements have any type.
//!
//! Natively an end is a place in its store (`concurrent/host_ends.rs`).

use crate::concurrent::host_ends::{Content, Elements, EndName, HostEnds, elements, pipe};
use crate::concurrent::parties::Party;
use crate::concurrent::records::EndType;
use crate::load::backtrace::{Trap, WasmBacktrace};
use crate::machine::ledger::{Amount, Counted};
use crate::machine::store::{AsContext, AsContextMut, StoreInner};
use crate::values::keep::Keep;
use crate::values::producers::{
    Charged, Consumes, FromIterator, FromVec, Produces, Resolves, StreamConsumer, StreamProducer,
    check_element,
};
use crate::values::received::{Collected, Collector, Received};
use crate::values::relay::{self, MOST_BYTES, StreamItems, StreamWriter};
use crate::values::typed::{
    ComponentType, Lift, LiftContext, Lower, LowerContext, TypeContext, own_view,
};
use anyhow::{Context, Result, ensure};
use std::any::TypeId;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::Arc;
use trampette_artifact::types::{DefinedType, Type};

/// Puts what the host has made into a place; its name.
fn make(store: &StoreInner, of: EndType, party: Box<dyn Party>) -> Result<Arc<EndName>> {
    let ends = HostEnds::of(store);
    ends.close_dropped(store);
    let limits = store.limits.get();
    store.ledger.count(Counted::Ends, &limits).map_err(|code| {
        let trap = Trap::new(code, 0, WasmBacktrace::default());
        match Amount::limit_of(code, &limits) {
            Some(limit) => trap.at(limit.to_string()),
            None => trap,
        }
    })?;
    Ok(Arc::new(ends.add_named(Content::Made { of, party })))
}

/// Tests that the elements of what a name has are of a Rust type.
fn check_type<T: ComponentType + 'static>(
    store: &StoreInner,
    of: EndType,
    name: &EndName,
) -> Result<()> {
    match elements(store, name)? {
        Elements::Guest(instance, found, payload) => {
            ensure!(found == of, "it is the other one of stream and future");
            check_element::<T>(instance, payload)
        }
        Elements::Host(found, item) => {
            ensure!(
                found == of && item == TypeId::of::<T>(),
                "the host has made it of another type than `{}`",
                T::describe()
            );
            Ok(())
        }
    }
}

/// The readable end of a stream of the host's: got from a guest, or made by the host for one.
///
/// It can be given to a guest, as any value, or read. Dropping it closes it, on any thread: the
/// guest that writes is told when the store is next used. It belongs to one store; in another one
/// it is an error, no more.
///
/// ```
/// # use trampette_runtime::{Instance, Store, StreamReader};
/// # fn call(store: &mut Store<()>, instance: &Instance) -> anyhow::Result<()> {
/// // sum: async func(numbers: stream<u32>) -> u64
/// let sum = instance.get_typed_func::<(StreamReader<u32>,), u64>(&mut *store, "sum")?;
/// let numbers = StreamReader::from_iter(&mut *store, 0..100)?;
/// assert_eq!(sum.call(&mut *store, (numbers,))?, 4950);
/// # Ok(()) }
/// ```
pub struct StreamReader<T> {
    end: StreamAny,
    marker: PhantomData<fn() -> T>,
}

/// The readable end of a stream whose elements have any type.
///
/// ```
/// # use trampette_runtime::{AsContext, StreamAny, StreamReader, Val};
/// fn bytes(store: impl AsContext, value: Val) -> anyhow::Result<StreamReader<u8>> {
///     let Val::Stream(stream) = value else {
///         anyhow::bail!("it is a {}", value.kind());
///     };
///     let stream: StreamAny = stream;
///     stream.typed(store)
/// }
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct StreamAny {
    name: Arc<EndName>,
}

/// The readable end of a future of the host's: got from a guest, or made by the host for one.
///
/// As with [`StreamReader`], it can be given to a guest or read, and dropping it closes it.
///
/// ```
/// use trampette_runtime::{FutureReader, Store};
///
/// let mut store = Store::new(());
/// let answer = FutureReader::new(&mut store, async { Ok(42) })?;
/// // … give it to a guest, as a `future<u32>` …
/// # let answer: FutureReader<u32> = answer;
/// # anyhow::Ok(())
/// ```
pub struct FutureReader<T> {
    end: FutureAny,
    marker: PhantomData<fn() -> T>,
}

/// The readable end of a future whose value has any type.
///
/// ```
/// # use trampette_runtime::{AsContext, FutureAny, FutureReader};
/// fn text(store: impl AsContext, future: FutureAny) -> anyhow::Result<FutureReader<String>> {
///     future.typed(store)
/// }
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct FutureAny {
    name: Arc<EndName>,
}

macro_rules! readers {
    ($($reader:ident, $any:ident: $variant:ident, $kind:literal;)*) => {$(
        impl<T> $reader<T> {
            fn of(end: $any) -> Self {
                Self { end, marker: PhantomData }
            }

            /// The same end, with elements of any type.
            pub fn into_any(self) -> $any {
                self.end
            }
        }

        impl<T> std::fmt::Debug for $reader<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let element = std::any::type_name::<T>();
                write!(f, concat!(stringify!($reader), "<{}>({:?})"), element, self.end.name)
            }
        }

        impl $any {
            /// The end as one of elements of a Rust type. All clones of this stand for the same
            /// end: who first gives it away or reads from it has it.
            ///
            /// # Errors
            /// If its elements are of another type; or it is in another store, or was given away.
            pub fn typed<T: ComponentType + 'static>(
                self,
                store: impl AsContext,
            ) -> Result<$reader<T>> {
                check_type::<T>(store.store_inner(), EndType::$variant, &self.name)
                    .context(concat!("a ", $kind, " of another type"))?;
                Ok($reader::of(self))
            }

            /// The one that a native value stands for.
            pub(crate) fn from_native(store: &StoreInner, place: u32) -> Self {
                Self { name: Arc::new(HostEnds::of(store).receive(place)) }
            }

            /// The native value: the end is given away.
            pub(crate) fn to_native(&self, cx: &mut LowerContext<'_>) -> Result<u32> {
                let store = cx.store();
                let store = store.context(concat!("there is no store for the ", $kind))?;
                let ends = HostEnds::of(store);
                match cx.keep() {
                    Keep::HostResults(_) => ends.send_result(store, &self.name),
                    Keep::Arguments(keep) => {
                        let (place, sent) = ends.send_argument(store, &self.name)?;
                        keep.own(sent);
                        Ok(place)
                    }
                }
            }
        }

        // SAFETY: natively an end is the number of its place.
        unsafe impl<T: ComponentType + 'static> ComponentType for $reader<T> {
            type Native = u32;

            fn check(ty: Type, cx: &TypeContext<'_>) -> Result<()> {
                let Some(DefinedType::$variant(payload)) = cx.defined(ty) else {
                    return Err(cx.mismatch(ty, Self::describe()));
                };
                T::check_optional(*payload, cx).context(concat!($kind, " element"))
            }

            fn describe() -> String {
                match TypeId::of::<T>() == TypeId::of::<()>() {
                    true => $kind.to_string(),
                    false => format!(concat!($kind, "<{}>"), T::describe()),
                }
            }
        }

        // SAFETY: as above.
        unsafe impl ComponentType for $any {
            type Native = u32;

            fn check(ty: Type, cx: &TypeContext<'_>) -> Result<()> {
                match cx.defined(ty) {
                    Some(DefinedType::$variant(_)) => Ok(()),
                    _ => Err(cx.mismatch(ty, Self::describe())),
                }
            }

            fn describe() -> String {
                concat!($kind, "<_>").to_string()
            }
        }

        // SAFETY: only the number is read.
        unsafe impl<T: ComponentType + 'static> Lift for $reader<T> {
            own_view!();

            unsafe fn lift(native: &u32, cx: LiftContext<'_>) -> Self {
                // SAFETY: the caller's promise.
                Self::of(unsafe { <$any>::lift(native, cx) })
            }
        }

        // SAFETY: as above.
        unsafe impl Lift for $any {
            own_view!();

            unsafe fn lift(native: &u32, cx: LiftContext<'_>) -> Self {
                match cx.store {
                    Some(store) => Self::from_native(store, *native),
                    None => Self { name: Arc::new(EndName::nothing()) },
                }
            }
        }

        // SAFETY: the number is written.
        unsafe impl<T: ComponentType + 'static> Lower for $reader<T> {
            fn lower(
                self,
                cx: &mut LowerContext<'_>,
                destination: &mut MaybeUninit<u32>,
            ) -> Result<()> {
                self.end.lower(cx, destination)
            }

            fn lower_ref(
                &self,
                cx: &mut LowerContext<'_>,
                destination: &mut MaybeUninit<u32>,
            ) -> Result<()> {
                self.end.lower_ref(cx, destination)
            }
        }

        // SAFETY: as above.
        unsafe impl Lower for $any {
            fn lower(
                self,
                cx: &mut LowerContext<'_>,
                destination: &mut MaybeUninit<u32>,
            ) -> Result<()> {
                self.lower_ref(cx, destination)
            }

            fn lower_ref(
                &self,
                cx: &mut LowerContext<'_>,
                destination: &mut MaybeUninit<u32>,
            ) -> Result<()> {
                destination.write(self.to_native(cx)?);
                Ok(())
            }
        }
    )*};
}

readers! {
    StreamReader, StreamAny: Stream, "stream";
    FutureReader, FutureAny: Future, "future";
}

impl<T: ComponentType + 'static> StreamReader<T> {
    /// A stream that a producer writes.
    ///
    /// # Errors
    /// If the store has as many ends as its limit lets it.
    pub fn new<P>(mut store: impl AsContextMut, producer: P) -> Result<StreamReader<T>>
    where
        P: StreamProducer<Item = T>,
    {
        let party = Box::new(Produces(producer));
        let name = make(store.caller().inner(), EndType::Stream, party)?;
        Ok(Self::of(StreamAny { name }))
    }

    /// A stream of what an iterator gives.
    ///
    /// # Errors
    /// As [`StreamReader::new`].
    pub fn from_iter<I>(store: impl AsContextMut, items: I) -> Result<StreamReader<T>>
    where
        I: IntoIterator<Item = T>,
        I::IntoIter: Send + 'static,
        T: Lower + Send,
    {
        Self::new(store, FromIterator(items.into_iter().peekable()))
    }

    /// A stream of the elements of a vector; where they are the same bytes for the guest, they are
    /// copied as such.
    ///
    /// # Errors
    /// As [`StreamReader::new`].
    pub fn from_vec(store: impl AsContextMut, items: Vec<T>) -> Result<StreamReader<T>>
    where
        T: Lower + Send,
    {
        Self::new(store, FromVec(items.into_iter()))
    }

    /// Lets a consumer read the stream, while calls drive the store.
    ///
    /// # Errors
    /// If the stream is in another store or was given away, or the store's limits do not let the
    /// host have one more at work.
    pub fn pipe<C>(self, mut store: impl AsContextMut, consumer: C) -> Result<()>
    where
        C: StreamConsumer<Item = T>,
    {
        let party = Box::new(Consumes(consumer));
        pipe(store.caller().inner(), &self.end.name, party)
    }

    /// A stream of the same elements that any instance of the store can be given: the host reads
    /// this one, and keeps at most about 64 KiB, and what one write gives beyond that.
    ///
    /// # Errors
    /// As [`StreamReader::pipe`] and [`StreamReader::new`].
    pub fn relay(self, mut store: impl AsContextMut) -> Result<StreamReader<T>>
    where
        T: Lift + Lower + Send,
    {
        let (reads, writes) = relay::relay();
        let relayed = StreamReader::new(store.caller(), writes)?;
        // Both together are charged with their queue.
        let party = Box::new(Charged(Consumes(reads), MOST_BYTES as u64));
        pipe(store.caller().inner(), &self.end.name, party)?;
        Ok(relayed)
    }

    /// The elements, one after the other, as the host asks for them.
    ///
    /// # Errors
    /// As [`StreamReader::pipe`].
    pub fn items(self, mut store: impl AsContextMut) -> Result<StreamItems<T>>
    where
        T: Lift + Send,
    {
        let (reads, items) = relay::items();
        let party = Box::new(Charged(Consumes(reads), MOST_BYTES as u64));
        pipe(store.caller().inner(), &self.end.name, party)?;
        Ok(items)
    }

    /// A stream of what the host's own code writes, one element after the other.
    ///
    /// # Errors
    /// As [`StreamReader::new`].
    pub fn channel(store: impl AsContextMut) -> Result<(StreamWriter<T>, StreamReader<T>)>
    where
        T: Lower + Send,
    {
        let (writer, writes) = relay::writer();
        Ok((writer, StreamReader::new(store, writes)?))
    }

    /// Reads the stream to its end, while calls drive the store. What it gives may take as much as
    /// [`StoreLimits::value_bytes`](crate::StoreLimits::value_bytes).
    ///
    /// # Errors
    /// As [`StreamReader::pipe`].
    pub fn collect(self, mut store: impl AsContextMut) -> Result<Collected<T>>
    where
        T: Lift + Send,
    {
        let limit = store.caller().inner().limits.get().value_bytes;
        let (collector, collected) = Collector::new(usize::MAX, limit);
        self.pipe(store, collector)?;
        Ok(collected)
    }
}

impl<T: ComponentType + 'static> FutureReader<T> {
    /// A future that has what a Rust future gives.
    ///
    /// # Errors
    /// As [`StreamReader::new`]. If the Rust future fails, the call of the guest that reads ends
    /// with its error.
    pub fn new<F>(mut store: impl AsContextMut, future: F) -> Result<FutureReader<T>>
    where
        T: Lower + Send,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let party = Box::new(Resolves(Box::pin(future)));
        let name = make(store.caller().inner(), EndType::Future, party)?;
        Ok(Self::of(FutureAny { name }))
    }

    /// A future of the same value that any instance of the store can be given: the host reads this
    /// one.
    ///
    /// # Errors
    /// As [`StreamReader::relay`].
    pub fn relay(self, mut store: impl AsContextMut) -> Result<FutureReader<T>>
    where
        T: Lift + Lower + Send,
    {
        let value = self.read(store.caller())?;
        FutureReader::new(store, value)
    }

    /// Reads the value, while calls drive the store.
    ///
    /// # Errors
    /// As [`StreamReader::pipe`].
    pub fn read(self, mut store: impl AsContextMut) -> Result<Received<T>>
    where
        T: Lift + Send,
    {
        let caller = store.caller();
        let limit = caller.inner().limits.get().value_bytes;
        let (collector, collected) = Collector::new(1, limit);
        pipe(
            caller.inner(),
            &self.end.name,
            Box::new(Consumes(collector)),
        )?;
        Ok(Received::new(collected))
    }
}
