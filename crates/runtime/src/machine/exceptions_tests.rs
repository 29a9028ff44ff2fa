//! Tests of collections of exceptions.

use super::*;
use crate::concurrent::chain::{Resumed, begin, resume, suspend};
use crate::concurrent::switch::Ending;
use crate::machine::store::{Store, StoreInner};
use crate::tests::handmade::{instantiate_with, load};
use std::cell::Cell;
use trampette_artifact::layout::ImportSlot;

#[test]
fn ids_round_trip() {
    assert_eq!(index_of(0), None);
    for index in [0, 1, 2, 1000, u32::MAX - 2] {
        assert_eq!(index_of(id_of(index)), Some(index));
        assert_ne!(id_of(index), 0);
    }
}

#[test]
fn objects_are_used_again() {
    let mut heap = Heap::default();
    let first = heap.allocate(1, &[7]).unwrap();
    let second = heap.allocate(2, &[]).unwrap();
    assert_ne!(first, second);
    let full = heap.bytes;
    heap.release(first);
    assert!(heap.get(id_of(first)).is_none());
    assert_eq!(heap.get(id_of(second)).unwrap().0, second);
    assert_eq!(heap.allocate(3, &[8]), Some(first));
    assert_eq!(heap.bytes, full);
    assert_eq!(heap.objects[first as usize].values, [8]);
}

/// A heap of a chain of so many exceptions, and as many that nothing refers to; gives the
/// chain's first.
fn chain(length: u32) -> (Heap, u32) {
    let mut heap = Heap::default();
    let mut first = 0;
    for _ in 0..length {
        let next = match first {
            0 => heap.allocate(1, &[]),
            first => heap.allocate(1, &[Slot::from(first)]),
        };
        first = id_of(next.unwrap());
        heap.allocate(2, &[]).unwrap();
    }
    (heap, first)
}

/// What a collection does that finds one reference, until `is_over`.
fn collect(heap: &mut Heap, reference: u32, is_over: &dyn Fn() -> bool) -> ControlFlow<()> {
    let mut steps = Steps::new(is_over);
    heap.unmark(&mut steps)?;
    let mut found = Vec::new();
    heap.mark(reference, &mut found);
    heap.trace(found, &mut steps)?;
    heap.sweep(&mut steps)
}

/// However far a collection gets before it is given up, the next one frees all the same.
#[test]
fn collections_that_were_given_up_begin_anew() {
    const LENGTH: u32 = 3 * STEP;
    let steps = Cell::new(0);
    let count = || {
        steps.set(steps.get() + 1);
        false
    };
    let (mut heap, first) = chain(LENGTH);
    assert!(collect(&mut heap, first, &count).is_continue());
    let kept = heap.bytes;
    // A look for each STEP of objects and values: those that are marked, and all.
    assert!(
        (3 + 3 + 6 - 1..=12).contains(&steps.get()),
        "{}",
        steps.get()
    );
    for most in 0..steps.get() {
        let (mut heap, first) = chain(LENGTH);
        let left = Cell::new(most);
        let is_over = || match left.get() {
            0 => true,
            some => {
                left.set(some - 1);
                false
            }
        };
        assert!(collect(&mut heap, first, &is_over).is_break());
        // What is referred to is all there, in the middle too.
        let (mut at, mut length) = (first, 1);
        while let Some(next) = heap.get(at).unwrap().1.values.first() {
            (at, length) = (*next as u32, length + 1);
        }
        assert_eq!(length, LENGTH, "after {most} steps");
        assert!(collect(&mut heap, first, &|| false).is_continue());
        assert_eq!(heap.bytes, kept, "after {most} steps");
        assert!(collect(&mut heap, 0, &|| false).is_continue());
        assert_eq!(heap.bytes, 0, "after {most} steps");
    }
}

/// An instance of the hand-written guest, which must not call its import.
fn instantiate(store: &StoreInner) -> &InstanceData {
    let slot = ImportSlot {
        function: 0,
        data: 0,
    };
    // SAFETY: nothing calls the import.
    let instance = unsafe { instantiate_with(store, &load(), slot) };
    instance.unwrap().data(store)
}

/// How many exceptions each stack of the test below refers to.
const OF_EACH: usize = 8;

/// Refers to exceptions of its own while it is suspended; there is nothing left of the call
/// that made them.
unsafe extern "C" fn hold(instance: u64) -> Ending {
    // SAFETY: the instance lives.
    unsafe {
        let instance = std::ptr::with_exposed_provenance::<InstanceData>(instance as usize);
        let instance = &*instance;
        let exceptions = &instance.store().exceptions;
        let mut held = [0u32; OF_EACH];
        for (index, id) in held.iter_mut().enumerate() {
            let mut heap = exceptions.heap.borrow_mut();
            let object = heap.allocate(index as u32, &[]).unwrap();
            heap.objects[object as usize].state = State::Referenced;
            *id = std::hint::black_box(id_of(object));
        }
        suspend(instance, 0);
        let heap = exceptions.heap.borrow();
        for (index, id) in std::hint::black_box(held).into_iter().enumerate() {
            assert_eq!(heap.get(id).unwrap().1.tag, index as u32);
        }
    }
    Ending::Finished
}

#[test]
fn suspended_stacks_keep_exceptions() {
    const STACKS: usize = 20;
    let store = Store::new(());
    let store = store.inner();
    let instance = instantiate(store);
    let collect = || {
        let here = 0u8;
        // SAFETY: what refers to exceptions is above.
        unsafe {
            let activation = Activation::current().as_ref().unwrap();
            let stack = std::ptr::from_ref(&here).addr();
            let mut heap = store.exceptions.heap.borrow_mut();
            assert!(heap.collect(stack, activation, &|| false).is_continue());
            (heap.objects.len() - heap.free.len(), heap.bytes)
        }
    };
    let mut stacks = Vec::new();
    let mut left = (0, 0);
    instance
        .enter(|_| {
            for _ in 0..STACKS {
                let stack = store.stacks.take(instance).unwrap();
                stacks.push(stack);
                let argument = std::ptr::from_ref(instance).expose_provenance() as u64;
                // SAFETY: the instance lives as long as its stacks.
                unsafe {
                    begin(stack, hold, argument);
                    resume(instance, stack, 0);
                }
            }
            assert_eq!(collect().0, STACKS * OF_EACH);
            // Half of them end, and look whether theirs are there.
            for stack in stacks.drain(..STACKS / 2) {
                // SAFETY: it is suspended.
                assert_eq!(unsafe { resume(instance, stack, 0) }, Resumed::Finished(0));
            }
            left = collect();
            0
        })
        .unwrap();
    // Numbers that look like references may be anywhere on the host's stack.
    let kept = STACKS / 2 * OF_EACH;
    assert!((kept..kept + OF_EACH).contains(&left.0), "{left:?}");
    assert_eq!(left.1, left.0 as u64 * object_bytes(0));
    // Those that are dropped with the store look no more.
    assert_eq!(store.stacks.count() as usize, STACKS / 2);
}

/// A collection on a pooled stack searches that, those below it and the host's.
#[test]
fn the_chain_keeps_exceptions() {
    unsafe extern "C" fn nest(instance: u64) -> Ending {
        // SAFETY: the instance lives.
        unsafe {
            let pointer = std::ptr::with_exposed_provenance::<InstanceData>(instance as usize);
            hold_and_go_on(&*pointer, |instance| {
                let store = instance.store();
                if store.stacks.count() == 5 {
                    let here = 0u8;
                    let activation = Activation::current().as_ref().unwrap();
                    let stack = std::ptr::from_ref(&here).addr();
                    let mut heap = store.exceptions.heap.borrow_mut();
                    assert!(heap.collect(stack, activation, &|| false).is_continue());
                    return;
                }
                let stack = store.stacks.take(instance).unwrap();
                begin(
                    stack,
                    nest,
                    std::ptr::from_ref(instance).expose_provenance() as u64,
                );
                assert_eq!(resume(instance, stack, 0), Resumed::Finished(0));
            });
        }
        Ending::Finished
    }
    /// Holds a reference while `go_on` runs.
    #[inline(never)]
    fn hold_and_go_on(instance: &InstanceData, go_on: impl FnOnce(&InstanceData)) {
        let exceptions = &instance.store().exceptions;
        let object = exceptions.heap.borrow_mut().allocate(3, &[]).unwrap();
        exceptions.heap.borrow_mut().objects[object as usize].state = State::Referenced;
        let held = [std::hint::black_box(id_of(object))];
        std::hint::black_box(&held);
        go_on(instance);
        let id = std::hint::black_box(held)[0];
        assert_eq!(exceptions.heap.borrow().get(id).unwrap().1.tag, 3);
    }
    let store = Store::new(());
    let store = store.inner();
    let instance = instantiate(store);
    let result = instance.enter(|_| {
        hold_and_go_on(instance, |instance| {
            let argument = std::ptr::from_ref(instance).expose_provenance() as u64;
            let stack = store.stacks.take(instance).unwrap();
            // SAFETY: the instance lives as long as its stacks.
            unsafe {
                begin(stack, nest, argument);
                assert_eq!(resume(instance, stack, 0), Resumed::Finished(0));
            }
        });
        0
    });
    result.unwrap();
    assert_eq!(store.exceptions.heap.borrow().free.len(), 0);
}
