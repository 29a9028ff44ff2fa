//! Queues of records: lists whose links are in the records themselves, so that they take no memory
//! of their own and anything can be taken out of the middle.

use std::cell::Cell;

/// The links of a record in one queue.
pub(crate) struct Links<I> {
    next: Cell<Option<I>>,
    previous: Cell<Option<I>>,
}

impl<I> Default for Links<I> {
    fn default() -> Self {
        Links {
            next: Cell::new(None),
            previous: Cell::new(None),
        }
    }
}

/// A queue. Every method takes a function that finds a record's links; it must be the same for all
/// uses of the queue.
pub(crate) struct Queue<I> {
    first: Cell<Option<I>>,
    last: Cell<Option<I>>,
}

impl<I> Default for Queue<I> {
    fn default() -> Self {
        Queue {
            first: Cell::new(None),
            last: Cell::new(None),
        }
    }
}

impl<I: Copy> Queue<I> {
    /// The first, if any.
    pub(crate) fn first(&self) -> Option<I> {
        self.first.get()
    }

    /// Adds one at the end, which is in no queue with these links.
    pub(crate) fn push_back<'p>(&self, id: I, links: impl Fn(I) -> &'p Links<I>)
    where
        I: 'p,
    {
        let last = self.last.replace(Some(id));
        links(id).previous.set(last);
        links(id).next.set(None);
        match last {
            Some(last) => links(last).next.set(Some(id)),
            None => self.first.set(Some(id)),
        }
    }

    /// Adds one at the start, which is in no queue with these links.
    pub(crate) fn push_front<'p>(&self, id: I, links: impl Fn(I) -> &'p Links<I>)
    where
        I: 'p,
    {
        let first = self.first.replace(Some(id));
        links(id).next.set(first);
        links(id).previous.set(None);
        match first {
            Some(first) => links(first).previous.set(Some(id)),
            None => self.last.set(Some(id)),
        }
    }

    /// Takes one out, which is in this queue.
    pub(crate) fn remove<'p>(&self, id: I, links: impl Fn(I) -> &'p Links<I>)
    where
        I: 'p,
    {
        let previous = links(id).previous.take();
        let next = links(id).next.take();
        match previous {
            Some(previous) => links(previous).next.set(next),
            None => self.first.set(next),
        }
        match next {
            Some(next) => links(next).previous.set(previous),
            None => self.last.set(previous),
        }
    }

    /// All in order. The one that was given last may be taken out, but then nothing comes after it.
    pub(crate) fn iter<'p>(&self, links: impl Fn(I) -> &'p Links<I>) -> impl Iterator<Item = I>
    where
        I: 'p,
    {
        std::iter::successors(self.first.get(), move |id| links(*id).next.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_can_be_taken_out() {
        let all: Vec<Links<usize>> = (0..5).map(|_| Links::default()).collect();
        let links = |id: usize| &all[id];
        let queue = Queue::default();
        let contents = || queue.iter(links).collect::<Vec<_>>();
        for id in 0..4 {
            queue.push_back(id, links);
        }
        queue.push_front(4, links);
        assert_eq!(contents(), [4, 0, 1, 2, 3]);
        for (id, rest) in [
            (1, &[4, 0, 2, 3][..]),
            (4, &[0, 2, 3]),
            (3, &[0, 2]),
            (0, &[2]),
            (2, &[]),
        ] {
            queue.remove(id, links);
            assert_eq!(contents(), rest);
        }
        assert_eq!(queue.first(), None);
        queue.push_front(1, links);
        queue.push_back(0, links);
        assert_eq!(contents(), [1, 0]);
    }
}
