//! B: a component calls the host (`import.wat`); the loops run in the guest.

use crate::ours;
use crate::peer::Peer;
use crate::session::Session;
use anyhow::Result;
use std::hint::black_box;
use std::sync::LazyLock;

const FIXTURE: &str = "import.wat";
/// Where the fixture keeps 64 KiB of text.
const TEXT: u32 = 1 << 20;

/// What the host gives: the guest says how much of it.
static GIVEN: LazyLock<String> = LazyLock::new(|| "a".repeat(64 << 10));

/// The resource type that the host defines.
struct Thing;

/// Runs the section.
pub fn run(session: &Session) {
    let benches = [
        ("B.nop", "nop", 0),
        ("B.add", "add", 0),
        ("B.take-string.16B", "take-string", 16),
        ("B.take-string.1KiB", "take-string", 1024),
        ("B.take-u8.4KiB", "take-bytes", 4096),
        ("B.get-string.64B", "get-string", 64),
        ("B.get-u8.4KiB", "get-bytes", 4096),
        ("B.resource-method", "res-method", 0),
        ("B.resource-new-drop", "res-new-drop", 0),
    ];
    for (bench, export, len) in benches {
        session.compare(
            bench,
            || ours::guest_loop(session, &ours_host()?, FIXTURE, export, (len, TEXT)),
            |peer| peer.guest_loop(session, &peer_host(peer)?, FIXTURE, export, (len, TEXT)),
        );
    }
}

fn ours_host() -> Result<trampette_runtime::Linker<()>> {
    use trampette_runtime::{Linker, Resource};
    let mut linker = Linker::new();
    let mut host = linker.instance("host")?;
    host.func_wrap::<(), (), _>("nop", |_, ()| Ok(()))?;
    host.func_wrap::<(u32, u32), u32, _>("add", |_, (a, b)| Ok(a.wrapping_add(b)))?;
    for name in ["take-string", "take-string-2"] {
        host.func_wrap::<(String,), (), _>(name, |_, (text,)| {
            black_box(text);
            Ok(())
        })?;
    }
    for name in ["take-bytes", "take-bytes-2"] {
        host.func_wrap::<(Vec<u8>,), (), _>(name, |_, (bytes,)| {
            black_box(bytes);
            Ok(())
        })?;
    }
    let given: &'static str = &GIVEN;
    host.func_wrap::<(u32,), &'static str, _>(
        "get-string",
        |_, (len,)| Ok(&given[..len as usize]),
    )?;
    host.func_wrap::<(u32,), &'static [u8], _>("get-bytes", |_, (len,)| {
        Ok(&given.as_bytes()[..len as usize])
    })?;
    host.resource::<Thing>("thing", |_, rep| {
        black_box(rep);
        Ok(())
    })?;
    host.func_wrap::<(u32,), Resource<Thing>, _>("[constructor]thing", |_, (rep,)| {
        Ok(Resource::new(rep))
    })?;
    host.func_wrap::<(Resource<Thing>,), u32, _>("[method]thing.get", |_, (thing,)| {
        Ok(thing.rep())
    })?;
    Ok(linker)
}

fn peer_host(peer: &Peer) -> Result<wasmtime::component::Linker<()>> {
    use wasmtime::component::{Linker, Resource, ResourceType, WasmList, WasmStr};
    let mut linker = Linker::new(&peer.engine);
    let mut host = linker.instance("host")?;
    host.func_wrap("nop", |_, ()| Ok(()))?;
    host.func_wrap("add", |_, (a, b): (u32, u32)| Ok((a.wrapping_add(b),)))?;
    for name in ["take-string", "take-string-2"] {
        host.func_wrap(name, |store, (text,): (WasmStr,)| {
            black_box(text.to_str(&store)?);
            Ok(())
        })?;
    }
    for name in ["take-bytes", "take-bytes-2"] {
        host.func_wrap(name, |store, (bytes,): (WasmList<u8>,)| {
            black_box(bytes.as_le_slice(&store));
            Ok(())
        })?;
    }
    let given: &'static str = &GIVEN;
    host.func_wrap("get-string", |_, (len,): (u32,)| {
        Ok((&given[..len as usize],))
    })?;
    host.func_wrap("get-bytes", |_, (len,): (u32,)| {
        Ok((&given.as_bytes()[..len as usize],))
    })?;
    host.resource("thing", ResourceType::host::<Thing>(), |_, rep| {
        black_box(rep);
        Ok(())
    })?;
    host.func_wrap("[constructor]thing", |_, (rep,): (u32,)| {
        Ok((Resource::<Thing>::new_own(rep),))
    })?;
    host.func_wrap("[method]thing.get", |_, (thing,): (Resource<Thing>,)| {
        Ok((thing.rep(),))
    })?;
    Ok(linker)
}
