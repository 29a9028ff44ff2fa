//! What hosts read and write streams with: [`StreamProducer`], [`StreamConsumer`], and the windows
//! that they are given onto a guest's buffer.
//!
//! Where elements are the same bytes for the guest as in Rust, a window is the guest's own buffer.
//! Others are lifted one after the other as they are asked for, or lowered together when the
//! producer has returned. A window cannot be kept, and no guest code runs while its slice is
//! borrowed.

use crate::concurrent::parties::{GuestOffer, Offer, PART, Party, Progress, Queue};
use crate::machine::instance::{InstanceData, RawInstance};
use crate::values::keep::{Keep, KeepAlive};
use crate::values::typed::{
    CallOrigin, ComponentType, InstanceOwner, Lift, LiftContext, Lower, LowerContext, ResourceType,
    TypeContext,
};
use anyhow::{Context as _, Result};
use std::any::TypeId;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::mem::{MaybeUninit, needs_drop};
use std::pin::Pin;
use std::slice;
use std::task::{Context, Poll};
use trampette_artifact::types::Type;

/// Elements of a type that are carried at a time.
fn part<T: ComponentType>() -> usize {
    let size = size_of::<T::Native>().max(size_of::<T>()).max(1);
    (PART / size).max(1)
}

/// Writes a stream for the host.
///
/// It is polled when a guest reads, in the middle of the guest's call at first, and again after it
/// has used the context's waker. It holds nothing of the guest's between two polls.
///
/// ```
/// use std::task::{Context, Poll};
/// use trampette_runtime::{Progress, StreamProducer, Window};
///
/// /// Counts for ever.
/// struct Count(u32);
///
/// impl StreamProducer for Count {
///     type Item = u32;
///
///     fn poll_produce(
///         &mut self,
///         _: &mut Context<'_>,
///         window: &mut Window<'_, u32>,
///     ) -> Poll<anyhow::Result<Progress>> {
///         while window.push(self.0).is_ok() {
///             self.0 = self.0.wrapping_add(1);
///         }
///         Poll::Ready(Ok(Progress::Open))
///     }
/// }
/// ```
pub trait StreamProducer: Send + 'static {
    /// The elements.
    type Item: Lower + Send + 'static;

    /// Puts as many elements as it has and as fit into the window.
    ///
    /// Ready, with at least one element where there was room for one, or with
    /// [`Progress::Over`]: the stream ends then. A guest that reads no elements asks whether some
    /// could be read: the window has no room then, and the answer is to be ready or pending.
    ///
    /// # Errors
    /// The guest's call ends with the error, as if a host function had failed.
    fn poll_produce(
        &mut self,
        cx: &mut Context<'_>,
        window: &mut Window<'_, Self::Item>,
    ) -> Poll<Result<Progress>>;
}

/// Reads a stream for the host.
///
/// It is polled when a guest writes, in the middle of the guest's call at first, and again after it
/// has used the context's waker. It holds nothing of the guest's between two polls.
///
/// ```
/// use std::task::{Context, Poll};
/// use trampette_runtime::{Items, Progress, StreamConsumer};
///
/// /// Adds up.
/// struct Sum(u64);
///
/// impl StreamConsumer for Sum {
///     type Item = u32;
///
///     fn poll_consume(
///         &mut self,
///         _: &mut Context<'_>,
///         items: &mut Items<'_, u32>,
///     ) -> Poll<anyhow::Result<Progress>> {
///         while let Some(item) = items.next()? {
///             self.0 += u64::from(item);
///         }
///         Poll::Ready(Ok(Progress::Open))
///     }
/// }
/// ```
pub trait StreamConsumer: Send + 'static {
    /// The elements.
    type Item: Lift + Send;

    /// Takes as many elements as it wants.
    ///
    /// Ready, with at least one element taken where there was one, or with [`Progress::Over`]: the
    /// reading end is closed then. A guest that writes no elements asks whether some could be
    /// written: the answer is to be ready or pending.
    ///
    /// # Errors
    /// The guest's call ends with the error, as if a host function had failed.
    fn poll_consume(
        &mut self,
        cx: &mut Context<'_>,
        items: &mut Items<'_, Self::Item>,
    ) -> Poll<Result<Progress>>;

    /// The guest has closed its end: nothing more comes. Not called when a trap or the end of the
    /// store ends the stream.
    fn closed(&mut self) {}
}

/// Room in the buffer of a guest that reads.
///
/// ```
/// use std::io::Read;
/// use trampette_runtime::{Progress, Window};
///
/// /// Copies a file into the guest's memory.
/// fn fill(file: &mut impl Read, window: &mut Window<'_, u8>) -> anyhow::Result<Progress> {
///     let mut part = [0; 4096];
///     let room = window.remaining().min(part.len());
///     let count = file.read(&mut part[..room])?;
///     window.put_slice(&part[..count]);
///     Ok(match count {
///         0 if room > 0 => Progress::Over,
///         _ => Progress::Open,
///     })
/// }
/// ```
pub struct Window<'w, T> {
    offer: &'w Offer<'w>,
    /// The guest's buffer, if it is written in place.
    direct: Option<&'w GuestOffer<'w>>,
    /// What is lowered, or passed on, when the producer has returned.
    items: Vec<T>,
    /// How many of those there may be.
    room: usize,
}

impl<'w, T: Lower + 'static> Window<'w, T> {
    fn new(offer: &'w Offer<'w>) -> Window<'w, T> {
        let (direct, room) = match offer {
            Offer::Guest(guest) => {
                let is_direct = T::BITWISE && guest.bits().is_some();
                let room = (guest.remain() as usize).min(part::<T>());
                (is_direct.then_some(guest), room)
            }
            Offer::Host(_, queue) => (None, part::<T>().saturating_sub(queue.borrow().len())),
        };
        Window {
            offer,
            direct,
            items: Vec::new(),
            room,
        }
    }

    /// Where the next element is written in place, if there is room for it.
    fn place(&self) -> Option<*mut MaybeUninit<T>> {
        self.direct?.bits().map(<*mut u8>::cast)
    }

    /// So many elements have been written in place.
    fn written(&self, count: usize) {
        if let Some(guest) = self.direct {
            guest.advance(count.min(guest.remain() as usize) as u32);
        }
    }

    /// Elements that still fit.
    pub fn remaining(&self) -> usize {
        match self.direct {
            Some(guest) => guest.remain() as usize,
            None => self.room - self.items.len(),
        }
    }

    /// Appends an element.
    ///
    /// # Errors
    /// The element, if there is no room for it.
    pub fn push(&mut self, item: T) -> Result<(), T> {
        if self.remaining() == 0 {
            return Err(item);
        }
        match self.place() {
            Some(to) => {
                // SAFETY: there is room for an element.
                unsafe { (*to).write(item) };
                self.written(1);
            }
            None => self.items.push(item),
        }
        Ok(())
    }

    /// Appends elements while they fit.
    pub(crate) fn fill(&mut self, items: &mut impl Iterator<Item = T>) {
        while self.remaining() > 0
            && let Some(item) = items.next()
        {
            let _ = self.push(item);
        }
    }

    /// Appends as many elements as fit; how many.
    pub fn put_slice(&mut self, items: &[T]) -> usize
    where
        T: Copy,
    {
        let count = items.len().min(self.remaining());
        match self.place() {
            Some(to) => {
                // SAFETY: so many fit, and the guest's memory is none of the host's.
                unsafe {
                    to.cast::<T>()
                        .copy_from_nonoverlapping(items.as_ptr(), count);
                }
                self.written(count);
            }
            None => self.items.extend_from_slice(&items[..count]),
        }
        count
    }

    /// The guest's own buffer, to be written in place; `None` if its elements are not the same
    /// bytes as Rust's, or there is no room.
    pub fn as_uninit(&mut self) -> Option<&mut [MaybeUninit<T>]> {
        let (to, room) = (self.place()?, self.remaining());
        // SAFETY: it is inside of the guest's memory, aligned, and no guest runs while the slice is
        // borrowed.
        Some(unsafe { slice::from_raw_parts_mut(to, room) })
    }

    /// So many elements of [`Window::as_uninit`] have been written. More than there is room for
    /// count as all.
    ///
    /// # Safety
    /// They have.
    pub unsafe fn advance(&mut self, count: usize) {
        self.written(count);
    }

    /// Lowers what is not in the guest's buffer yet.
    fn finish(self) -> Result<()> {
        if self.items.is_empty() {
            return Ok(());
        }
        let guest = match self.offer {
            Offer::Guest(guest) => guest,
            Offer::Host(_, queue) => {
                let mut queue = queue.borrow_mut();
                let queue = queue.as_any().downcast_mut::<VecDeque<T>>();
                queue
                    .context("a queue of other elements")?
                    .extend(self.items);
                return Ok(());
            }
        };
        let mut keep = KeepAlive::default();
        let origin = origin(guest.instance());
        let mut cx = LowerContext::new(Keep::Arguments(&mut keep), Some(origin));
        let mut natives = Vec::with_capacity(self.items.len());
        for item in self.items {
            // What pads it is zero, and carried by nobody.
            let mut native = MaybeUninit::<T::Native>::zeroed();
            item.lower(&mut cx, &mut native).context("stream element")?;
            natives.push(native);
        }
        // SAFETY: all were lowered, and what they point to is kept. If that traps, the offer says
        // so.
        unsafe { guest.put(natives.as_ptr().cast(), natives.len() as u32) };
        Ok(())
    }
}

/// What a guest that writes has in its buffer.
///
/// ```
/// use std::io::Write;
/// use trampette_runtime::Items;
///
/// /// Writes to a file straight from the guest's memory.
/// fn empty(file: &mut impl Write, items: &mut Items<'_, u8>) -> anyhow::Result<()> {
///     if let Some(bytes) = items.as_slice() {
///         let count = file.write(bytes)?;
///         items.advance(count);
///     }
///     Ok(())
/// }
/// ```
pub struct Items<'i, T> {
    offer: &'i Offer<'i>,
    cx: LiftContext<'i>,
    marker: PhantomData<fn() -> T>,
}

impl<'i, T: Lift> Items<'i, T> {
    fn new(offer: &'i Offer<'i>) -> Items<'i, T> {
        let cx = match offer {
            Offer::Guest(guest) => LiftContext::new(Some(origin(guest.instance()))),
            Offer::Host(store, _) => LiftContext::of_import(store),
        };
        Items {
            offer,
            cx: cx.begin_charge(),
            marker: PhantomData,
        }
    }

    /// Where the next elements are, if the guest's bytes are Rust's.
    fn place(&self) -> Option<(&'i GuestOffer<'i>, *const T)> {
        match self.offer {
            Offer::Guest(guest) if T::BITWISE => {
                let bits = guest.bits()?;
                Some((guest, bits.cast::<T>().cast_const()))
            }
            _ => None,
        }
    }

    /// Elements that are left.
    pub fn remaining(&self) -> usize {
        match self.offer {
            Offer::Guest(guest) => guest.remain() as usize,
            Offer::Host(_, queue) => queue.borrow().len(),
        }
    }

    /// The elements that are left, where the guest or another part of the host has them; `None` if
    /// a guest's are not the same bytes as Rust's, or there are none.
    pub fn as_slice(&self) -> Option<&[T]> {
        if let Offer::Host(_, queue) = self.offer {
            let mut queue = queue.borrow_mut();
            let queue = queue.as_any().downcast_mut::<VecDeque<T>>()?;
            let items = queue.make_contiguous();
            // SAFETY: while this is polled the queue is changed by nobody but `self`, which is
            // borrowed as long as the slice is.
            let items = unsafe { slice::from_raw_parts(items.as_ptr(), items.len()) };
            return Some(items).filter(|items| !items.is_empty());
        }
        let (_, from) = self.place()?;
        // SAFETY: they are inside of the guest's memory, aligned, all bytes are valid elements, and
        // no guest runs while the slice is borrowed.
        Some(unsafe { slice::from_raw_parts(from, self.remaining()) })
    }

    /// So many elements of [`Items::as_slice`] have been taken. More than are left count as all.
    pub fn advance(&mut self, count: usize) {
        if let Offer::Host(_, queue) = self.offer {
            let mut queue = queue.borrow_mut();
            if let Some(queue) = queue.as_any().downcast_mut::<VecDeque<T>>() {
                queue.drain(..count.min(queue.len()));
            }
        }
        if let Some((guest, _)) = self.place() {
            guest.advance(count.min(self.remaining()) as u32);
        }
    }

    /// Takes the next element; `None` if there is none.
    ///
    /// # Errors
    /// If it is more than [`StoreLimits::value_bytes`](crate::StoreLimits::value_bytes) lets the
    /// host be given at once.
    #[allow(clippy::should_implement_trait, reason = "it can fail")]
    pub fn next(&mut self) -> Result<Option<T>> {
        Ok(self.take(1)?.pop())
    }

    /// Takes at most so many of the elements.
    ///
    /// # Errors
    /// As [`Items::next`].
    pub fn take(&mut self, most: usize) -> Result<Vec<T>> {
        let mut all: Vec<T> = Vec::new();
        while all.len() < most && self.remaining() > 0 {
            let count = (most - all.len()).min(self.remaining()).min(part::<T>());
            if !self.cx.charge(count * size_of::<T>()) {
                break;
            }
            match self.place() {
                Some((guest, from)) => {
                    all.reserve(count);
                    // SAFETY: the elements are there, and are as they are in Rust.
                    unsafe {
                        let to = all.as_mut_ptr().add(all.len());
                        to.copy_from_nonoverlapping(from, count);
                        all.set_len(all.len() + count);
                    }
                    guest.advance(count as u32);
                }
                None if !self.lift(&mut all, count) => break,
                None => {}
            }
        }
        self.cx.end_charge()?;
        Ok(all)
    }

    /// Lifts so many elements, which are there; false if that traps.
    fn lift(&mut self, all: &mut Vec<T>, count: usize) -> bool {
        let guest = match self.offer {
            Offer::Guest(guest) => guest,
            Offer::Host(_, queue) => {
                let mut queue = queue.borrow_mut();
                let queue = queue.as_any().downcast_mut::<VecDeque<T>>();
                return queue.is_some_and(|queue| {
                    all.extend(queue.drain(..count));
                    true
                });
            }
        };
        let store = self.offer.store();
        let mark = store.arena_mark();
        let mut natives = vec![MaybeUninit::<T::Native>::uninit(); count];
        // SAFETY: there is room for them.
        let is_done = unsafe { guest.take(natives.as_mut_ptr().cast(), count as u32) };
        if is_done {
            all.extend(natives.iter().map(|native| {
                // SAFETY: it was lifted just now, as a type that was checked, and nothing of the
                // guest has run since.
                unsafe { T::lift(native.assume_init_ref(), self.cx) }
            }));
        }
        store.arena_reset(mark);
        is_done
    }

    /// About how many bytes have been taken.
    pub(crate) fn taken_bytes(&self) -> u64 {
        self.offer.store().ledger.values()
    }
}

/// Where handles in elements are of.
fn origin(instance: &InstanceData) -> CallOrigin<'_> {
    CallOrigin {
        id: RawInstance::of(instance).id(instance.store()),
        store: instance.store(),
        host: None,
    }
}

/// Tests that elements have a Rust type.
pub(crate) fn check_element<T: ComponentType + 'static>(
    instance: &InstanceData,
    payload: Option<Type>,
) -> Result<()> {
    let check = |resources: &[ResourceType]| {
        let metadata = instance.component.metadata();
        T::check_optional(payload, &TypeContext::new(metadata, resources))
    };
    match instance.imports.owner.downcast_ref::<InstanceOwner>() {
        Some(owner) => owner
            .fitting
            .check::<T>(payload, || check(&owner.resources)),
        None => check(&[]),
    }
}

/// A party that takes more than its own bytes.
pub(crate) struct Charged<P>(pub P, pub u64);

impl<P: Party> Party for Charged<P> {
    fn item(&self) -> TypeId {
        self.0.item()
    }

    fn queue(&self) -> Box<dyn Queue> {
        self.0.queue()
    }

    fn bytes(&self) -> u64 {
        self.0.bytes() + self.1
    }

    fn fits(&self, instance: &InstanceData, payload: Option<Type>) -> Result<()> {
        self.0.fits(instance, payload)
    }

    fn poll(&mut self, cx: &mut Context<'_>, offer: &Offer<'_>) -> Poll<Result<Progress>> {
        self.0.poll(cx, offer)
    }

    fn closed(&mut self) {
        self.0.closed();
    }
}

/// A producer as what writes a stream.
pub(crate) struct Produces<P>(pub P);

impl<P: StreamProducer> Party for Produces<P> {
    fn item(&self) -> TypeId {
        TypeId::of::<P::Item>()
    }

    fn queue(&self) -> Box<dyn Queue> {
        Box::new(VecDeque::<P::Item>::new())
    }

    fn fits(&self, instance: &InstanceData, payload: Option<Type>) -> Result<()> {
        check_element::<P::Item>(instance, payload)
    }

    fn poll(&mut self, cx: &mut Context<'_>, offer: &Offer<'_>) -> Poll<Result<Progress>> {
        let mut window = Window::new(offer);
        let polled = self.0.poll_produce(cx, &mut window)?;
        window.finish()?;
        polled.map(Ok)
    }

    fn closed(&mut self) {}
}

/// A consumer as what reads a stream.
pub(crate) struct Consumes<C>(pub C);

impl<C: StreamConsumer> Party for Consumes<C> {
    fn item(&self) -> TypeId {
        TypeId::of::<C::Item>()
    }

    fn queue(&self) -> Box<dyn Queue> {
        Box::new(VecDeque::<C::Item>::new())
    }

    fn fits(&self, instance: &InstanceData, payload: Option<Type>) -> Result<()> {
        check_element::<C::Item>(instance, payload)
    }

    fn poll(&mut self, cx: &mut Context<'_>, offer: &Offer<'_>) -> Poll<Result<Progress>> {
        self.0.poll_consume(cx, &mut Items::new(offer))
    }

    fn closed(&mut self) {
        self.0.closed();
    }
}

/// A Rust future as what writes a component's.
pub(crate) struct Resolves<F>(pub Pin<Box<F>>);

impl<T, F> Party for Resolves<F>
where
    T: Lower + Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    fn item(&self) -> TypeId {
        TypeId::of::<T>()
    }

    fn queue(&self) -> Box<dyn Queue> {
        Box::new(VecDeque::<T>::new())
    }

    fn bytes(&self) -> u64 {
        size_of::<F>() as u64
    }

    fn fits(&self, instance: &InstanceData, payload: Option<Type>) -> Result<()> {
        check_element::<T>(instance, payload)
    }

    fn poll(&mut self, cx: &mut Context<'_>, offer: &Offer<'_>) -> Poll<Result<Progress>> {
        self.0.as_mut().poll(cx).map(|value| {
            let mut window = Window::new(offer);
            // There is room for one element.
            let _ = window.push(value?);
            window.finish()?;
            Ok(Progress::Over)
        })
    }

    fn closed(&mut self) {}
}

/// Writes what an iterator gives.
pub(crate) struct FromIterator<I: Iterator>(pub std::iter::Peekable<I>);

impl<I> StreamProducer for FromIterator<I>
where
    I: Iterator + Send + 'static,
    I::Item: Lower + Send + 'static,
{
    type Item = I::Item;

    fn poll_produce(
        &mut self,
        _: &mut Context<'_>,
        window: &mut Window<'_, I::Item>,
    ) -> Poll<Result<Progress>> {
        window.fill(&mut self.0);
        Poll::Ready(Ok(match self.0.peek() {
            Some(_) => Progress::Open,
            None => Progress::Over,
        }))
    }
}

/// Writes the elements of a vector.
pub(crate) struct FromVec<T>(pub std::vec::IntoIter<T>);

impl<T: Lower + Send + 'static> StreamProducer for FromVec<T> {
    type Item = T;

    fn poll_produce(
        &mut self,
        _: &mut Context<'_>,
        window: &mut Window<'_, T>,
    ) -> Poll<Result<Progress>> {
        let left = self.0.as_slice();
        match window.place() {
            Some(to) if !needs_drop::<T>() && !left.is_empty() => {
                let count = left.len().min(window.remaining());
                // SAFETY: so many fit; they are forgotten here, and have nothing to drop.
                unsafe {
                    to.cast::<T>()
                        .copy_from_nonoverlapping(left.as_ptr(), count)
                };
                window.written(count);
                self.0.nth(count - 1);
            }
            _ => window.fill(&mut self.0),
        }
        Poll::Ready(Ok(match self.0.len() {
            0 => Progress::Over,
            _ => Progress::Open,
        }))
    }
}
