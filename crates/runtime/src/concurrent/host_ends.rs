//! Ends of streams and futures that the host has.
//!
//! What the host knows such an end by is a *place* in the store: its number travels where values
//! do, and with its generation it is in the [`EndName`] that the embedder's value owns. In a place
//! is either a readable end of a guest's, or what the host has made to write to one that no guest
//! has yet. When the host reads, or a guest is given what the host has made, a [`Party`] takes part
//! in the stream, as a future of the reactor's ([`crate::concurrent::parties`]), and the place is
//! free.
//!
//! Names may be dropped on any thread, and without the store: that is noted, and the ends go when
//! the store is next used. Nothing of a guest runs by it.

use crate::concurrent::ends::drop_end;
use crate::concurrent::parties::{Exchange, Party, bridge};
use crate::concurrent::records::{EndId, EndType};
use crate::concurrent::state::{Fault, Tasks};
use crate::machine::instance::InstanceData;
use crate::machine::ledger::Counted;
use crate::machine::reactor::WakeList;
use crate::machine::store::StoreInner;
use anyhow::{Context, Error, Result, anyhow};
use std::any::{Any, TypeId as TypeOfRust};
use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use trampette_artifact::ids::TypeId;
use trampette_artifact::trap::TrapCode;
use trampette_artifact::types::Type;

/// Names a place, and tells what is in it from what has been there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PlaceId {
    number: u32,
    generation: u32,
}

/// What is in a place.
pub(crate) enum Content {
    /// A readable end of a guest's, idle.
    Held {
        instance: NonNull<InstanceData>,
        end: EndId,
    },
    /// What the host has made. It counts as one end.
    Made { of: EndType, party: Box<dyn Party> },
}

struct Place {
    generation: u32,
    content: Option<Content>,
    /// Whether a name has it. Otherwise it is on its way between the host and a guest.
    is_named: bool,
}

/// What names share with their store.
pub(crate) struct Names {
    store: u64,
    dropped: Mutex<Vec<PlaceId>>,
    /// Whether there are any.
    is_filled: AtomicBool,
    list: Arc<WakeList>,
}

/// Ends with parties that were woken, in that order, each once. However often parties are woken,
/// made and dropped, there are no more than ends at one time.
#[derive(Default)]
struct Woken {
    queue: VecDeque<(NonNull<InstanceData>, EndId)>,
    queued: BTreeSet<(NonNull<InstanceData>, EndId)>,
}

impl Woken {
    fn note(&mut self, party: (NonNull<InstanceData>, EndId)) {
        if self.queued.insert(party) {
            self.queue.push_back(party);
        }
    }

    fn pop(&mut self) -> Option<(NonNull<InstanceData>, EndId)> {
        let next = self.queue.pop_front()?;
        self.queued.remove(&next);
        Some(next)
    }
}

/// An end on its way to a guest as an argument: closes it if it has not arrived when the call has
/// no more use for its arguments.
struct Sent {
    names: Arc<Names>,
    place: PlaceId,
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.names.note_dropped(self.place);
    }
}

impl Names {
    /// An end is to be closed, if it is still in its place.
    fn note_dropped(&self, place: PlaceId) {
        let dropped = self.dropped.lock();
        let mut dropped = dropped.unwrap_or_else(PoisonError::into_inner);
        dropped.push(place);
        drop(dropped);
        self.is_filled.store(true, Ordering::Release);
        self.list.tell_driver();
    }
}

/// The embedder's hold of an end: closes it when it is dropped.
pub(crate) struct EndName {
    names: Arc<Names>,
    place: PlaceId,
    is_given: AtomicBool,
}

impl EndName {
    /// A name of nothing, in no store.
    pub(crate) fn nothing() -> EndName {
        EndName {
            names: Arc::new(Names {
                store: u64::MAX,
                dropped: Mutex::default(),
                is_filled: AtomicBool::new(false),
                list: Arc::default(),
            }),
            place: PlaceId {
                number: u32::MAX,
                generation: 0,
            },
            is_given: AtomicBool::new(true),
        }
    }

    /// Gives the end up without closing it. False if that was done before.
    fn give(&self) -> bool {
        !self.is_given.swap(true, Ordering::AcqRel)
    }

    /// The place, in a store.
    ///
    /// # Errors
    /// If it is in another store, or was given away.
    pub(crate) fn place(&self, store: &StoreInner) -> Result<PlaceId> {
        if self.names.store != store.id() {
            return Err(anyhow!("a stream or future of another store"));
        }
        match self.is_given.load(Ordering::Acquire) {
            false => Ok(self.place),
            true => Err(given()),
        }
    }
}

impl PartialEq for EndName {
    fn eq(&self, other: &EndName) -> bool {
        (self.names.store, self.place) == (other.names.store, other.place)
    }
}

impl std::fmt::Debug for EndName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let PlaceId { number, generation } = self.place;
        write!(f, "EndName({number}, {generation})")
    }
}

impl Drop for EndName {
    fn drop(&mut self) {
        if self.give() {
            self.names.note_dropped(self.place);
        }
    }
}

#[cold]
fn given() -> Error {
    anyhow!("the stream or future was given away, or taken, before")
}

/// The ends that the host has in a store.
pub(crate) struct HostEnds {
    places: RefCell<Vec<Place>>,
    free: RefCell<Vec<u32>>,
    /// Those that are on their way, but not as arguments: if they are when no call is, they go.
    unnamed: RefCell<Vec<PlaceId>>,
    names: Arc<Names>,
    woken: RefCell<Woken>,
    pub exchange: Exchange,
}

impl HostEnds {
    /// Those of a store, made if it has none.
    pub(crate) fn of(store: &StoreInner) -> &HostEnds {
        let part: &dyn Any = &**store.host_part.get_or_init(|| {
            Box::new(HostEnds {
                places: RefCell::default(),
                free: RefCell::default(),
                unnamed: RefCell::default(),
                names: Arc::new(Names {
                    store: store.id(),
                    dropped: Mutex::default(),
                    is_filled: AtomicBool::new(false),
                    list: store.reactor.wake_list().clone(),
                }),
                woken: RefCell::default(),
                exchange: Exchange::default(),
            })
        });
        part.downcast_ref().expect("only this is put there")
    }

    /// Those of a store, if it has had any.
    pub(crate) fn find(store: &StoreInner) -> Option<&HostEnds> {
        store.host_part.get().map(|_| HostEnds::of(store))
    }

    /// Notes that a party was woken.
    pub(crate) fn note_woken(&self, instance: NonNull<InstanceData>, end: EndId) {
        self.woken.borrow_mut().note((instance, end));
    }

    /// How many parties were woken.
    pub(crate) fn woken(&self) -> usize {
        self.woken.borrow().queue.len()
    }

    /// The next of the parties that were woken: at which end of which instance.
    pub(crate) fn pop_woken(&self) -> Option<(NonNull<InstanceData>, EndId)> {
        self.woken.borrow_mut().pop()
    }

    /// Whether the embedder has ends of guests', by whose closing those are told.
    pub(crate) fn are_held(&self) -> bool {
        let places = self.places.borrow();
        let is_held =
            |place: &Place| place.is_named && matches!(place.content, Some(Content::Held { .. }));
        places.iter().any(is_held)
    }

    /// Puts something into a place of its own.
    fn add(&self, content: Content) -> PlaceId {
        let mut places = self.places.borrow_mut();
        let number = self.free.borrow_mut().pop().unwrap_or_else(|| {
            places.push(Place {
                generation: 0,
                content: None,
                is_named: false,
            });
            u32::try_from(places.len() - 1).expect("ends are limited")
        });
        let place = &mut places[number as usize];
        place.content = Some(content);
        place.is_named = false;
        PlaceId {
            number,
            generation: place.generation,
        }
    }

    /// Takes out what is in a place.
    fn take(&self, id: PlaceId) -> Option<Content> {
        let mut places = self.places.borrow_mut();
        let place = places.get_mut(id.number as usize)?;
        let content = (place.generation == id.generation).then(|| place.content.take())??;
        place.generation = place.generation.wrapping_add(1);
        self.free.borrow_mut().push(id.number);
        Some(content)
    }

    /// Takes out what is in a place without a name.
    fn take_unnamed(&self, number: u32) -> Option<Content> {
        let id = self.unnamed(number)?;
        self.take(id)
    }

    fn unnamed(&self, number: u32) -> Option<PlaceId> {
        let places = self.places.borrow();
        let place = places.get(number as usize)?;
        let is_there = place.content.is_some() && !place.is_named;
        is_there.then_some(PlaceId {
            number,
            generation: place.generation,
        })
    }

    /// Puts something into a place, for a value that is made of its number.
    pub(crate) fn send(&self, content: Content) -> u32 {
        let id = self.add(content);
        self.note_unnamed(id);
        id.number
    }

    fn note_unnamed(&self, id: PlaceId) {
        let mut unnamed = self.unnamed.borrow_mut();
        if unnamed.len() > 64 && unnamed.len() > 2 * self.places.borrow().len() {
            unnamed.retain(|id| self.unnamed(id.number) == Some(*id));
        }
        unnamed.push(id);
    }

    /// Puts something into a place; its name.
    pub(crate) fn add_named(&self, content: Content) -> EndName {
        let place = self.add(content);
        self.name(place)
    }

    fn name(&self, place: PlaceId) -> EndName {
        self.places.borrow_mut()[place.number as usize].is_named = true;
        EndName {
            names: self.names.clone(),
            place,
            is_given: AtomicBool::new(false),
        }
    }

    /// The name of what is on its way to the host; of nothing, if it has been taken before.
    pub(crate) fn receive(&self, number: u32) -> EndName {
        match self.unnamed(number) {
            Some(place) => self.name(place),
            None => EndName {
                names: self.names.clone(),
                place: PlaceId {
                    number: u32::MAX,
                    generation: 0,
                },
                is_given: AtomicBool::new(true),
            },
        }
    }

    /// Sends what a name has to a guest, as a result that is lowered at once: the number of its
    /// place.
    ///
    /// # Errors
    /// If it is in another store, or was given away.
    pub(crate) fn send_result(&self, store: &StoreInner, name: &EndName) -> Result<u32> {
        let id = self.send_named(store, name)?;
        self.note_unnamed(id);
        Ok(id.number)
    }

    /// Sends what a name has to a guest, as an argument of a call that may begin late: the number
    /// of its place, and what is to live as long as the arguments do.
    ///
    /// # Errors
    /// As [`HostEnds::send_result`].
    pub(crate) fn send_argument(
        &self,
        store: &StoreInner,
        name: &EndName,
    ) -> Result<(u32, impl Any + use<>)> {
        let place = self.send_named(store, name)?;
        let names = self.names.clone();
        Ok((place.number, Sent { names, place }))
    }

    fn send_named(&self, store: &StoreInner, name: &EndName) -> Result<PlaceId> {
        let id = name.place(store)?;
        let mut places = self.places.borrow_mut();
        let place = places.get_mut(id.number as usize);
        let place = place.filter(|place| place.generation == id.generation && place.is_named);
        let place = place.filter(|place| place.content.is_some() && name.give());
        place.ok_or_else(given)?.is_named = false;
        Ok(id)
    }

    /// Takes what a name has.
    ///
    /// # Errors
    /// As [`HostEnds::send_result`].
    pub(crate) fn take_named(&self, store: &StoreInner, name: &EndName) -> Result<Content> {
        let id = name.place(store)?;
        let content = self.take(id).filter(|_| name.give());
        content.ok_or_else(given)
    }

    /// Looks at what a name has.
    ///
    /// # Errors
    /// As [`HostEnds::send_result`].
    pub(crate) fn look<R>(
        &self,
        store: &StoreInner,
        name: &EndName,
        look: impl FnOnce(&Content) -> R,
    ) -> Result<R> {
        let id = name.place(store)?;
        let places = self.places.borrow();
        let place = places.get(id.number as usize);
        let place = place.filter(|place| place.generation == id.generation);
        let content = place.and_then(|place| place.content.as_ref());
        content.map(look).ok_or_else(given)
    }

    /// Closes the ends whose names were dropped.
    pub(crate) fn close_dropped(&self, store: &StoreInner) {
        if !self.names.is_filled.swap(false, Ordering::AcqRel) {
            return;
        }
        let dropped = self.names.dropped.lock();
        let dropped = std::mem::take(&mut *dropped.unwrap_or_else(PoisonError::into_inner));
        for id in dropped {
            self.close(store, id);
        }
    }

    /// Closes the ends that no value has taken over. To be called when no call of the store is on
    /// its way.
    pub(crate) fn close_unnamed(&self, store: &StoreInner) {
        let unnamed = std::mem::take(&mut *self.unnamed.borrow_mut());
        for id in unnamed {
            if self.unnamed(id.number) == Some(id) {
                self.close(store, id);
            }
        }
    }

    fn close(&self, store: &StoreInner, id: PlaceId) {
        if let Some(content) = self.take(id) {
            close(store, content);
        }
    }
}

impl Drop for HostEnds {
    fn drop(&mut self) {
        for place in self.places.get_mut() {
            // Each alone: one that panics must not meet another one. Nobody can be told.
            let content = place.content.take();
            let _ = catch_unwind(AssertUnwindSafe(|| drop(content)));
        }
    }
}

/// What the elements are of what a name has.
pub(crate) enum Elements<'s> {
    /// Those of a guest's stream or future.
    Guest(&'s InstanceData, EndType, Option<Type>),
    /// Of a Rust type: the host has made it.
    Host(EndType, TypeOfRust),
}

/// What the elements are of what a name has.
///
/// # Errors
/// If it is in another store, or was given away.
pub(crate) fn elements<'s>(store: &'s StoreInner, name: &EndName) -> Result<Elements<'s>> {
    let found = HostEnds::of(store).look(store, name, |content| match content {
        Content::Held { instance, end } => Ok((*instance, *end)),
        Content::Made { of, party } => Err((*of, party.item())),
    })?;
    let (instance, end) = match found {
        Ok(held) => held,
        Err((of, item)) => return Ok(Elements::Host(of, item)),
    };
    // SAFETY: instances live as long as their store.
    let instance = unsafe { instance.as_ref() };
    let payload = Tasks::of(instance).ok().and_then(|tasks| {
        let payload = tasks.payload(tasks.pool()[end].ty.get());
        payload.ok()
    });
    let (of, payload) = payload.context("the type of a stream or future is unknown")?;
    Ok(Elements::Guest(instance, of, payload))
}

/// Lets a party read from what a name has.
///
/// # Errors
/// If it is in another store, was given away, or has elements of another type; or a limit is
/// reached.
pub(crate) fn pipe(store: &StoreInner, name: &EndName, mut party: Box<dyn Party>) -> Result<()> {
    let ends = HostEnds::of(store);
    ends.close_dropped(store);
    if let Elements::Guest(instance, _, payload) = elements(store, name)? {
        party.fits(instance, payload)?;
    }
    let (instance, end) = match ends.take_named(store, name)? {
        Content::Held { instance, end } => (instance, end),
        Content::Made { party: writes, .. } => {
            store.ledger.uncount(Counted::Ends, 1);
            return bridge(store, writes, party);
        }
    };
    // SAFETY: instances live as long as their store.
    let tasks = Tasks::of(unsafe { instance.as_ref() });
    let tasks = tasks.map_err(|code| anyhow!("{code:?}"))?;
    if tasks.is_over() {
        // Whoever waits for the party is told that nobody writes.
        drop(party);
        return Ok(());
    }
    let Some(other) = tasks.pool()[end].other.get() else {
        drop_end(tasks, end);
        party.closed();
        return Ok(());
    };
    if let Some(writes) = tasks.detach(other) {
        // The host has got back what it writes itself.
        for end in [end, other] {
            tasks.pool()[end].other.set(None);
            drop_end(tasks, end);
        }
        return bridge(store, writes, party);
    }
    tasks.attach(end, party).map_err(|_| {
        drop_end(tasks, end);
        let error = store.take_host_error();
        error.unwrap_or_else(|| anyhow!("the stream or future cannot be read"))
    })
}

/// Closes what was in a place.
pub(crate) fn close(store: &StoreInner, content: Content) {
    match content {
        Content::Held { instance, end } => {
            // SAFETY: instances live as long as their store.
            let tasks = Tasks::of(unsafe { instance.as_ref() });
            if let Ok(tasks) = tasks
                && !tasks.is_over()
            {
                drop_end(tasks, end);
                // A guest is told; the host's other end has nothing left to do.
                if tasks.settle_told().is_err() {
                    drop(store.take_host_panic());
                }
            }
        }
        Content::Made { party, .. } => {
            store.ledger.uncount(Counted::Ends, 1);
            // Nobody can be told of a panic.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(party)));
        }
    }
}

impl Tasks<'_> {
    /// Fails as a host function does.
    pub(crate) fn host_error(self, error: Error) -> Fault {
        self.store().set_host_error(error);
        TrapCode::HostError.into()
    }

    /// Lifts a readable end for the host: the number of its place.
    pub(crate) fn end_to_host(self, instance: u32, ty: u32, handle: u32) -> Result<u32, Fault> {
        self.instance.set_yields(0);
        let ends = HostEnds::of(self.store());
        ends.close_dropped(self.store());
        let number = self.end_take(instance, ty, handle)?;
        let end = EndId::from_number(number).ok_or(TrapCode::RecordsFull)?;
        Ok(ends.send(Content::Held {
            instance: NonNull::from(self.instance),
            end,
        }))
    }

    /// Lowers the readable end in a place that the host has sent: its handle.
    pub(crate) fn end_from_host(self, instance: u32, ty: u32, place: u32) -> Result<u32, Fault> {
        self.instance.set_yields(0);
        let store = self.store();
        let content = HostEnds::of(store).take_unnamed(place);
        let content = content.ok_or_else(|| self.host_error(given()))?;
        let (of, payload) = self.payload(TypeId(ty))?;
        let wrong = match &content {
            Content::Held { instance, end } => {
                if !std::ptr::eq(instance.as_ptr(), self.instance) {
                    Some(anyhow!("a stream or future of another instance"))
                } else if self.pool()[*end].ty.get() != TypeId(ty) {
                    Some(anyhow!("a stream or future of another type"))
                } else {
                    None
                }
            }
            Content::Made { of: made, .. } if *made != of => {
                Some(anyhow!("a stream or future of another type"))
            }
            Content::Made { party, .. } => party.fits(self.instance, payload).err(),
        };
        if let Some(error) = wrong {
            close(store, content);
            return Err(self.host_error(error));
        }
        match content {
            Content::Held { end, .. } => self.end_give(instance, ty, end.number()),
            Content::Made { party, .. } => {
                store.ledger.uncount(Counted::Ends, 1);
                self.end_of_party(instance, ty, party)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parties_are_noted_once_however_often_they_are_woken() {
        let mut woken = Woken::default();
        let parties = [1, 2, 3].map(|end| {
            let end = EndId::from_number(end).unwrap();
            (NonNull::<InstanceData>::dangling(), end)
        });
        for _ in 0..1000 {
            parties.iter().for_each(|party| woken.note(*party));
        }
        assert_eq!((woken.queue.len(), woken.queued.len()), (3, 3));
        assert_eq!(woken.pop(), Some(parties[0]));
        woken.note(parties[1]);
        woken.note(parties[0]);
        let rest: Vec<_> = std::iter::from_fn(|| woken.pop()).collect();
        assert_eq!(rest, [parties[1], parties[2], parties[0]]);
        assert!(woken.queued.is_empty());
    }
}
