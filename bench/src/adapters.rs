//! C: a component calls another one inside the same composition (`compose.wat`), calls down a chain
//! (`nested.wat`), and resources inside one component (`resource-local.wat`).

use crate::ours;
use crate::session::Session;
use std::hint::black_box;

/// Where `compose.wat` keeps 1 MiB of `a`.
const ASCII: u32 = 1 << 20;
/// Where it keeps 64 KiB of a two-byte character: as Latin-1 all high, as UTF-16 all three bytes.
const HIGH: u32 = 2_228_224;
const KIB: u32 = 1 << 10;

/// Runs the section.
pub fn run(session: &Session) {
    // Bench, export, length (bytes, code units or elements), where.
    let benches = [
        ("C.nop", "nop", 0, 0),
        ("C.add", "add", 0, 0),
        ("C.utf8-utf8.16B", "utf8-utf8", 16, ASCII),
        ("C.utf8-utf8.1KiB", "utf8-utf8", KIB, ASCII),
        ("C.utf8-utf8.64KiB", "utf8-utf8", 64 * KIB, ASCII),
        ("C.utf8-utf8.64KiB-two-byte", "utf8-utf8", 64 * KIB, HIGH),
        ("C.utf8-utf16.64KiB-ascii", "utf8-utf16", 64 * KIB, ASCII),
        ("C.utf8-utf16.64KiB-two-byte", "utf8-utf16", 64 * KIB, HIGH),
        ("C.latin1-utf8.64KiB-ascii", "latin1-utf8", 64 * KIB, ASCII),
        ("C.latin1-utf8.64KiB-high", "latin1-utf8", 64 * KIB, HIGH),
        ("C.utf16-utf8.64KiB-cjk", "utf16-utf8", 32 * KIB, HIGH),
        ("C.take-u8.64B", "take-u8", 64, ASCII),
        ("C.take-u8.4KiB", "take-u8", 4 * KIB, ASCII),
        ("C.take-u8.1MiB", "take-u8", KIB * KIB, ASCII),
        ("C.take-u32.x1000", "take-u32", 1000, ASCII),
        ("C.take-points.x1000", "take-points", 1000, ASCII),
        ("C.take-strings.x100", "take-strings", 100, 0),
        ("C.nested-record", "nested", 0, 0),
        ("C.mix", "mix-num", 0, 0),
        ("C.resource-borrow", "res-borrow", 0, 0),
        ("C.resource-new-drop", "res-new-drop", 0, 0),
    ];
    for (bench, export, len, ptr) in benches {
        guest_loop(session, bench, "compose.wat", export, (len, ptr));
    }
    guest_loop(
        session,
        "C.local-new-drop",
        "resource-local.wat",
        "new-drop",
        (0, 0),
    );
    guest_loop(session, "C.local-rep", "resource-local.wat", "rep", (0, 0));
    session.compare(
        "C.chain",
        || {
            ours::calls::<(u32,), u32>(session, "nested.wat", "f", |store, f| {
                black_box(f.call(store, black_box((1,)))?);
                Ok(())
            })
        },
        |peer| {
            peer.calls::<(u32,), (u32,)>(session, "nested.wat", "f", |store, f| {
                black_box(f.call(store, black_box((1,)))?);
                Ok(())
            })
        },
    );
}

fn guest_loop(session: &Session, bench: &str, fixture: &str, export: &str, what: (u32, u32)) {
    session.compare(
        bench,
        || {
            let linker = trampette_runtime::Linker::new();
            ours::guest_loop(session, &linker, fixture, export, what)
        },
        |peer| {
            let linker = wasmtime::component::Linker::new(&peer.engine);
            peer.guest_loop(session, &linker, fixture, export, what)
        },
    );
}
