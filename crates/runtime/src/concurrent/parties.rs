//! What the host reads or writes streams and futures with: [`Party`].
//!
//! A party has no buffer. It is polled when the guest at the other end has one, in the middle of
//! the guest's read or write at first, and later by the event loop when it was woken: then it takes
//! or gives what it can, and the guest is told as if a guest had been there. So it has nothing to
//! give back when the guest cancels or drops its end.
//!
//! Parties are futures of the reactor, which polls them outside of all cells, contains their
//! panics, and drops them with their instance. A poll that the reactor makes of its own accord only
//! notes that the party was woken: elements move inside of an entry into the guest.

use crate::concurrent::ends::{drop_end, tell};
use crate::concurrent::host_ends::HostEnds;
use crate::concurrent::records::{Buffer, End, EndId, EndState, EndType, Kind};
use crate::concurrent::state::{Fault, Tasks};
use crate::machine::entry_code::CopyEntry;
use crate::machine::instance::InstanceData;
use crate::machine::reactor::{Done, Failure, FutureId, HostFuture};
use crate::machine::store::StoreInner;
use anyhow::{Error, Result, anyhow, ensure};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};
use trampette_artifact::canonical::PointerWidth;
use trampette_artifact::ids::{ComponentInstanceId, CopyPairId, TypeId};
use trampette_artifact::key::{Abi, FuncKey};
use trampette_artifact::tasks::{CopyPair, EndKind};
use trampette_artifact::trap::TrapCode;
use trampette_artifact::types::Type;

/// What a producer or consumer that need not wait says of what comes.
///
/// ```
/// use trampette_runtime::Progress;
///
/// fn after(left: usize) -> Progress {
///     match left {
///         0 => Progress::Over,
///         _ => Progress::Open,
///     }
/// }
/// # assert_eq!(after(0), Progress::Over);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// There may be more.
    Open,
    /// That was all: its end is closed.
    Over,
}

/// As many bytes of native elements are carried at a time, or are on their way between two parties.
pub(crate) const PART: usize = 64 << 10;

const MOVED_NOTHING: &str = "a producer or consumer is ready, but has moved nothing";

/// Reads or writes for the host.
pub(crate) trait Party: Send {
    /// The Rust type of its elements.
    fn item(&self) -> std::any::TypeId;

    /// An empty queue of such elements.
    fn queue(&self) -> Box<dyn Queue>;

    /// Bytes that it takes, as far as is known.
    fn bytes(&self) -> u64 {
        size_of_val(self) as u64
    }

    /// Tests that it reads or writes elements of this type.
    ///
    /// # Errors
    /// If it does not.
    fn fits(&self, instance: &InstanceData, payload: Option<Type>) -> Result<()>;

    /// Takes from a guest's buffer, or gives to it. Ready if anything was moved, if nothing more
    /// comes, or, where there is room for nothing, if something could be moved.
    fn poll(&mut self, cx: &mut Context<'_>, offer: &Offer<'_>) -> Poll<Result<Progress>>;

    /// The guest has closed its end.
    fn closed(&mut self);
}

/// Elements of one Rust type on their way from one party to another: a `VecDeque`.
pub(crate) trait Queue: Send {
    /// How many there are.
    fn len(&self) -> usize;
    /// The queue, of its type.
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<T: Send + 'static> Queue for VecDeque<T> {
    fn len(&self) -> usize {
        VecDeque::len(self)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// What a party is polled with.
pub(crate) enum Offer<'a> {
    /// What a guest reads or writes.
    Guest(GuestOffer<'a>),
    /// What another party of the host's reads or writes.
    Host(&'a StoreInner, &'a RefCell<Box<dyn Queue>>),
}

/// What a guest reads or writes, while a party is polled.
pub(crate) struct GuestOffer<'a> {
    tasks: Tasks<'a>,
    payload: Option<Type>,
    buffer: Cell<Buffer>,
    moved: Cell<u32>,
    fault: Cell<Option<Fault>>,
}

impl<'a> Offer<'a> {
    /// The store.
    pub(crate) fn store(&self) -> &'a StoreInner {
        match self {
            Offer::Guest(guest) => guest.tasks.store(),
            Offer::Host(store, _) => store,
        }
    }
}

impl<'a> GuestOffer<'a> {
    /// Elements that fit, or are there.
    pub(crate) fn remain(&self) -> u32 {
        match self.fault.get() {
            None => self.buffer.get().remain(),
            Some(_) => 0,
        }
    }

    pub(crate) fn instance(&self) -> &'a InstanceData {
        self.tasks.instance
    }

    /// Where the next elements are, if they are the same bytes for the guest as natively, without
    /// padding, all valid, and nobody else gets at them. No guest code runs while the party is
    /// polled, unless it calls [`GuestOffer::put`] or [`GuestOffer::take`].
    pub(crate) fn bits(&self) -> Option<*mut u8> {
        let buffer = self.buffer.get();
        let Some(ty) = self.payload else {
            return Some(std::ptr::dangling_mut());
        };
        let metadata = self.instance().component.metadata();
        let facts = metadata.types.facts(ty);
        let copy = &self.tasks.plan().copies[buffer.copy];
        let (size, memory) = (copy.element?.size, copy.memory?);
        let is_plain = facts.bitwise
            && facts.value_bytes == size
            && metadata.memories[memory].shared().is_none()
            && buffer.remain() > 0;
        is_plain.then(|| self.tasks.element(buffer))
    }

    /// So many elements have been moved.
    pub(crate) fn advance(&self, count: u32) {
        let mut buffer = self.buffer.get();
        let count = count.min(buffer.remain());
        if let Some(layout) = self.tasks.plan().copies[buffer.copy].element {
            buffer.address += layout.size * u64::from(count);
        }
        buffer.progress += count;
        self.buffer.set(buffer);
        self.moved.set(self.moved.get() + count);
    }

    /// Lowers so many native elements to the guest's buffer, which has room for them; false if that
    /// traps.
    ///
    /// # Safety
    /// They are valid.
    pub(crate) unsafe fn put(&self, natives: *const u8, count: u32) -> bool {
        let buffer = self.buffer.get();
        let pair = CopyPair {
            write: None,
            read: Some(buffer.copy),
        };
        let to = self.tasks.element(buffer);
        // SAFETY: promised; the guest's buffer was tested.
        unsafe { self.carry(pair, natives, to, count) }
    }

    /// Lifts so many of the guest's elements, which are there; false if that traps. What they point
    /// to is in the guest's memory or in the arena.
    ///
    /// # Safety
    /// There is room for them.
    pub(crate) unsafe fn take(&self, natives: *mut u8, count: u32) -> bool {
        let buffer = self.buffer.get();
        let pair = CopyPair {
            write: Some(buffer.copy),
            read: None,
        };
        let from = self.tasks.element(buffer);
        // SAFETY: promised; the guest's buffer was tested.
        unsafe { self.carry(pair, from, natives, count) }
    }

    /// # Safety
    /// There are so many elements at the one address, and is room for as many at the other.
    unsafe fn carry(&self, pair: CopyPair, from: *const u8, to: *mut u8, count: u32) -> bool {
        if self.fault.get().is_some() || count > self.remain() {
            return false;
        }
        if let Some(ty) = self.payload {
            // SAFETY: promised.
            if let Err(fault) = unsafe { self.tasks.carry(pair, ty, from, to, count) } {
                self.fault.set(Some(fault));
                return false;
            }
        }
        self.advance(count);
        true
    }
}

impl Tasks<'_> {
    /// Carries elements between a guest's buffer and native memory.
    ///
    /// # Safety
    /// There are so many elements at the one address, and is room for as many at the other.
    unsafe fn carry(
        self,
        pair: CopyPair,
        ty: Type,
        from: *const u8,
        to: *mut u8,
        count: u32,
    ) -> Result<(), Fault> {
        let Ok(pair) = self.plan().pairs.as_slice().binary_search(&pair) else {
            let facts = self.instance.component.metadata().types.facts(ty);
            let bytes = facts.value_bytes;
            // Others have code.
            if !facts.bitwise || facts.size_align(PointerWidth::P64).size != bytes {
                return Err(TrapCode::RecordsFull.into());
            }
            // SAFETY: promised; the elements are the same bytes on both sides.
            unsafe { from.copy_to(to, bytes as usize * count as usize) };
            return Ok(());
        };
        let key = FuncKey::ElementCopy(Abi::Native, CopyPairId::new(pair));
        let code = self.instance.component.function_address(key);
        let code = code.and_then(CopyEntry::at).ok_or(TrapCode::RecordsFull)?;
        let (from, to) = (from.expose_provenance(), to.expose_provenance());
        // SAFETY: the code of this pair; promised.
        let status = unsafe {
            let context = self.instance.context();
            code.call(context, from as u64, to as u64, count.into())
        };
        match status {
            0 => Ok(()),
            _ => Err(Fault::Again),
        }
    }

    /// A new stream or future that a party writes to: the handle of its readable end.
    pub(crate) fn end_of_party(
        self,
        instance: u32,
        ty: u32,
        party: Box<dyn Party>,
    ) -> Result<u32, Fault> {
        let (instance, ty) = (ComponentInstanceId(instance), TypeId(ty));
        let (of, _) = self.payload(ty)?;
        let (reader, writer) = self.new_ends(of, ty, instance)?;
        self.pool()[writer].owner.set(None);
        if let Err(fault) = self.attach(writer, party) {
            drop_end(self, reader);
            drop_end(self, writer);
            return Err(fault);
        }
        self.end_give(instance.0, ty.0, reader.number())
    }

    /// Two ends that know each other.
    pub(crate) fn new_ends(
        self,
        of: EndType,
        ty: TypeId,
        owner: ComponentInstanceId,
    ) -> Result<(EndId, EndId), Fault> {
        let new = |side| -> Result<EndId, Fault> {
            self.count(Kind::End)?;
            let end = self.pool().add_end(End::new(side, of, ty, owner));
            Ok(end.inspect_err(|_| self.uncount(Kind::End))?)
        };
        let reader = new(EndKind::Reader)?;
        let writer = new(EndKind::Writer).inspect_err(|_| drop_end(self, reader))?;
        self.pool()[reader].other.set(Some(writer));
        self.pool()[writer].other.set(Some(reader));
        Ok((reader, writer))
    }

    /// Lets a party read from, or write to, an end that the host has.
    pub(crate) fn attach(self, end: EndId, party: Box<dyn Party>) -> Result<(), Fault> {
        let future = HostEnd {
            instance: NonNull::from(self.instance),
            end,
            party: Some(party),
        };
        let store = self.store();
        // SAFETY: parties can be sent to other threads.
        let id = unsafe { store.reactor.add(store, Some(self.instance), future) };
        match id {
            Ok(id) => {
                self.pool()[end].host.set(Some(id));
                Ok(())
            }
            Err(Failure::Error(error)) => Err(self.host_error(error)),
            Err(Failure::Panic(panic)) => {
                store.set_host_panic(panic);
                Err(TrapCode::HostError.into())
            }
        }
    }

    /// Takes a party out of its end.
    pub(crate) fn detach(self, end: EndId) -> Option<Box<dyn Party>> {
        let id = self.pool()[end].host.take()?;
        let exchange = &HostEnds::of(self.store()).exchange;
        exchange.wish.set(Some(Wish::Take));
        self.store().reactor.poll_now(self.store(), id);
        exchange.wish.take();
        exchange.taken.take()
    }

    /// If the other end of a guest's is a party's, lets it take or give what it can.
    pub(crate) fn serve_other(self, end: EndId) -> Result<(), Fault> {
        let other = self.pool()[end].other.get();
        match other.filter(|other| self.pool()[*other].host.get().is_some()) {
            Some(other) => self.serve(other),
            None => Ok(()),
        }
    }

    /// Two ends have got to know each other by `forward`: a party may have something to do.
    pub(crate) fn serve_forwarded(self, source: EndId, target: EndId) -> Result<(), Fault> {
        match [source, target].map(|end| self.pool()[end].host.get().is_some()) {
            [true, true] => {
                let writes = self.detach(source);
                let reads = self.detach(target);
                for end in [source, target] {
                    self.pool()[end].other.set(None);
                    drop_end(self, end);
                }
                let (Some(writes), Some(reads)) = (writes, reads) else {
                    return Ok(());
                };
                let done = bridge(self.store(), writes, reads);
                done.map_err(|error| self.host_error(error))
            }
            [true, false] => self.serve(source),
            [false, true] => self.serve(target),
            [false, false] => Ok(()),
        }
    }

    /// Lets a party take from, or give to, a guest that waits for it.
    ///
    /// # Errors
    /// If it fails, or what it gives cannot be lowered.
    pub(crate) fn serve(self, end: EndId) -> Result<(), Fault> {
        let record = &self.pool()[end];
        let (Some(id), Some(other_id)) = (record.host.get(), record.other.get()) else {
            return Ok(());
        };
        let other = &self.pool()[other_id];
        let Some(buffer) = other.buffer.get() else {
            return Ok(());
        };
        if other.state.get() != EndState::Copying {
            return Ok(());
        }
        let (_, payload) = self.payload(other.ty.get())?;
        let offer = Offer::Guest(GuestOffer {
            tasks: self,
            payload,
            buffer: Cell::new(buffer),
            moved: Cell::new(0),
            fault: Cell::new(None),
        });
        let result = self.poll_party(id, &offer)?;
        let Offer::Guest(offer) = offer else {
            return Ok(());
        };
        let (buffer, moved) = (offer.buffer.get(), offer.moved.get());
        if moved > 0 {
            other
                .buffer
                .set(Some(buffer).filter(|left| left.remain() > 0));
            tell(self, other_id, buffer.progress);
        }
        if let Some(fault) = offer.fault.get() {
            return Err(fault);
        }
        match result {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(Progress::Over)) => {
                // The party has gone by itself.
                record.host.set(None);
                drop_end(self, end);
                Ok(())
            }
            Poll::Ready(Ok(Progress::Open)) if moved > 0 => Ok(()),
            Poll::Ready(Ok(Progress::Open)) if buffer.remain() == 0 => {
                other.buffer.set(None);
                tell(self, other_id, 0);
                Ok(())
            }
            Poll::Ready(Ok(Progress::Open)) => Err(self.host_error(anyhow!(MOVED_NOTHING))),
            Poll::Ready(Err(error)) => Err(self.host_error(error)),
        }
    }

    fn poll_party(self, id: FutureId, offer: &Offer<'_>) -> Result<Poll<Result<Progress>>, Fault> {
        let store = self.store();
        let exchange = &HostEnds::of(store).exchange;
        // SAFETY: only the lifetime changes; it is taken back below.
        let offer = unsafe {
            std::mem::transmute::<NonNull<Offer<'_>>, NonNull<Offer<'static>>>(NonNull::from(offer))
        };
        exchange.wish.set(Some(Wish::Serve(offer)));
        let polled = store.reactor.poll_now(store, id);
        exchange.wish.take();
        let answer = exchange.answer.take();
        match (polled.and_then(|polled| polled.failure), answer) {
            (Some(panic), _) => {
                store.set_host_panic(panic);
                Err(TrapCode::HostError.into())
            }
            (None, Some(answer)) => Ok(answer),
            // It is being polled.
            (None, None) => Ok(Poll::Pending),
        }
    }

    /// A guest's read or write has ended, or its end has gone: what a party waited for is of no use
    /// any more.
    pub(crate) fn stop_waiting_of_party(self, end: EndId) {
        let other = self.pool()[end].other.get();
        if let Some(id) = other.and_then(|other| self.pool()[other].host.get()) {
            let exchange = &HostEnds::of(self.store()).exchange;
            exchange.wish.set(Some(Wish::Rest));
            self.store().reactor.poll_now(self.store(), id);
            exchange.wish.take();
        }
    }

    /// Ends of parties have been told that the others are gone: they go too.
    ///
    /// # Errors
    /// If what a party does then panics.
    pub(crate) fn settle_told(self) -> Result<(), Fault> {
        let mut failed = false;
        while let Some(end) = self.pop_told() {
            let record = &self.pool()[end];
            let Some(id) = record.host.get().filter(|_| record.other.get().is_none()) else {
                continue;
            };
            record.host.set(None);
            let store = self.store();
            let exchange = &HostEnds::of(store).exchange;
            exchange.wish.set(Some(Wish::Close));
            let polled = store.reactor.poll_now(store, id);
            exchange.wish.take();
            let panic = polled.and_then(|polled| polled.failure);
            let panic = panic.or_else(|| store.reactor.remove(id));
            if let Some(panic) = panic {
                store.set_host_panic(panic);
                failed = true;
            }
            drop_end(self, end);
        }
        match failed {
            false => Ok(()),
            true => Err(TrapCode::HostError.into()),
        }
    }
}

/// What a poll of a party is for.
enum Wish {
    /// To move elements. Valid until the poll is over.
    Serve(NonNull<Offer<'static>>),
    /// It is to wait no more.
    Rest,
    /// To tell it that the other end is gone.
    Close,
    /// To take it out of its end.
    Take,
}

/// How a poll of a party knows what it is for, and says what came of it.
#[derive(Default)]
pub(crate) struct Exchange {
    wish: Cell<Option<Wish>>,
    answer: Cell<Option<Poll<Result<Progress, Error>>>>,
    taken: Cell<Option<Box<dyn Party>>>,
}

/// A party at its end.
struct HostEnd {
    instance: NonNull<InstanceData>,
    end: EndId,
    /// `None` once it was taken out.
    party: Option<Box<dyn Party>>,
}

impl HostFuture for HostEnd {
    fn more_bytes(&self) -> u64 {
        self.party.as_ref().map_or(0, |party| party.bytes())
    }

    fn poll(mut self: Pin<&mut Self>, store: &StoreInner, cx: &mut Context<'_>) -> Poll<Done> {
        let ends = HostEnds::of(store);
        let answer = match ends.exchange.wish.take() {
            None => {
                ends.note_woken(self.instance, self.end);
                return Poll::Ready(Done::Stays);
            }
            Some(Wish::Rest) => return Poll::Ready(Done::Stays),
            Some(Wish::Close) => {
                self.party.iter_mut().for_each(|party| party.closed());
                return Poll::Ready(Done::Gone);
            }
            Some(Wish::Take) => {
                ends.exchange.taken.set(self.party.take());
                return Poll::Ready(Done::Gone);
            }
            Some(Wish::Serve(offer)) => match &mut self.party {
                // SAFETY: valid during this poll.
                Some(party) => party.poll(cx, unsafe { offer.as_ref() }),
                None => return Poll::Ready(Done::Gone),
            },
        };
        let done = match &answer {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(Progress::Open)) => Poll::Ready(Done::Stays),
            Poll::Ready(_) => Poll::Ready(Done::Gone),
        };
        ends.exchange.answer.set(Some(answer));
        done
    }
}

/// Lets a party read what another one writes.
///
/// # Errors
/// If their elements are of different Rust types, or a limit is reached.
pub(crate) fn bridge(
    store: &StoreInner,
    writes: Box<dyn Party>,
    reads: Box<dyn Party>,
) -> Result<()> {
    ensure!(
        writes.item() == reads.item(),
        "the host writes and reads the same stream or future with different Rust types"
    );
    let queue = RefCell::new(writes.queue());
    let bridge = Bridge {
        writes: Some(writes),
        reads,
        queue,
    };
    // SAFETY: parties can be sent to other threads, and so can queues.
    match unsafe { store.reactor.add(store, None, bridge) } {
        Ok(_) => Ok(()),
        Err(Failure::Error(error)) => Err(error),
        Err(Failure::Panic(_)) => Err(anyhow!("a producer or consumer has panicked")),
    }
}

/// Two parties of which one writes what the other one reads; no guest is between them.
struct Bridge {
    /// `None` if it has written all.
    writes: Option<Box<dyn Party>>,
    reads: Box<dyn Party>,
    queue: RefCell<Box<dyn Queue>>,
}

/// As many parts are passed on in one turn.
const PARTS_A_TURN: u32 = 16;

impl Bridge {
    fn len(&self) -> usize {
        self.queue.borrow().len()
    }

    /// Passes on a part: nothing if it is over, otherwise whether something was moved.
    ///
    /// # Errors
    /// If one of the two fails, or is ready and moves nothing.
    fn pass(&mut self, store: &StoreInner, cx: &mut Context<'_>) -> Result<Option<bool>> {
        let before = self.len();
        if let Some(writes) = &mut self.writes {
            match writes.poll(cx, &Offer::Host(store, &self.queue))? {
                Poll::Ready(Progress::Over) => self.writes = None,
                Poll::Ready(Progress::Open) => ensure!(self.len() > 0, MOVED_NOTHING),
                Poll::Pending => {}
            }
        }
        let filled = self.len();
        if filled == 0 {
            if self.writes.is_none() {
                self.reads.closed();
                return Ok(None);
            }
            return Ok(Some(false));
        }
        let read = self.reads.poll(cx, &Offer::Host(store, &self.queue))?;
        let is_less = self.len() < filled;
        match read {
            Poll::Ready(Progress::Over) => Ok(None),
            Poll::Ready(Progress::Open) => {
                ensure!(is_less, MOVED_NOTHING);
                Ok(Some(true))
            }
            Poll::Pending => Ok(Some(filled > before || is_less)),
        }
    }
}

impl HostFuture for Bridge {
    fn more_bytes(&self) -> u64 {
        let writes = self.writes.as_ref().map_or(0, |party| party.bytes());
        writes + self.reads.bytes() + PART as u64
    }

    fn poll(mut self: Pin<&mut Self>, store: &StoreInner, cx: &mut Context<'_>) -> Poll<Done> {
        for _ in 0..PARTS_A_TURN {
            match self.pass(store, cx) {
                Ok(Some(true)) => {}
                Ok(Some(false)) => return Poll::Pending,
                // Whoever waits for the reader finds out that it has gone.
                Ok(None) | Err(_) => return Poll::Ready(Done::Gone),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
