//! How long loading an artifact takes, in `bench`:
//! `cargo run --release --bin load -- app.elf 1000`.

use anyhow::{Context, Result};
use std::time::Instant;
use trampette_runtime::Component;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().context("usage: load ARTIFACT [TIMES]")?;
    let times: u32 = arguments.next().map_or(Ok(100), |times| times.parse())?;
    let start = Instant::now();
    for _ in 0..times {
        // SAFETY: whoever runs this leaves the file alone meanwhile.
        drop(unsafe { Component::from_file(&path) }?);
    }
    println!("{:?} a load", start.elapsed() / times);
    Ok(())
}
