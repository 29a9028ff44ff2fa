//! How elements of streams and futures move from the buffer of a write to that of a read.
//!
//! Numbers, and what consists of them, are moved as bytes. All others are carried by code that was
//! compiled for the two built-ins.

use crate::concurrent::ends::Transfer;
use crate::concurrent::records::{Buffer, EndId};
use crate::concurrent::state::{Fault, Tasks};
use crate::machine::entry_code::CopyEntry as CopyCode;
use crate::machine::interrupt::is_interrupted;
use trampette_artifact::ids::CopyPairId;
use trampette_artifact::key::{Abi, FuncKey};
use trampette_artifact::tasks::{CopyEntry, CopyPair, ElementLayout};
use trampette_artifact::trap::TrapCode;
use trampette_artifact::types::Type;

/// As many bytes are moved between two looks for an interrupt.
const STEP: u64 = 64 << 10;

impl Transfer for Tasks<'_> {
    fn within_instance(&self, reader: EndId) -> Result<(), Fault> {
        let (_, payload) = self.payload(self.pool()[reader].ty.get())?;
        let is_number = |ty: Type| {
            let others = matches!(
                ty,
                Type::Bool | Type::Char | Type::String | Type::ErrorContext | Type::Defined(_)
            );
            !others
        };
        match payload.is_none_or(is_number) {
            true => Ok(()),
            false => Err(TrapCode::EndsOfOneInstance.into()),
        }
    }

    fn copy(&self, from: &mut Buffer, to: &mut Buffer, count: u32) -> Result<(), Fault> {
        let copies = &self.plan().copies;
        let layouts = (copies[from.copy].element, copies[to.copy].element);
        if let (Some(of_from), Some(of_to)) = layouts {
            self.move_elements(*from, of_from, *to, count)?;
            from.address += of_from.size * u64::from(count);
            to.address += of_to.size * u64::from(count);
        }
        from.progress += count;
        to.progress += count;
        Ok(())
    }
}

impl Tasks<'_> {
    /// Tests the buffer of a read or write.
    pub(crate) fn check_buffer(
        self,
        entry: &CopyEntry,
        address: u64,
        elements: u64,
    ) -> Result<(), Fault> {
        let (Some(layout), Some(memory)) = (entry.element, entry.memory) else {
            return Ok(());
        };
        if elements == 0 {
            return Ok(());
        }
        // Both factors have less than 29 bits.
        let bytes = layout.size * elements;
        self.place(memory, address, bytes, layout.align).map(|_| ())
    }

    /// The address of an element in its memory.
    pub(crate) fn element(self, buffer: Buffer) -> *mut u8 {
        let memory = self.plan().copies[buffer.copy].memory;
        let base = memory.map(|id| self.instance.memory_base(id).as_ptr());
        base.unwrap_or_default()
            .wrapping_add(buffer.address as usize)
    }

    fn move_elements(
        self,
        from: Buffer,
        layout: ElementLayout,
        to: Buffer,
        count: u32,
    ) -> Result<(), Fault> {
        let (source, target) = (self.element(from), self.element(to));
        if layout.is_bitwise {
            return self.move_bytes(source, target, layout.size * u64::from(count));
        }
        let pair = CopyPair {
            write: Some(from.copy),
            read: Some(to.copy),
        };
        let pair = self.plan().pairs.as_slice().binary_search(&pair);
        let pair = pair.map_err(|_| TrapCode::RecordsFull)?;
        let key = FuncKey::ElementCopy(Abi::Native, CopyPairId::new(pair));
        let code = self.instance.component.function_address(key);
        let code = code.and_then(CopyCode::at);
        let code = code.ok_or(TrapCode::RecordsFull)?;
        let context = self.instance.context();
        let [source, target] = [source, target].map(|at| at.expose_provenance() as u64);
        // SAFETY: the code of these two built-ins; both buffers were tested and have so many
        // elements left.
        let status = unsafe { code.call(context, source, target, count.into()) };
        match status {
            0 => Ok(()),
            _ => Err(Fault::Again),
        }
    }

    fn move_bytes(self, source: *mut u8, target: *mut u8, bytes: u64) -> Result<(), Fault> {
        let distance = target.addr().abs_diff(source.addr()) as u64;
        let step = match distance < bytes {
            // In one step what is yet to be read is not overwritten.
            true => bytes,
            false => STEP,
        };
        let mut at = 0;
        while at < bytes {
            if is_interrupted(self.instance) {
                return Err(TrapCode::Interrupt.into());
            }
            let part = step.min(bytes - at) as usize;
            // SAFETY: both buffers were tested when they were given, and memories do not shrink.
            unsafe {
                target
                    .add(at as usize)
                    .copy_from(source.add(at as usize), part)
            };
            at += part as u64;
        }
        Ok(())
    }
}
