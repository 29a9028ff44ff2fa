//! Exceptions of guests: where they live, how a thrown one finds its handler, and when it is freed.
//!
//! A reference to an exception (`exnref`) is a 32-bit id of an object of the store; 0 is null. A
//! clause that catches only values reads them at once, so its exception is freed. One that was
//! caught by reference lives until a [collection](Heap::collect) finds no reference to it: in the
//! stacks (searched conservatively), in tables and globals, in the values of other exceptions.
//! Collections happen only when something is thrown, and bound what a store spends
//! ([`StoreLimits`]). One looks for an interrupt now and then, and is given up for it: what is
//! freed by then was garbage, and the next one begins anew.
//!
//! Throwing walks frame pointers from the throwing function towards the entry of the innermost
//! activation. Only frames of core functions are passed: an exception never crosses the canonical
//! ABI or the host, but traps there.
//!
//! [`StoreLimits`]: crate::StoreLimits

use crate::load::component::Component;
use crate::machine::activation::Activation;
use crate::machine::instance::InstanceData;
use crate::machine::interrupt::is_interrupted;
use crate::machine::stacks::each_part;
use crate::machine::traps::{Resume, TrapOrigin};
use std::cell::{RefCell, UnsafeCell};
use std::io::Write;
use std::ops::ControlFlow;
use trampette_artifact::ids::{TableId, TagId};
use trampette_artifact::layout::{RootHeader, TableState};
use trampette_artifact::metadata::TableElement;
use trampette_artifact::tables::{Catch, CatchNeeds, EXCEPTION_SLOT};
use trampette_artifact::trap::TrapCode;

/// A value of an exception: little-endian, in the first bytes.
type Slot = u128;
const _: () = assert!(size_of::<Slot>() == EXCEPTION_SLOT as usize && align_of::<Slot>() == 16);

/// Where control goes on after a throw. The stubs know its layout.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Landing {
    resume: Resume,
    /// The two exception registers: the reference and the address of the values; zeros for a trap.
    reference: u64,
    values: u64,
}

/// The exceptions of a store.
#[derive(Default)]
pub(crate) struct Exceptions {
    heap: RefCell<Heap>,
    /// Handed from Rust to the stubs.
    landing: UnsafeCell<Landing>,
}

#[derive(Default)]
struct Heap {
    objects: Vec<Object>,
    /// Indices of objects that are free.
    free: Vec<u32>,
    /// The object whose values a handler is reading; free when something else is thrown.
    landed: Option<u32>,
    /// Bytes of objects that are not free.
    bytes: u64,
    /// More bytes than this cause a collection.
    threshold: u64,
    /// A collection was given up: objects may be marked for nothing.
    is_marked: bool,
}

#[derive(Default)]
struct Object {
    tag: u32,
    state: State,
    values: Vec<Slot>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Free,
    /// There is no reference yet.
    Thrown,
    /// There may be references.
    Referenced,
    /// A collection has found a reference.
    Marked,
}

/// The first collection happens at this many bytes.
const FIRST_THRESHOLD: u64 = 256 << 10;
/// A free object keeps room for this many values.
const KEPT_VALUES: usize = 16;

/// A collection looks for an interrupt once for so many words or objects. Each may miss the caches
/// a few times: that is 1 ms or less.
const STEP: u32 = 1 << 12;

/// Counts what a collection does, and breaks off if it is time to stop.
struct Steps<'a> {
    left: u32,
    is_over: &'a dyn Fn() -> bool,
}

impl Steps<'_> {
    fn new(is_over: &dyn Fn() -> bool) -> Steps<'_> {
        Steps {
            left: STEP,
            is_over,
        }
    }

    #[inline]
    fn count(&mut self) -> ControlFlow<()> {
        self.left -= 1;
        if self.left > 0 {
            return ControlFlow::Continue(());
        }
        self.left = STEP;
        match (self.is_over)() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// Ids are scattered over all numbers, so that integers on the stack are rarely taken for one.
const SCATTER: u32 = 0x9e37_79b1;
/// `SCATTER * GATHER == 1`.
const GATHER: u32 = inverse(SCATTER);

/// The inverse of an odd number modulo 2^32, by Newton's iteration: each step doubles the bits.
const fn inverse(odd: u32) -> u32 {
    let mut result = odd;
    let mut step = 0;
    while step < 4 {
        result = result.wrapping_mul(2u32.wrapping_sub(odd.wrapping_mul(result)));
        step += 1;
    }
    result
}

const fn id_of(index: u32) -> u32 {
    (index + 1).wrapping_mul(SCATTER)
}

/// The index that an id would have; `None` for null.
const fn index_of(id: u32) -> Option<u32> {
    id.wrapping_mul(GATHER).checked_sub(1)
}

fn object_bytes(values: usize) -> u64 {
    (size_of::<Object>() + values * size_of::<Slot>()) as u64
}

impl Heap {
    /// The object of a reference, if it is one.
    fn get(&self, id: u32) -> Option<(u32, &Object)> {
        let index = index_of(id)?;
        let object = self.objects.get(index as usize)?;
        (object.state != State::Free).then_some((index, object))
    }

    fn release(&mut self, index: u32) {
        let object = &mut self.objects[index as usize];
        object.state = State::Free;
        self.bytes -= object_bytes(object.values.len());
        if object.values.len() > KEPT_VALUES {
            object.values = Vec::new();
        }
        self.free.push(index);
    }

    /// Makes an object; `None` over the limit, and for more objects than there are ids.
    fn allocate(&mut self, tag: u32, values: &[Slot]) -> Option<u32> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.objects.len()).ok()?;
                if index >= u32::MAX - 1 {
                    return None;
                }
                self.objects.push(Object::default());
                index
            }
        };
        let object = &mut self.objects[index as usize];
        object.tag = tag;
        object.state = State::Thrown;
        object.values.clear();
        object.values.extend_from_slice(values);
        self.bytes += object_bytes(values.len());
        Some(index)
    }

    /// Marks what a 32-bit word refers to, if it is a reference.
    fn mark(&mut self, word: u32, found: &mut Vec<u32>) {
        let Some((index, object)) = self.get(word) else {
            return;
        };
        if object.state != State::Marked {
            self.objects[index as usize].state = State::Marked;
            found.push(index);
        }
    }

    /// Frees what nothing refers to: neither the [stacks](each_part), which are searched word by
    /// word, nor tables and globals of instances, nor values of exceptions that are referred to.
    /// Gives up if `is_over` says so.
    ///
    /// # Safety
    /// Guest code runs on this thread, on a stack that starts at `stack` or below.
    unsafe fn collect(
        &mut self,
        stack: usize,
        activation: &Activation,
        is_over: &dyn Fn() -> bool,
    ) -> ControlFlow<()> {
        let mut steps = Steps::new(is_over);
        self.unmark(&mut steps)?;
        let mut found = Vec::new();
        let store = activation.store();
        each_part(stack, activation, store, |part| {
            for address in (part.start.next_multiple_of(4)..part.end).step_by(4) {
                steps.count()?;
                // SAFETY: between two live frames of a stack.
                let word = unsafe { (address as *const u32).read_volatile() };
                self.mark(word, &mut found);
            }
            ControlFlow::Continue(())
        })?;
        store.each_instance(|instance| {
            each_stored(instance, |word| {
                steps.count()?;
                self.mark(word, &mut found);
                ControlFlow::Continue(())
            })
        })?;
        self.trace(found, &mut steps)?;
        self.sweep(&mut steps)
    }

    /// Takes back the marks of a collection that was given up.
    fn unmark(&mut self, steps: &mut Steps<'_>) -> ControlFlow<()> {
        if self.is_marked {
            for object in &mut self.objects {
                steps.count()?;
                if object.state == State::Marked {
                    object.state = State::Referenced;
                }
            }
        }
        // Until all of them are found and counted.
        self.is_marked = true;
        ControlFlow::Continue(())
    }

    /// Marks what the values of these objects refer to, and what the values of those do.
    fn trace(&mut self, mut found: Vec<u32>, steps: &mut Steps<'_>) -> ControlFlow<()> {
        while let Some(index) = found.pop() {
            steps.count()?;
            for at in 0..self.objects[index as usize].values.len() {
                steps.count()?;
                let word = self.objects[index as usize].values[at] as u32;
                self.mark(word, &mut found);
            }
        }
        ControlFlow::Continue(())
    }

    /// Frees what is not marked, and takes the marks back.
    fn sweep(&mut self, steps: &mut Steps<'_>) -> ControlFlow<()> {
        for index in 0..self.objects.len() {
            steps.count()?;
            match self.objects[index].state {
                State::Free => {}
                State::Marked => self.objects[index].state = State::Referenced,
                State::Thrown | State::Referenced => self.release(index as u32),
            }
        }
        self.is_marked = false;
        ControlFlow::Continue(())
    }
}

/// Calls `mark` with every word of an instance that may be a reference to an exception.
fn each_stored(
    instance: &InstanceData,
    mut mark: impl FnMut(u32) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let metadata = instance.component.metadata();
    for (slab, offset) in &metadata.exception_globals {
        let context = instance.slabs().context(*slab);
        // SAFETY: in the context, as loading has checked; it is mapped and initialised.
        mark(unsafe { context.offset(offset.0 as isize).cast::<u32>().read() })?;
    }
    for (index, table) in metadata.tables.iter().enumerate() {
        if table.element != TableElement::Exception {
            continue;
        }
        let state = instance.root_field::<TableState>(metadata.root.table(TableId::new(index)));
        let context = instance.slabs().context(table.slab);
        // SAFETY: the table is in the context, as loading has checked; it is mapped and
        // initialised.
        let entries = unsafe {
            let length = state.read().length.min(table.capacity) as usize;
            let entries = context.offset(table.offset as isize).cast::<u32>();
            std::slice::from_raw_parts(entries.as_ptr(), length)
        };
        entries.iter().try_for_each(|entry| mark(*entry))?;
    }
    ControlFlow::Continue(())
}

/// Where a throw comes from.
#[derive(Clone, Copy)]
struct Thrower {
    /// An address below everything that holds references.
    stack: usize,
    /// The return address in the builtin's trampoline.
    return_address: usize,
    /// The frame pointer of the builtin's trampoline.
    fp: usize,
}

impl Exceptions {
    /// Makes an exception and finds where it goes.
    ///
    /// # Safety
    /// As [`Exceptions::land`]; and the values are those of the builtin [`throw`].
    unsafe fn throw(
        &self,
        activation: &Activation,
        thrower: Thrower,
        tag: u32,
        values: &[Slot],
    ) -> Option<*const Landing> {
        // Guests that throw all the time are mostly here when a signal comes.
        if is_interrupted(activation.instance()) {
            // SAFETY: as promised.
            return unsafe { self.trap(activation, thrower, TrapCode::Interrupt) };
        }
        let limit = activation.store().limits.get().exception_bytes;
        let is_over = || is_interrupted(activation.instance());
        let thrown = {
            let mut heap = self.heap.borrow_mut();
            if let Some(landed) = heap.landed.take() {
                heap.release(landed);
            }
            let bytes = object_bytes(values.len());
            let mut collected = ControlFlow::Continue(());
            if heap.bytes + bytes > heap.threshold.max(FIRST_THRESHOLD).min(limit) {
                // SAFETY: called by guest code; the stub's frame is below all of it.
                collected = unsafe { heap.collect(thrower.stack, activation, &is_over) };
                if collected.is_continue() {
                    heap.threshold = (heap.bytes + bytes).saturating_mul(2);
                }
            }
            match collected {
                ControlFlow::Break(()) => Err(TrapCode::Interrupt),
                ControlFlow::Continue(()) if heap.bytes + bytes > limit => {
                    Err(TrapCode::ExceptionLimit)
                }
                ControlFlow::Continue(()) => {
                    heap.allocate(tag, values).ok_or(TrapCode::ExceptionLimit)
                }
            }
        };
        // SAFETY: as promised.
        unsafe {
            match thrown {
                Ok(index) => self.land(activation, thrower, index),
                Err(code) => self.trap(activation, thrower, code),
            }
        }
    }

    /// Finds where an exception goes.
    ///
    /// # Safety
    /// Guest code of `activation`, the innermost of this thread, is throwing.
    unsafe fn land(
        &self,
        activation: &Activation,
        thrower: Thrower,
        index: u32,
    ) -> Option<*const Landing> {
        if is_interrupted(activation.instance()) {
            // SAFETY: as promised.
            return unsafe { self.trap(activation, thrower, TrapCode::Interrupt) };
        }
        let mut heap = self.heap.borrow_mut();
        let tag = TagId(heap.objects[index as usize].tag);
        let component = &activation.instance().component;
        let is_over = || is_interrupted(activation.instance());
        let mut steps = Steps::new(&is_over);
        // SAFETY: the frame is that of the builtin's trampoline.
        let found = unsafe { find_handler(component, thrower.fp, tag, &mut steps) };
        let (resume, catch) = match found {
            Ok(found) => found,
            Err(code) => {
                if heap.objects[index as usize].state == State::Thrown {
                    heap.release(index);
                }
                drop(heap);
                // SAFETY: as promised.
                return unsafe { self.trap(activation, thrower, code) };
            }
        };
        let object = &mut heap.objects[index as usize];
        match (object.state, catch.needs()) {
            (State::Thrown, CatchNeeds::Values) => heap.landed = Some(index),
            (State::Thrown, CatchNeeds::Reference) => object.state = State::Referenced,
            _ => {}
        }
        let values = heap.objects[index as usize].values.as_ptr();
        Some(self.pass(Landing {
            resume,
            reference: id_of(index).into(),
            values: values.expose_provenance() as u64,
        }))
    }

    /// Traps instead.
    ///
    /// # Safety
    /// As [`Exceptions::land`].
    unsafe fn trap(
        &self,
        activation: &Activation,
        thrower: Thrower,
        code: TrapCode,
    ) -> Option<*const Landing> {
        let origin = TrapOrigin {
            pc: thrower.return_address,
            exact: false,
            sp: thrower.stack,
            fp: thrower.fp,
        };
        let record = &activation.store().trap;
        // SAFETY: as promised.
        let resume = unsafe { record.record(activation, code.number().into(), 0, origin) }?;
        Some(self.pass(Landing {
            resume,
            ..Landing::default()
        }))
    }

    fn pass(&self, landing: Landing) -> *const Landing {
        // SAFETY: nothing else refers to the cell; the stub reads it before it leaves.
        unsafe { self.landing.get().write(landing) };
        self.landing.get()
    }
}

/// Walks the frames of core functions that wait below `fp` for a handler of `tag`.
///
/// # Errors
/// What to trap with: there is none, or it is time to stop.
///
/// # Safety
/// `fp` is the frame pointer of a frame that guest code of `component` waits for.
unsafe fn find_handler(
    component: &Component,
    fp: usize,
    tag: TagId,
    steps: &mut Steps<'_>,
) -> Result<(Resume, Catch), TrapCode> {
    let uncaught = TrapCode::UncaughtException;
    let mut fp = fp;
    loop {
        if steps.count().is_break() {
            return Err(TrapCode::Interrupt);
        }
        // SAFETY: frames of compiled code are linked by their frame pointers, up to the entry's.
        let (caller, return_address) = unsafe {
            let frame = fp as *const usize;
            (frame.read(), frame.add(1).read())
        };
        let offset = component.text_offset(return_address).ok_or(uncaught)?;
        // The byte before is still inside the call.
        let call = offset.checked_sub(1).ok_or(uncaught)?;
        if caller <= fp || !component.in_core_function(call) {
            return Err(uncaught);
        }
        let handlers = component.handlers_at(offset).iter();
        if let Some(handler) = handlers.clone().find(|handler| handler.catch.catches(tag)) {
            let resume = Resume {
                sp: caller - handler.frame_offset as usize,
                fp: caller,
                pc: component.text_range().start + handler.handler as usize,
            };
            return Ok((resume, handler.catch));
        }
        fp = caller;
    }
}

/// The common end of the stubs: saves the registers that may hold references and passes them and
/// the frame pointer on, then goes where Rust says.
macro_rules! leave {
    ($function:literal) => {
        concat!(
            "push rbx\n",
            "push r12\n",
            "push r13\n",
            "push r14\n",
            "push r15\n",
            "mov r8, rsp\n",
            "mov r9, rbp\n",
            "call ",
            $function,
            "\n",
            "mov rcx, rax\n",
            "mov rsp, [rcx]\n",
            "mov rbp, [rcx + 8]\n",
            "mov rax, [rcx + 24]\n",
            "mov rdx, [rcx + 32]\n",
            "mov rcx, [rcx + 16]\n",
            "cld\n",
            "jmp rcx\n",
        )
    };
}

/// Registers that [`leave`] pushes.
const PUSHED: usize = 5;

/// The builtin [`trampette_artifact::builtin::Builtin::Throw`]. Like
/// [`crate::machine::traps::raise`] it leaves frames of guest code without returning to them.
#[unsafe(naked)]
pub(crate) extern "C" fn throw(
    root: *mut RootHeader,
    tag: u32,
    values: *const Slot,
    count: u32,
) -> ! {
    std::arch::naked_asm!(leave!("{throw}"), throw = sym throw_in_rust)
}

/// The builtin [`trampette_artifact::builtin::Builtin::ThrowRef`].
#[unsafe(naked)]
pub(crate) extern "C" fn throw_ref(root: *mut RootHeader, reference: u32) -> ! {
    std::arch::naked_asm!(leave!("{throw}"), throw = sym throw_ref_in_rust)
}

/// Where the builtin was called: the stub has passed what it pushed and the frame pointer.
///
/// # Safety
/// Both are from the stub.
unsafe fn thrower(pushed: *const usize, fp: usize) -> Thrower {
    Thrower {
        stack: pushed.addr(),
        // SAFETY: above the registers.
        return_address: unsafe { pushed.add(PUSHED).read() },
        fp,
    }
}

/// The Rust part of [`throw`].
unsafe extern "C" fn throw_in_rust(
    _root: *mut RootHeader,
    tag: u32,
    values: *const Slot,
    count: u32,
    pushed: *const usize,
    fp: usize,
) -> *const Landing {
    // SAFETY: called by the stub, which is called by guest code; that has stored the values.
    let landing = unsafe {
        let values = match count {
            0 => &[],
            _ => std::slice::from_raw_parts(values, count as usize),
        };
        Activation::current().as_ref().and_then(|activation| {
            let exceptions = &activation.store().exceptions;
            exceptions.throw(activation, thrower(pushed, fp), tag, values)
        })
    };
    landing.unwrap_or_else(|| lost())
}

/// The Rust part of [`throw_ref`].
unsafe extern "C" fn throw_ref_in_rust(
    _root: *mut RootHeader,
    reference: u32,
    _: usize,
    _: usize,
    pushed: *const usize,
    fp: usize,
) -> *const Landing {
    // SAFETY: called by the stub, which is called by guest code.
    let landing = unsafe {
        Activation::current().as_ref().and_then(|activation| {
            let exceptions = &activation.store().exceptions;
            let found = exceptions.heap.borrow().get(reference).map(|found| found.0);
            let thrower = thrower(pushed, fp);
            match found {
                Some(index) => exceptions.land(activation, thrower, index),
                None => exceptions.trap(activation, thrower, TrapCode::NullException),
            }
        })
    };
    landing.unwrap_or_else(|| lost())
}

fn lost() -> ! {
    let message = b"trampette: guest code threw an exception outside of an entry\n";
    // The process ends whether anybody hears why or not.
    let _ = std::io::stderr().write_all(message);
    std::process::abort()
}

#[cfg(test)]
#[path = "exceptions_tests.rs"]
mod tests;
