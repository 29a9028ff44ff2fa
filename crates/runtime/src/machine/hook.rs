//! [`Hook`]: a signal that the runtime handles, and whoever handled it before.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};

/// What the kernel calls.
pub(crate) type Handler =
    unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// A signal whose handler the runtime installs, once, and never removes.
pub(crate) struct Hook {
    signal: libc::c_int,
    /// What was there before; initialised when `ready` is set.
    previous: UnsafeCell<MaybeUninit<libc::sigaction>>,
    ready: AtomicBool,
}

// SAFETY: `previous` is written once, before `ready` is set, and only read after that.
unsafe impl Sync for Hook {}

impl Hook {
    /// A hook that is not installed.
    pub(crate) const fn new(signal: libc::c_int) -> Hook {
        Hook {
            signal,
            previous: UnsafeCell::new(MaybeUninit::uninit()),
            ready: AtomicBool::new(false),
        }
    }

    /// The signal.
    pub(crate) fn signal(&self) -> libc::c_int {
        self.signal
    }

    /// Installs a handler, which runs on the alternate stack, with more flags of `sigaction`.
    ///
    /// # Safety
    /// The handler keeps to what is safe in one. Nothing else installs this hook.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) unsafe fn install(
        &self,
        handler: Handler,
        flags: libc::c_int,
    ) -> Result<(), String> {
        let os_error = || std::io::Error::last_os_error().to_string();
        // SAFETY: `sigaction` is plain data; the cell is written by this one initialisation only.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | flags;
            libc::sigemptyset(&mut action.sa_mask);
            // Read first: the handler may run as soon as it is installed.
            if libc::sigaction(self.signal, null(), self.previous.get().cast()) != 0 {
                return Err(os_error());
            }
            self.ready.store(true, Ordering::Release);
            if libc::sigaction(self.signal, &action, null_mut()) != 0 {
                return Err(os_error());
            }
        }
        Ok(())
    }

    /// Hands a signal to the handler that was there before; false if there was none. Safe in a
    /// signal handler.
    ///
    /// # Safety
    /// The arguments are those that the kernel gave with this signal.
    pub(crate) unsafe fn chain(
        &self,
        info: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) -> bool {
        if !self.ready.load(Ordering::Acquire) {
            return false;
        }
        // SAFETY: initialised, as was just seen.
        let previous = unsafe { (*self.previous.get()).assume_init_ref() };
        match previous.sa_sigaction {
            libc::SIG_DFL | libc::SIG_IGN => false,
            function => {
                // SAFETY: it was installed with these flags; the arguments are the signal's.
                unsafe { call_handler(function, previous.sa_flags, self.signal, info, context) };
                true
            }
        }
    }
}

/// Calls a handler that was installed with `flags`.
///
/// # Safety
/// It is one, and the arguments are those of the signal.
unsafe fn call_handler(
    function: libc::sighandler_t,
    flags: libc::c_int,
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the flag says which of the two types the function has.
    unsafe {
        if flags & libc::SA_SIGINFO != 0 {
            let function: unsafe extern "C" fn(
                libc::c_int,
                *mut libc::siginfo_t,
                *mut libc::c_void,
            ) = std::mem::transmute(function);
            function(signal, info, context);
        } else {
            let function: unsafe extern "C" fn(libc::c_int) = std::mem::transmute(function);
            function(signal);
        }
    }
}
