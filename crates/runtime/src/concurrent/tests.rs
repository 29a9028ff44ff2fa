//! Switching, traps and interrupts on pooled stacks, with the hand-written guest.

use crate::concurrent::chain::{Resumed, begin, look_again, resume, suspend, transfer};
use crate::concurrent::switch::Ending;
use crate::load::component::Component;
use crate::machine::instance::{InstanceData, RawInstance};
use crate::machine::store::{Store, StoreInner};
use crate::machine::traps::{GuestFrame, leave, raise_again};
use crate::memory::stack_pool::Stack;
use crate::tests::handmade::{call, inner_entry, instantiate_with, load};
use crate::{StoreLimits, Trap, TrapCode};
use anyhow::{Result, anyhow};
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::time::{Duration, Instant};
use trampette_artifact::ids::SlabId;
use trampette_artifact::layout::{HOST_ERROR, HOST_OK, ImportSlot, STACK_RESERVE_FOR_HOST, Status};

/// [`resume`], for a service that guest code has called: a trap passes on to that code, and an
/// interrupt that came meanwhile ends it. So it never returns [`Resumed::Trapped`].
///
/// # Safety
/// As [`resume`]; and guest code of the instance called the service, which pushed the frame and has
/// nothing to drop.
unsafe fn resume_from_guest(
    instance: &InstanceData,
    stack: Stack,
    word: u64,
    frame: *const GuestFrame,
) -> Resumed {
    // SAFETY: promised.
    unsafe {
        let resumed = resume(instance, stack, word);
        if let Resumed::Trapped(_) = resumed {
            raise_again(frame)
        }
        look_again(frame);
        resumed
    }
}

/// [`suspend`], for a service that guest code has called: an interrupt that came meanwhile ends
/// that code when it goes on.
///
/// # Safety
/// As [`suspend`]; and guest code of the instance called the service, which pushed the frame and
/// has nothing to drop.
unsafe fn suspend_from_guest(instance: &InstanceData, word: u64, frame: *const GuestFrame) -> u64 {
    // SAFETY: promised.
    unsafe {
        let word = suspend(instance, word);
        look_again(frame);
        word
    }
}

/// [`transfer`], for a service that guest code has called; as [`suspend_from_guest`].
///
/// # Safety
/// As [`transfer`]; and guest code of the instance called the service, which pushed the frame and
/// has nothing to drop.
unsafe fn transfer_from_guest(
    instance: &InstanceData,
    stack: Stack,
    word: u64,
    frame: *const GuestFrame,
) -> u64 {
    // SAFETY: promised.
    unsafe {
        let word = transfer(instance, stack, word);
        look_again(frame);
        word
    }
}

/// What the guest's import does: it gives the import's result, or `None` if it has failed.
type Act = fn(&World, u32, *const GuestFrame) -> Option<u32>;

/// A store with an instance whose import is a test's own function.
struct World {
    store: Store<()>,
    instance: Cell<Option<RawInstance>>,
    act: Act,
    /// Tasks that were made and not given back by the test.
    tasks: RefCell<Vec<Stack>>,
    log: RefCell<Vec<u32>>,
}

/// What a task runs: the guest's function, on a stack of its own.
struct Task {
    world: *const World,
    args: [u32; 2],
}

#[unsafe(naked)]
unsafe extern "C" fn import() {
    std::arch::naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "mov r8, rsp",
        "call {service}",
        "pop rbp",
        "ret",
        service = sym service,
    )
}

unsafe extern "C" fn service(
    world: *const World,
    _store: *const StoreInner,
    args: *const u32,
    results: *mut u32,
    frame: *const GuestFrame,
) -> u32 {
    // SAFETY: called by the hand-written code; the world outlives its store's calls.
    unsafe {
        match ((*world).act)(&*world, args.read(), frame) {
            Some(result) => {
                results.write(result);
                HOST_OK
            }
            None => HOST_ERROR,
        }
    }
}

/// The base of a task's stack.
unsafe extern "C" fn run_task(task: u64) -> Ending {
    // SAFETY: made by `World::task`; the store lives.
    let (world, args) = unsafe {
        let task = Box::from_raw(std::ptr::with_exposed_provenance_mut::<Task>(task as usize));
        (&*task.world, task.args)
    };
    let entry = inner_entry(&world.data().component);
    let mut result = 0u32;
    let context = world.data().slabs().context(SlabId(0)).as_ptr();
    // SAFETY: the native structs of the export.
    let status = unsafe {
        let result = (&raw mut result).cast();
        entry.call(context, args.as_ptr().cast(), result)
    };
    if status != Status::Ok as u32 {
        return Ending::Trapped;
    }
    world.log.borrow_mut().push(result);
    Ending::Finished
}

impl World {
    fn new(act: Act) -> Box<World> {
        World::of(&load(), act)
    }

    fn of(component: &Component, act: Act) -> Box<World> {
        let world = Box::new(World {
            store: Store::new(()),
            instance: Cell::new(None),
            act,
            tasks: RefCell::default(),
            log: RefCell::default(),
        });
        world.instantiate(component);
        world
    }

    fn instantiate(&self, component: &Component) {
        let slot = ImportSlot {
            function: import as *const () as u64,
            data: std::ptr::from_ref(self).expose_provenance() as u64,
        };
        // SAFETY: it has the import's signature.
        let instance = unsafe { instantiate_with(self.store.inner(), component, slot) };
        self.instance.set(Some(instance.unwrap()));
    }

    fn data(&self) -> &InstanceData {
        self.instance.get().unwrap().data(self.store.inner())
    }

    fn call(&self, operation: u32, operand: u32) -> Result<u32> {
        let instance = self.instance.get().unwrap();
        call(self.store.inner(), instance, operation, operand)
    }

    fn take(&self) -> Stack {
        self.store.inner().stacks.take(self.data()).unwrap()
    }

    /// A stack on which the guest's function will run.
    fn task(&self, operation: u32, operand: u32) -> Stack {
        let stack = self.take();
        let task = Box::new(Task {
            world: self,
            args: [operation, operand],
        });
        stack.owner[0].set(operand.into());
        // SAFETY: the base function takes the task.
        unsafe {
            begin(
                stack,
                run_task,
                Box::into_raw(task).expose_provenance() as u64,
            )
        };
        stack
    }

    /// Runs something as if the host had called the instance, outside of its code.
    fn enter(&self, f: impl FnOnce(&InstanceData)) -> Result<()> {
        self.data().enter(|_| {
            f(self.data());
            Status::Ok as u32
        })
    }

    fn kind(&self, operation: u32, operand: u32) -> (TrapCode, u64, usize) {
        let error = self.call(operation, operand).unwrap_err();
        let trap = error.downcast_ref::<Trap>().unwrap();
        (trap.kind(), trap.payload(), trap.frames().len())
    }

    fn in_use(&self) -> u32 {
        self.store.inner().stacks.count()
    }
}

fn nothing(_: &World, _: u32, _: *const GuestFrame) -> Option<u32> {
    None
}

unsafe extern "C" fn count_up(world: u64) -> Ending {
    // SAFETY: the world lives.
    unsafe {
        let world = &*std::ptr::with_exposed_provenance::<World>(world as usize);
        let mut word = 1;
        while word != 0 {
            word = suspend(world.data(), word + 1);
        }
    }
    Ending::Finished
}

#[test]
fn words_pass_thousands_of_switches() {
    let world = World::new(nothing);
    let own = std::ptr::from_ref(&*world).expose_provenance() as u64;
    let stacks = [(); 3].map(|()| world.take());
    for stack in stacks {
        stack.owner[0].set(stack.word());
        // SAFETY: the world lives as long as its stacks run.
        unsafe { begin(stack, count_up, own) };
    }
    let result = world.enter(|instance| {
        for stack in stacks {
            // SAFETY: suspended stacks of this instance.
            let first = unsafe { resume(instance, stack, 99) };
            assert_eq!(first, Resumed::Suspended(2));
        }
        for round in 1..10_000 {
            let stack = stacks[round % 3];
            // SAFETY: as above.
            let resumed = unsafe { resume(instance, stack, round as u64) };
            assert_eq!(resumed, Resumed::Suspended(round as u64 + 1));
        }
        for stack in stacks {
            // SAFETY: as above.
            let resumed = unsafe { resume(instance, stack, 0) };
            assert_eq!(resumed, Resumed::Finished(stack.word()));
        }
    });
    result.unwrap();
    assert_eq!(world.in_use(), 0);
}

/// Operand 0 suspends, 1 makes a task that does and goes on with it, 2 calls another instance.
fn suspend_or_resume(world: &World, operand: u32, frame: *const GuestFrame) -> Option<u32> {
    let instance = world.data();
    // SAFETY: called by guest code, through a stub that pushed the frame.
    unsafe {
        match operand {
            0 => Some(suspend_from_guest(instance, 5, frame) as u32),
            1 => {
                let stack = world.task(4, 0);
                let suspended = resume_from_guest(instance, stack, 0, frame);
                assert_eq!(suspended, Resumed::Suspended(5));
                let finished = resume_from_guest(instance, stack, 31, frame);
                assert_eq!(finished, Resumed::Finished(0));
                world.log.borrow_mut().pop()
            }
            _ => unreachable!(),
        }
    }
}

#[test]
fn guest_code_is_suspended_and_goes_on() {
    let world = World::new(suspend_or_resume);
    for _ in 0..100 {
        assert_eq!(world.call(4, 1).unwrap(), 31);
        assert_eq!(world.call(0, 0).unwrap(), 0x1234_5678);
    }
    assert_eq!(world.in_use(), 0);
}

/// Makes a task that does the same with one less; at 0 it suspends, and so does each that sees it.
fn nest(world: &World, operand: u32, frame: *const GuestFrame) -> Option<u32> {
    let instance = world.data();
    // SAFETY: called by guest code, through a stub that pushed the frame.
    unsafe {
        if operand == 0 {
            return Some(suspend_from_guest(instance, 0, frame) as u32);
        }
        let below = world.task(4, operand - 1);
        let depth = match resume_from_guest(instance, below, 0, frame) {
            Resumed::Suspended(depth) => depth,
            other => panic!("{other:?}"),
        };
        if operand < 100 {
            let word = suspend_from_guest(instance, depth + 1, frame);
            assert_eq!(word, u64::from(operand));
        } else {
            assert_eq!(depth, 99);
        }
        let resumed = resume_from_guest(instance, below, u64::from(operand - 1), frame);
        assert_eq!(resumed, Resumed::Finished(u64::from(operand - 1)));
    }
    Some(operand)
}

#[test]
fn chains_are_a_hundred_deep() {
    let world = World::new(nest);
    assert_eq!(world.call(4, 100).unwrap(), 100);
    let expected: Vec<u32> = (0..100).collect();
    assert_eq!(*world.log.borrow(), expected);
    assert_eq!(world.in_use(), 0);
}

/// Operand 100 makes two siblings and runs them; they pass control to each other.
fn pass_on(world: &World, operand: u32, frame: *const GuestFrame) -> Option<u32> {
    let instance = world.data();
    // SAFETY: called by guest code, through a stub that pushed the frame.
    unsafe {
        if operand < 100 {
            for round in 0..50 {
                let other = world.tasks.borrow()[1 - operand as usize];
                let word = transfer_from_guest(instance, other, round, frame);
                // Nobody else is resumed meanwhile.
                assert_eq!(
                    instance.chain().active(),
                    world.tasks.borrow()[operand as usize]
                );
                assert!(word == round || word == round + 1 || word == 1000, "{word}");
            }
            return Some(operand + 1);
        }
        let tasks = [world.task(4, 0), world.task(4, 1)];
        *world.tasks.borrow_mut() = tasks.to_vec();
        // The first one gives its place away, and ends when it has it again.
        let resumed = resume_from_guest(instance, tasks[0], 0, frame);
        assert_eq!(resumed, Resumed::Finished(0));
        let resumed = resume_from_guest(instance, tasks[1], 1000, frame);
        assert_eq!(resumed, Resumed::Finished(1));
    }
    Some(3)
}

#[test]
fn siblings_transfer_control() {
    let world = World::new(pass_on);
    assert_eq!(world.call(4, 100).unwrap(), 3);
    assert_eq!(*world.log.borrow(), [1, 2]);
    assert_eq!(world.in_use(), 0);
}

/// Makes tasks within tasks; the last one is what the operand's upper half says.
fn trap_below(world: &World, operand: u32, frame: *const GuestFrame) -> Option<u32> {
    let instance = world.data();
    let (last, depth) = (operand >> 16, operand & 0xffff);
    if last == 4 && depth == 0 {
        world.store.inner().set_host_error(anyhow!("deep"));
        return None;
    }
    let below = match (last, depth) {
        (0, 1) => world.task(0, u32::MAX),
        (4, 1) => world.task(4, 4 << 16),
        (_, 1) => world.task(last, 7),
        _ => world.task(4, last << 16 | (depth - 1)),
    };
    // One that is suspended when the trap comes.
    let idle = world.task(4, 0);
    world.tasks.borrow_mut().push(idle);
    // SAFETY: called by guest code, through a stub that pushed the frame.
    unsafe { resume_from_guest(instance, below, 0, frame) };
    unreachable!("it traps")
}

#[test]
fn traps_pass_down_the_chain() {
    let component = load();
    for depth in [1, 2, 50] {
        for (last, kind, payload) in [
            (0, TrapCode::MemoryOutOfBounds, 0),
            (1, TrapCode::UnknownHandle, 7),
            (2, TrapCode::Unreachable, 0),
            (3, TrapCode::IntegerDivisionByZero, 0),
            (6, TrapCode::StackOverflow, 0),
        ] {
            let world = World::of(&component, trap_below);
            let found = world.kind(4, last << 16 | depth);
            assert_eq!((found.0, found.1), (kind, payload));
            // One frame a task, and the export's.
            let frames = depth as usize + 1;
            assert!(found.2 == frames || last == 6, "{found:?}");
            // Those that the trap ended were given back, the others are the test's.
            assert_eq!(world.in_use(), depth);
            for stack in world.tasks.take() {
                // SAFETY: it will not be resumed.
                unsafe { world.store.inner().stacks.release(stack) };
            }
            assert_eq!(world.in_use(), 0);
            let error = world.call(0, 0).unwrap_err();
            let kind = error.downcast_ref::<Trap>().unwrap().kind();
            assert_eq!(kind, TrapCode::CannotEnter);
            world.instantiate(&component);
            assert_eq!(world.call(0, 0).unwrap(), 0x1234_5678);
        }
    }
}

/// A trap that no guest code raises, at the base of a stack.
#[test]
fn the_base_of_a_stack_can_trap() {
    unsafe extern "C" fn base(world: u64) -> Ending {
        // SAFETY: the world lives.
        let world = unsafe { &*std::ptr::with_exposed_provenance::<World>(world as usize) };
        let record = &world.store.inner().trap;
        record.record_here(TrapCode::UnknownHandle, 9);
        Ending::Trapped
    }
    fn act(world: &World, _: u32, frame: *const GuestFrame) -> Option<u32> {
        let stack = world.take();
        let own = std::ptr::from_ref(world).expose_provenance() as u64;
        // SAFETY: called by guest code, through a stub that pushed the frame.
        unsafe {
            begin(stack, base, own);
            resume_from_guest(world.data(), stack, 0, frame);
        }
        unreachable!("it traps")
    }
    let world = World::new(act);
    assert_eq!(world.kind(4, 0), (TrapCode::UnknownHandle, 9, 1));
    assert_eq!(world.in_use(), 0);
}

#[test]
fn errors_of_the_host_pass_down_the_chain() {
    let world = World::new(trap_below);
    let error = world.call(4, 4 << 16 | 20).unwrap_err();
    assert_eq!(error.root_cause().to_string(), "deep");
    let backtrace = error.downcast_ref::<crate::WasmBacktrace>().unwrap();
    assert_eq!(backtrace.frames().len(), 21);
}

#[test]
fn overflow_is_found_above_the_reserve() {
    for bytes in [1 << 20, 4 << 20] {
        let mut world = World::new(trap_below);
        let limits = StoreLimits::default().with_task_stack_bytes(bytes);
        world.store.set_limits(limits);
        let stack = world.take();
        let room = stack.range().end - stack.limit.get();
        assert!(room < bytes && room + STACK_RESERVE_FOR_HOST as usize + 1024 > bytes);
        let error = world.call(4, 6 << 16 | 1).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("wasm trap: call stack exhausted\n"),
            "{error}"
        );
    }
}

#[test]
fn the_limit_of_stacks_is_named() {
    fn take(world: &World, _: u32, frame: *const GuestFrame) -> Option<u32> {
        loop {
            match world.store.inner().stacks.take(world.data()) {
                Ok(stack) => world.tasks.borrow_mut().push(stack),
                // SAFETY: called by guest code, through a stub that pushed the frame.
                Err(code) => unsafe { leave(frame, code) },
            }
        }
    }
    let mut world = World::new(take);
    world
        .store
        .set_limits(StoreLimits::default().with_task_stacks(3));
    let error = world.call(4, 0).unwrap_err();
    let text = "wasm trap: the limit of stacks of tasks is reached (3 stacks)\n";
    assert!(error.to_string().starts_with(text), "{error}");
    assert_eq!(world.in_use(), 3);
}

#[test]
fn dropping_a_store_gives_suspended_stacks_back() {
    let component = load();
    let mappings = || {
        std::fs::read_to_string("/proc/self/maps")
            .unwrap()
            .lines()
            .count()
    };
    let round = || {
        let world = World::of(&component, suspend_or_resume);
        let result = world.enter(|instance| {
            for _ in 0..40 {
                // SAFETY: a task of this instance.
                let resumed = unsafe { resume(instance, world.task(4, 0), 0) };
                assert_eq!(resumed, Resumed::Suspended(5));
            }
        });
        result.unwrap();
        assert_eq!(world.in_use(), 40);
    };
    round();
    let before = mappings();
    // One stack that is lost in a round is two mappings. What other tests of this process map, and
    // what the process keeps, is fewer.
    const ROUNDS: usize = 1000;
    (0..ROUNDS).for_each(|_| round());
    assert!(mappings() < before + ROUNDS);
}

/// A world that goes from thread to thread.
struct Moving(Box<World>);

// SAFETY: nothing in it is of a thread.
unsafe impl Send for Moving {}

#[test]
fn suspended_stacks_go_on_in_other_threads() {
    let mut world = Moving(World::new(suspend_or_resume));
    let stacks: Vec<Stack> = (0..8).map(|_| world.0.task(4, 0)).collect();
    for round in 0..3 {
        let stacks = stacks.clone();
        let thread = std::thread::spawn(move || {
            let moving = world;
            let result = moving.0.enter(|instance| {
                for (index, stack) in stacks.iter().enumerate() {
                    // SAFETY: tasks of this instance, each suspended once.
                    let resumed = unsafe {
                        match round {
                            0 => resume(instance, *stack, 0),
                            1 if index % 2 == 0 => resume(instance, *stack, 8),
                            2 if index % 2 == 1 => resume(instance, *stack, 9),
                            _ => continue,
                        }
                    };
                    let expected = match round {
                        0 => Resumed::Suspended(5),
                        _ => Resumed::Finished(0),
                    };
                    assert_eq!(resumed, expected);
                }
            });
            result.unwrap();
            moving
        });
        world = thread.join().unwrap();
    }
    assert_eq!(*world.0.log.borrow(), [8, 8, 8, 8, 9, 9, 9, 9]);
    assert_eq!(world.0.in_use(), 0);
}

#[test]
fn a_stack_that_was_moved_can_trap() {
    /// Suspends, and traps when it goes on.
    fn act(world: &World, operand: u32, frame: *const GuestFrame) -> Option<u32> {
        // SAFETY: called by guest code, through a stub that pushed the frame.
        unsafe {
            match operand {
                0 => {
                    suspend_from_guest(world.data(), 0, frame);
                    leave(frame, TrapCode::UnknownHandle);
                    unreachable!()
                }
                _ => {
                    let stack = world.tasks.borrow()[0];
                    resume_from_guest(world.data(), stack, 0, frame);
                    Some(0)
                }
            }
        }
    }
    let world = Moving(World::new(act));
    let task = world.0.task(4, 0);
    world.0.tasks.borrow_mut().push(task);
    assert_eq!(world.0.call(4, 1).unwrap(), 0);
    let thread = std::thread::spawn(move || {
        let moving = world;
        assert_eq!(moving.0.kind(4, 1), (TrapCode::UnknownHandle, 0, 2));
        assert_eq!(moving.0.in_use(), 0);
    });
    thread.join().unwrap();
}

#[test]
fn host_functions_on_pooled_stacks_call_other_instances() {
    fn act(world: &World, operand: u32, frame: *const GuestFrame) -> Option<u32> {
        if operand == 0 {
            let task = world.task(4, 1);
            // SAFETY: called by guest code, through a stub that pushed the frame.
            unsafe { resume_from_guest(world.data(), task, 0, frame) };
            return world.log.borrow_mut().pop();
        }
        let component = world.data().component.clone();
        let outer = world.instance.get();
        // They are called on this stack, with its limit, and traps end there.
        for operation in [0, 1, 2, 3, 6] {
            world.instantiate(&component);
            let error = world.call(operation, u32::MAX).unwrap_err();
            assert!(error.downcast_ref::<Trap>().is_some());
        }
        world.instantiate(&component);
        let sum = world.call(0, 0).unwrap();
        world.instance.set(outer);
        Some(sum + 1)
    }
    let world = World::new(act);
    assert_eq!(world.call(4, 0).unwrap(), 0x1234_5679);
    assert_eq!(world.call(0, 0).unwrap(), 0x1234_5678);
}

#[test]
fn each_stack_has_its_own_cells() {
    unsafe extern "C" fn base(world: u64) -> Ending {
        // SAFETY: the world lives, and nothing else refers to its cells.
        unsafe {
            let world = &*std::ptr::with_exposed_provenance::<World>(world as usize);
            let words = cells(world.data());
            assert_eq!(words.map(|word| word.read()), [0, 0]);
            for round in 0..10 {
                let own = suspend(world.data(), round);
                words[0].write(own);
                words[1].write(round);
                suspend(world.data(), 0);
                assert_eq!(words.map(|word| word.read()), [own, round]);
            }
        }
        Ending::Finished
    }
    fn cells(instance: &InstanceData) -> [NonNull<u64>; 2] {
        let header = instance.header(SlabId(0)).as_ptr();
        // SAFETY: words of the root that nothing uses.
        let words = unsafe { [0, 3].map(|index| &raw mut (*header).reserved[index]) };
        words.map(|word| NonNull::new(word).unwrap())
    }
    let world = World::new(nothing);
    // SAFETY: as above.
    unsafe { world.data().set_cells(&cells(world.data())) };
    let stacks = [(); 5].map(|()| world.take());
    let result = world.enter(|instance| {
        let words = cells(instance);
        // SAFETY: stacks of this instance, which suspend themselves two times ten times.
        unsafe {
            words[0].write(77);
            words[1].write(78);
            for stack in stacks {
                let world = std::ptr::from_ref(&*world).expose_provenance() as u64;
                begin(stack, base, world);
                resume(instance, stack, 0);
            }
            for round in 0..20 {
                for (index, stack) in stacks.iter().enumerate() {
                    resume(instance, *stack, 100 * round + index as u64);
                    assert_eq!(words.map(|word| word.read()), [77, 78]);
                }
            }
        }
    });
    result.unwrap();
    assert_eq!(world.in_use(), 0);
}

/// Operand 0 runs a task that loops in guest code; 1 one that suspends itself all the time.
fn run_for_ever(world: &World, operand: u32, frame: *const GuestFrame) -> Option<u32> {
    let instance = world.data();
    // SAFETY: called by guest code, through a stub that pushed the frame.
    unsafe {
        match operand {
            0 => {
                let task = world.task(8, 0);
                resume_from_guest(instance, task, 0, frame);
            }
            1 => {
                let task = world.task(4, 2);
                world.tasks.borrow_mut().push(task);
                loop {
                    resume_from_guest(instance, task, 0, frame);
                }
            }
            _ => loop {
                suspend_from_guest(instance, 0, frame);
            },
        }
    }
    None
}

#[test]
fn interrupts_end_what_runs_on_pooled_stacks() {
    let component = load();
    for round in 0..30 {
        let world = World::of(&component, run_for_ever);
        let handle = world.store.interrupt_handle().unwrap();
        let thread = std::thread::spawn(move || {
            let began = Instant::now();
            std::thread::sleep(Duration::from_micros(200 * round));
            while !handle.interrupt() {
                assert!(began.elapsed() < Duration::from_secs(30));
                std::thread::yield_now();
            }
        });
        let operand = (round % 2) as u32;
        let (kind, _, frames) = world.kind(4, operand);
        thread.join().unwrap();
        assert_eq!(kind, TrapCode::Interrupt);
        assert!(frames == 2 || operand == 1 && frames == 1, "{frames}");
        assert!(world.in_use() <= operand);
    }
}
