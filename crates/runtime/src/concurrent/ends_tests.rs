//! The state machine of streams and futures, on buffers that are lists of numbers.

use super::*;
use crate::concurrent::records::{End, Pool};
use std::cell::RefCell;
use trampette_artifact::ids::{ComponentInstanceId, CopyId, TypeId};
use trampette_artifact::trap::TrapCode;

/// Memory in which each buffer's address is an index.
struct Fake {
    pool: Pool,
    memory: RefCell<Vec<u8>>,
}

impl Fake {
    fn new() -> Fake {
        Fake {
            pool: Pool::new().unwrap(),
            memory: RefCell::new((0..32).collect()),
        }
    }

    fn pair(&self, of: EndType, owners: [u32; 2]) -> (EndId, EndId) {
        let [reader, writer] =
            [(EndKind::Reader, owners[0]), (EndKind::Writer, owners[1])].map(|(side, owner)| {
                let end = End::new(side, of, TypeId(0), ComponentInstanceId(owner));
                self.pool.add_end(end).unwrap()
            });
        self.pool[reader].other.set(Some(writer));
        self.pool[writer].other.set(Some(reader));
        (reader, writer)
    }

    /// Reads or writes at an address.
    fn copy(&self, id: EndId, address: u64, length: u32) -> Result<Option<u32>, Fault> {
        let buffer = Buffer {
            copy: CopyId(0),
            address,
            length,
            progress: 0,
        };
        copy(self, id, buffer)?;
        Ok(self.event(id))
    }

    /// The result of an end that has an event.
    fn event(&self, id: EndId) -> Option<u32> {
        let pending = self.pool[id].waitable.pending.replace(false);
        pending.then(|| take_result(self, id))
    }

    fn memory(&self, from: usize, count: usize) -> Vec<u8> {
        self.memory.borrow()[from..from + count].to_vec()
    }
}

impl Transfer for &Fake {
    fn within_instance(&self, _: EndId) -> Result<(), Fault> {
        Err(TrapCode::EndsOfOneInstance.into())
    }

    fn copy(&self, from: &mut Buffer, to: &mut Buffer, count: u32) -> Result<(), Fault> {
        let (source, target) = (from.address as usize, to.address as usize);
        self.memory
            .borrow_mut()
            .copy_within(source..source + count as usize, target);
        for buffer in [from, to] {
            buffer.address += u64::from(count);
            buffer.progress += count;
        }
        Ok(())
    }
}

impl Ends for &Fake {
    fn end_record(&self, id: EndId) -> &End {
        &self.pool[id]
    }

    fn notify_end(&self, id: EndId) {
        self.pool[id].waitable.pending.set(true);
    }

    fn forget_end(&self, id: EndId) {
        self.pool.free_end(id);
    }
}

const COMPLETED: u32 = 0;
const DROPPED: u32 = 1;
const CANCELLED: u32 = 2;

fn stream(result: u32, progress: u32) -> Option<u32> {
    Some(result | progress << 4)
}

#[test]
fn whoever_comes_second_copies() {
    let fake = Fake::new();
    let (reader, writer) = fake.pair(EndType::Stream, [0, 1]);
    assert_eq!(fake.copy(writer, 0, 4), Ok(None));
    assert_eq!(fake.copy(reader, 20, 3), Ok(stream(COMPLETED, 3)));
    assert_eq!(fake.memory(20, 4), [0, 1, 2, 23]);
    // What is left of the writer's buffer can be read until its event is taken.
    assert_eq!(fake.copy(reader, 24, 3), Ok(stream(COMPLETED, 1)));
    assert_eq!(fake.memory(24, 2), [3, 25]);
    assert_eq!(fake.copy(reader, 28, 2), Ok(None));
    assert_eq!(fake.event(writer), stream(COMPLETED, 4));
    assert_eq!(fake.copy(writer, 8, 1), Ok(stream(COMPLETED, 1)));
    // The reader was told, and still has room.
    assert_eq!(fake.copy(writer, 9, 4), Ok(stream(COMPLETED, 1)));
    assert_eq!(fake.event(reader), stream(COMPLETED, 2));
    assert_eq!(fake.memory(28, 2), [8, 9]);
}

#[test]
fn taking_the_event_ends_a_buffer() {
    let fake = Fake::new();
    let (reader, writer) = fake.pair(EndType::Stream, [0, 1]);
    assert_eq!(fake.copy(writer, 0, 4), Ok(None));
    assert_eq!(fake.copy(reader, 20, 1), Ok(stream(COMPLETED, 1)));
    assert_eq!(fake.event(writer), stream(COMPLETED, 1));
    assert_eq!(fake.copy(reader, 20, 1), Ok(None));
}

#[test]
fn lengths_of_zero_tell_that_the_other_end_is_there() {
    let fake = Fake::new();
    let (reader, writer) = fake.pair(EndType::Stream, [0, 1]);
    // A write of nothing waits for a reader, and is over when there is one.
    assert_eq!(fake.copy(writer, 0, 0), Ok(None));
    assert_eq!(fake.copy(reader, 20, 2), Ok(None));
    assert_eq!(fake.event(writer), stream(COMPLETED, 0));
    // A reader waits: a write of nothing is over at once, and the reader goes on waiting.
    assert_eq!(fake.copy(writer, 0, 0), Ok(stream(COMPLETED, 0)));
    assert_eq!(fake.event(reader), None);
    assert_eq!(fake.copy(writer, 0, 2), Ok(stream(COMPLETED, 2)));
    assert_eq!(fake.event(reader), stream(COMPLETED, 2));
    // Both nothing: the writer is told, the reader waits.
    assert_eq!(fake.copy(writer, 0, 0), Ok(None));
    assert_eq!(fake.copy(reader, 20, 0), Ok(None));
    assert_eq!(fake.event(writer), stream(COMPLETED, 0));
    assert_eq!(fake.copy(writer, 0, 0), Ok(stream(COMPLETED, 0)));
    assert_eq!(fake.copy(writer, 0, 1), Ok(None));
    assert_eq!(fake.event(reader), stream(COMPLETED, 0));
}

#[test]
fn a_dropped_end_is_told_to_the_other() {
    let fake = Fake::new();
    let (reader, writer) = fake.pair(EndType::Stream, [0, 1]);
    assert_eq!(fake.copy(reader, 20, 2), Ok(None));
    drop_end(&fake, writer);
    assert_eq!(fake.event(reader), stream(DROPPED, 0));
    assert_eq!(fake.pool[reader].state.get(), EndState::Done);
    // An idle end is told as well, and a copy after that ends at once.
    let (reader, writer) = fake.pair(EndType::Stream, [0, 1]);
    drop_end(&fake, reader);
    assert!(fake.pool[writer].waitable.pending.get());
    assert_eq!(fake.copy(writer, 0, 2), Ok(stream(DROPPED, 0)));
    // Progress is not lost.
    let (reader, writer) = fake.pair(EndType::Stream, [0, 1]);
    assert_eq!(fake.copy(writer, 0, 4), Ok(None));
    assert_eq!(fake.copy(reader, 20, 3), Ok(stream(COMPLETED, 3)));
    drop_end(&fake, reader);
    assert_eq!(fake.event(writer), stream(DROPPED, 3));
}

#[test]
fn cancelling_says_how_far_it_got() {
    let fake = Fake::new();
    let (reader, writer) = fake.pair(EndType::Stream, [0, 1]);
    assert_eq!(fake.copy(writer, 0, 4), Ok(None));
    cancel(&fake, writer);
    assert_eq!(fake.event(writer), stream(CANCELLED, 0));
    assert_eq!(fake.pool[writer].state.get(), EndState::Idle);
    assert_eq!(fake.copy(writer, 0, 4), Ok(None));
    assert_eq!(fake.copy(reader, 20, 3), Ok(stream(COMPLETED, 3)));
    cancel(&fake, writer);
    assert_eq!(fake.event(writer), stream(CANCELLED, 3));
    // A future's value that was there wins.
    let (reader, writer) = fake.pair(EndType::Future, [0, 1]);
    assert_eq!(fake.copy(reader, 20, 1), Ok(None));
    assert_eq!(fake.copy(writer, 5, 1), Ok(Some(COMPLETED)));
    cancel(&fake, reader);
    assert_eq!(fake.event(reader), Some(COMPLETED));
    assert_eq!(fake.pool[reader].state.get(), EndState::Done);
    drop_end(&fake, reader);
    // Who is done is not told.
    assert_eq!(fake.event(writer), None);
}

#[test]
fn only_other_instances_copy_all_types() {
    let fake = Fake::new();
    let (reader, writer) = fake.pair(EndType::Stream, [1, 1]);
    assert_eq!(fake.copy(writer, 0, 0), Ok(None));
    assert_eq!(fake.copy(reader, 0, 1), Ok(None));
    let refused = Err(TrapCode::EndsOfOneInstance.into());
    assert_eq!(fake.event(writer), stream(COMPLETED, 0));
    assert_eq!(fake.copy(writer, 0, 1), refused);
}

#[test]
fn forwarding_connects_the_outer_ends() {
    let fake = Fake::new();
    let (reader, inner) = fake.pair(EndType::Stream, [0, 1]);
    let (outer, writer) = fake.pair(EndType::Stream, [1, 2]);
    assert_eq!(fake.copy(reader, 20, 3), Ok(None));
    assert_eq!(fake.copy(writer, 0, 4), Ok(None));
    forward(&fake, outer, inner).unwrap();
    assert_eq!(fake.event(reader), stream(COMPLETED, 3));
    assert_eq!(fake.memory(20, 3), [0, 1, 2]);
    assert_eq!(fake.copy(reader, 24, 3), Ok(stream(COMPLETED, 1)));
    assert_eq!(fake.event(writer), stream(COMPLETED, 4));
    // To itself, both ends go.
    let (reader, writer) = fake.pair(EndType::Stream, [0, 0]);
    forward(&fake, reader, writer).unwrap();
    // From a stream that has ended.
    let (reader, inner) = fake.pair(EndType::Stream, [0, 1]);
    let (outer, writer) = fake.pair(EndType::Stream, [1, 2]);
    drop_end(&fake, writer);
    forward(&fake, outer, inner).unwrap();
    assert_eq!(fake.copy(reader, 20, 3), Ok(stream(DROPPED, 0)));
}
