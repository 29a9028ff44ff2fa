//! How fast bytes move between the host and a guest, in parts of 64 KiB, beside plain copies of the
//! same bytes. `cargo run --release --example streams`.
//!
//! The host writes into the buffer of a guest that reads, and reads from the buffer of one that
//! writes: each part is copied once. The guest is `examples/streams.wat`.

use anyhow::{Result, ensure};
use std::hint::black_box;
use std::task::{Context, Poll};
use std::time::Instant;
use trampette::{CompileOptions, compile_component};
use trampette_runtime::{
    Items, Linker, Progress, Store, StreamConsumer, StreamProducer, StreamReader, Window,
};

const PART: usize = 64 << 10;
const BYTES: u64 = 4 << 30;

/// Writes the same part again and again.
struct Source {
    part: Vec<u8>,
    left: u64,
}

impl StreamProducer for Source {
    type Item = u8;

    fn poll_produce(
        &mut self,
        _: &mut Context<'_>,
        window: &mut Window<'_, u8>,
    ) -> Poll<Result<Progress>> {
        let part = self.part.len().min(self.left as usize);
        self.left -= window.put_slice(&self.part[..part]) as u64;
        Poll::Ready(Ok(match self.left {
            0 => Progress::Over,
            _ => Progress::Open,
        }))
    }
}

/// Copies what it reads to the same place again and again.
struct Sink {
    part: Vec<u8>,
}

impl StreamConsumer for Sink {
    type Item = u8;

    fn poll_consume(
        &mut self,
        _: &mut Context<'_>,
        items: &mut Items<'_, u8>,
    ) -> Poll<Result<Progress>> {
        let bytes = items.as_slice().unwrap_or_default();
        let count = bytes.len().min(self.part.len());
        self.part[..count].copy_from_slice(&bytes[..count]);
        black_box(&self.part);
        items.advance(count);
        Poll::Ready(Ok(Progress::Open))
    }
}

/// GB a second.
fn speed(what: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    what()?;
    Ok(BYTES as f64 / start.elapsed().as_secs_f64() / 1e9)
}

fn main() -> Result<()> {
    let wasm = wat::parse_file("examples/streams.wat")?;
    let component = compile_component(&wasm, &CompileOptions::default())?.load()?;
    let mut store = Store::new(());
    let instance = Linker::new().instantiate(&mut store, &component)?;
    let drain = instance.get_typed_func::<(StreamReader<u8>,), u64>(&mut store, "drain")?;
    let fill = instance.get_typed_func::<(u64,), StreamReader<u8>>(&mut store, "fill")?;
    let go_on = instance.get_typed_func::<(), ()>(&mut store, "go-on")?;

    let (from, mut to) = (vec![7u8; PART], vec![0u8; PART]);
    let copies = speed(|| {
        for _ in 0..BYTES / PART as u64 {
            to.copy_from_slice(black_box(&from));
            black_box(&to);
        }
        Ok(())
    })?;
    let written = speed(|| {
        let part = from.clone();
        let stream = StreamReader::new(&mut store, Source { part, left: BYTES })?;
        ensure!(
            drain.call(&mut store, (stream,))? == BYTES,
            "some bytes are missing"
        );
        Ok(())
    })?;
    let read = speed(|| {
        let stream = fill.call(&mut store, (BYTES,))?;
        stream.pipe(&mut store, Sink { part: to.clone() })?;
        go_on.call(&mut store, ())
    })?;
    println!("copies:        {copies:6.1} GB/s");
    println!(
        "host to guest: {written:6.1} GB/s, {:.2} of that",
        written / copies
    );
    println!(
        "guest to host: {read:6.1} GB/s, {:.2} of that",
        read / copies
    );
    Ok(())
}
