//! Leaving guest code: the record of a trap, and the raise stub.
//!
//! A native-call entry stores its stack pointer in the root and makes one `try_call`. A trap
//! resumes at that call's handler: the return address just below the stored stack pointer names the
//! entry in `.trampette.entries`, which gives the handler and the frame pointer. Explicit traps get
//! here by a call of [`raise`]; faults by the signal handler ([`crate::machine::signals`]).

use crate::load::component::Component;
use crate::machine::activation::Activation;
use std::cell::{Cell, UnsafeCell};
use std::io::Write;
use trampette_artifact::ids::SlabId;
use trampette_artifact::layout::RootHeader;
use trampette_artifact::trap::TrapCode;

/// Frames that a backtrace keeps, innermost first.
pub(crate) const MAX_FRAMES: usize = 128;

/// Where a trap resumes.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Resume {
    pub sp: usize,
    pub fp: usize,
    pub pc: usize,
}

/// The direction flag.
const EFLAGS_DF: i64 = 1 << 10;

/// Makes a signal that came in guest code return into the handler of the innermost entry, with a
/// trap of that code; false, and the registers are left as they are, if its entry record is not one
/// of ours.
///
/// # Safety
/// The signal interrupted guest code of `activation`, the innermost one of this thread; the
/// registers are those that the kernel restores.
pub(crate) unsafe fn leave_by_signal(
    activation: &Activation,
    registers: &mut [libc::greg_t],
    code: u32,
) -> bool {
    let origin = TrapOrigin {
        pc: registers[libc::REG_RIP as usize] as usize,
        exact: true,
        sp: registers[libc::REG_RSP as usize] as usize,
        fp: registers[libc::REG_RBP as usize] as usize,
    };
    // SAFETY: guest code of the innermost activation was running.
    let resume = unsafe { activation.store().trap.record(activation, code, 0, origin) };
    resume.inspect(|resume| resume.apply(registers)).is_some()
}

impl Resume {
    /// Makes a signal return there.
    fn apply(&self, registers: &mut [libc::greg_t]) {
        registers[libc::REG_RSP as usize] = self.sp as i64;
        registers[libc::REG_RBP as usize] = self.fp as i64;
        registers[libc::REG_RIP as usize] = self.pc as i64;
        registers[libc::REG_RAX as usize] = 0;
        registers[libc::REG_RDX as usize] = 0;
        registers[libc::REG_EFL as usize] &= !EFLAGS_DF;
    }
}

/// What a trap leaves behind for the call that returns it. Written by the raise stub and the signal
/// handler, so it allocates nothing.
pub(crate) struct TrapRecord {
    code: Cell<u32>,
    payload: Cell<u64>,
    /// Number of valid frames.
    count: Cell<usize>,
    /// Whether the first frame is the faulting instruction rather than a return address.
    exact: Cell<bool>,
    frames: [Cell<usize>; MAX_FRAMES],
    resume: UnsafeCell<Resume>,
}

impl Default for TrapRecord {
    fn default() -> Self {
        TrapRecord {
            code: Cell::new(0),
            payload: Cell::new(0),
            count: Cell::new(0),
            exact: Cell::new(false),
            frames: [const { Cell::new(0) }; MAX_FRAMES],
            resume: UnsafeCell::default(),
        }
    }
}

/// Where a trap happened.
#[derive(Clone, Copy)]
pub(crate) struct TrapOrigin {
    /// The faulting instruction, or the return address of the call that raised.
    pub pc: usize,
    /// Whether `pc` is the faulting instruction.
    pub exact: bool,
    /// The stack pointer: no live frame is below it.
    pub sp: usize,
    /// The frame pointer.
    pub fp: usize,
}

impl TrapRecord {
    /// Records a trap in the innermost activation and finds where it resumes; `None` if its entry
    /// record is not one of ours. Safe to call in a signal handler.
    ///
    /// # Safety
    /// Guest code of `activation` is running on this thread, or called the runtime directly.
    pub(crate) unsafe fn record(
        &self,
        activation: &Activation,
        code: u32,
        payload: u64,
        origin: TrapOrigin,
    ) -> Option<Resume> {
        // SAFETY: as promised.
        let resume = unsafe { innermost_entry(activation) }?;
        // Who tests the flag cannot know why it was set.
        let is_stop = code == u32::from(TrapCode::Interrupt.number());
        let reason = is_stop.then(|| activation.stop_code()).flatten();
        let code = reason.map_or(code, |reason| reason.number().into());
        self.begin(code, payload);
        self.exact.set(origin.exact);
        // SAFETY: as promised for the origin.
        unsafe { self.walk(origin, resume.sp, resume.fp) };
        Some(resume)
    }

    /// Records a trap that the runtime finds where no guest code runs: there are no frames yet.
    pub(crate) fn record_here(&self, code: TrapCode, payload: u64) {
        self.begin(code.number().into(), payload);
    }

    /// Begins a record, whose first frame is a return address if nobody says otherwise.
    fn begin(&self, code: u32, payload: u64) {
        self.code.set(code);
        self.payload.set(payload);
        self.exact.set(false);
        self.count.set(0);
    }

    /// The trap that is recorded goes on in the innermost activation, on the stack that has resumed
    /// the one where it was: adds the frames there, and finds where it resumes; `None` if that is
    /// no entry of ours. Names of tasks that wait for each other without a frame belong between the
    /// two.
    ///
    /// # Safety
    /// As [`TrapRecord::record`]; and a trap is recorded that nobody has taken.
    unsafe fn record_again(&self, activation: &Activation, origin: TrapOrigin) -> Option<Resume> {
        // SAFETY: as promised.
        unsafe {
            let resume = innermost_entry(activation)?;
            self.walk(origin, resume.sp, resume.fp);
            Some(resume)
        }
    }

    /// Follows frame pointers from the origin to the entry's frame, and adds what it finds to the
    /// frames.
    unsafe fn walk(&self, origin: TrapOrigin, entry_sp: usize, entry_fp: usize) {
        let mut count = self.count.get();
        let mut push = |pc: usize| {
            if let Some(frame) = self.frames.get(count) {
                frame.set(pc);
                count += 1;
            }
            count < MAX_FRAMES
        };
        let mut fp = origin.fp;
        let mut more = push(origin.pc);
        // Frames of the guest lie between the stack pointer and the entry's; each is above the one
        // it called.
        while more
            && fp != entry_fp
            && fp.is_multiple_of(8)
            && fp >= origin.sp
            && fp.saturating_add(16) <= entry_sp
        {
            // SAFETY: between the origin's frame and the entry's, on this thread's stack.
            let (next, return_address) = unsafe {
                (
                    (fp as *const usize).read(),
                    (fp as *const usize).add(1).read(),
                )
            };
            more = push(return_address);
            if next <= fp {
                break;
            }
            fp = next;
        }
        self.count.set(count);
    }

    /// Takes the recorded trap: code, payload, and the frames as offsets in the component's code,
    /// each with whether it is exact.
    pub(crate) fn take(&self, component: &Component) -> (TrapCode, u64, Vec<(u32, bool)>) {
        let code = self.code.replace(0);
        let code = u8::try_from(code).ok().and_then(TrapCode::from_number);
        let frames = self.frames[..self.count.replace(0)].iter().enumerate();
        let frames = frames.filter_map(|(index, pc)| {
            let exact = index == 0 && self.exact.get();
            Some((component.text_offset(pc.get())?, exact))
        });
        (
            code.unwrap_or(TrapCode::Unreachable),
            self.payload.get(),
            frames.collect(),
        )
    }
}

/// Where a trap in the innermost activation resumes: at the innermost entry of the stack that runs.
/// `None` if what the root names is no entry of ours. Safe in a signal handler.
///
/// # Safety
/// As [`TrapRecord::record`].
unsafe fn innermost_entry(activation: &Activation) -> Option<Resume> {
    let instance = activation.instance();
    let root = instance.slabs().root(SlabId(0)).cast::<RootHeader>();
    // SAFETY: the root is mapped while the instance lives.
    let sp = unsafe { (&raw const (*root.as_ptr()).entry_sp).read() } as usize;
    if sp == 0 || !sp.is_multiple_of(8) {
        return None;
    }
    // SAFETY: the entry's frame is live, and its call's return address is below its stack pointer.
    let return_address = unsafe { ((sp - 8) as *const usize).read() };
    let component = &instance.component;
    let entry = component.entry_at(return_address)?;
    Some(Resume {
        sp,
        fp: sp + entry.frame_offset as usize,
        pc: component.text_range().start + entry.handler as usize,
    })
}

/// The `raise` builtin: `(root, code, payload)`, never returns to its caller.
///
/// It is not a function in Rust's sense: it leaves the frames between the entry and itself, all of
/// which are guest code, without unwinding.
#[unsafe(naked)]
pub(crate) extern "C" fn raise(root: *mut RootHeader, code: u32, payload: u64) -> ! {
    std::arch::naked_asm!(
        "mov rcx, rbp",
        "mov r8, [rsp]",
        "lea r9, [rsp + 8]",
        "sub rsp, 8",
        "call {record}",
        "mov rsp, [rax]",
        "mov rbp, [rax + 8]",
        "mov rcx, [rax + 16]",
        "xor eax, eax",
        "xor edx, edx",
        "cld",
        "jmp rcx",
        record = sym record_raise,
    )
}

/// A frame record: what [`crate::machine::steps`] pushes on top of guest code.
#[repr(C)]
pub(crate) struct GuestFrame {
    fp: usize,
    return_address: usize,
}

impl GuestFrame {
    /// Where guest code called.
    fn origin(&self) -> TrapOrigin {
        TrapOrigin {
            pc: self.return_address,
            exact: false,
            sp: std::ptr::from_ref(self).addr(),
            fp: self.fp,
        }
    }
}

/// Leaves guest code by a trap, from a service that compiled code has called. Returns if its entry
/// cannot be found: the signal of an interrupt is sent again.
///
/// # Safety
/// Guest code called the service, which pushed the frame. No frame between has anything to drop.
pub(crate) unsafe fn leave(frame: *const GuestFrame, code: TrapCode) {
    // SAFETY: promised.
    unsafe { leave_with(frame, code, 0) }
}

/// As [`leave`], with what the code's text has a place for.
///
/// # Safety
/// As [`leave`].
pub(crate) unsafe fn leave_with(frame: *const GuestFrame, code: TrapCode, payload: u64) {
    // SAFETY: activations of this thread are live, and so is the frame.
    let Some((activation, frame)) = (unsafe { Activation::current().as_ref().zip(frame.as_ref()) })
    else {
        return;
    };
    let record = &activation.store().trap;
    let code = u32::from(code.number());
    // SAFETY: guest code of the innermost activation called.
    if let Some(resume) = unsafe { record.record(activation, code, payload, frame.origin()) } {
        // SAFETY: that is where it resumes; the caller promises the rest.
        unsafe { resume_at(&resume) }
    }
}

/// Leaves guest code by the trap that is recorded, which has ended a stack that the service had
/// resumed: with its code, payload and frames, to which those of this stack are added.
///
/// # Safety
/// As [`leave`]; and such a trap is recorded.
pub(crate) unsafe fn raise_again(frame: *const GuestFrame) -> ! {
    // SAFETY: activations of this thread are live, and so is the frame.
    let found = unsafe { Activation::current().as_ref().zip(frame.as_ref()) };
    if let Some((activation, frame)) = found {
        let record = &activation.store().trap;
        // SAFETY: guest code of the innermost activation called, which promises the rest.
        unsafe {
            if let Some(resume) = record.record_again(activation, frame.origin()) {
                resume_at(&resume)
            }
        }
    }
    lost("a trap has no entry to go on in")
}

/// Ends the process: guest code is to be left, and nobody waits for that.
fn lost(why: &str) -> ! {
    let message = format!("trampette: {why}\n");
    // The process ends whether anybody hears why or not.
    let _ = std::io::stderr().write_all(message.as_bytes());
    std::process::abort()
}

/// Goes on elsewhere, without unwinding.
#[unsafe(naked)]
unsafe extern "C" fn resume_at(resume: *const Resume) -> ! {
    std::arch::naked_asm!(
        "mov rsp, [rdi]",
        "mov rbp, [rdi + 8]",
        "mov rcx, [rdi + 16]",
        "xor eax, eax",
        "xor edx, edx",
        "cld",
        "jmp rcx",
    )
}

/// The Rust part of [`raise`]: records the trap and says where to go on.
extern "C" fn record_raise(
    _root: *mut RootHeader,
    code: u32,
    payload: u64,
    fp: usize,
    return_address: usize,
    sp: usize,
) -> *const Resume {
    let activation = Activation::current();
    // SAFETY: only guest code calls `raise`, and it runs inside an activation.
    let resume = unsafe { activation.as_ref() }.and_then(|activation| {
        let record = &activation.store().trap;
        let origin = TrapOrigin {
            pc: return_address,
            exact: false,
            sp,
            fp,
        };
        // SAFETY: called from guest code of the innermost activation.
        let resume = unsafe { record.record(activation, code, payload, origin) }?;
        // SAFETY: nothing else refers to the cell.
        unsafe { record.resume.get().write(resume) };
        Some(record.resume.get().cast_const())
    });
    match resume {
        Some(resume) => resume,
        None => lost(&format!(
            "guest code raised trap {code} outside of an entry"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The walk reads nothing but the stack between the stack pointer and the entry's, whatever the
    /// frame pointer is.
    #[test]
    fn frame_pointers_outside_of_the_stack_end_the_walk() {
        // Frame pointer and return address of each frame, by the index of its first word.
        let stack = [const { Cell::new(0usize) }; 32];
        let base = stack.as_ptr().expose_provenance();
        let at = |index: usize| base + 8 * index;
        for (index, next, return_address) in [(10, 14, 111), (14, 20, 222)] {
            stack[index].set(at(next));
            stack[index + 1].set(return_address);
        }
        let entry = (at(28), at(20));
        let walk = |sp: usize, fp: usize| {
            let record = TrapRecord::default();
            let origin = TrapOrigin {
                pc: 7,
                exact: true,
                sp,
                fp,
            };
            // SAFETY: the frames are in the array.
            unsafe { record.walk(origin, entry.0, entry.1) };
            let frames = record.frames[..record.count.get()].iter();
            frames.map(Cell::get).collect::<Vec<_>>()
        };
        assert_eq!(walk(at(8), at(10)), [7, 111, 222]);
        for fp in [0, 8, at(10) + 1, at(4), at(28), usize::MAX & !7] {
            assert_eq!(walk(at(8), fp), [7], "{fp:#x}");
        }
        // A frame that names one below itself.
        stack[14].set(at(10));
        assert_eq!(walk(at(8), at(10)), [7, 111, 222]);
    }
}
