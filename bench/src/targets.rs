//! The figures of the peer when the targets were set, and the targets: data, nothing else.
//!
//! The figures were taken on one machine on one day. What carries over to another run is
//! [`Target::ratio`]: the target over the peer's best configuration.

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// `SECTION.name.size`.
    pub bench: &'static str,
    /// What the figures count.
    pub unit: &'static str,
    /// The peer with its default configuration; for the record, no target depends on it.
    #[allow(dead_code)]
    pub default: f64,
    /// The peer's best configuration.
    pub best: f64,
    /// What Trampette is to reach where the peer takes `best`.
    pub target: f64,
}

impl Target {
    /// What Trampette's figure may be, over the peer's best in the same run.
    pub fn ratio(&self) -> f64 {
        self.target / self.best
    }
}

/// The target of a bench, if one is set.
pub fn find(bench: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.bench == bench)
}

const fn row(
    unit: &'static str,
    bench: &'static str,
    default: f64,
    best: f64,
    target: f64,
) -> Target {
    Target {
        bench,
        unit,
        default,
        best,
        target,
    }
}

const fn ns(bench: &'static str, default: f64, best: f64, target: f64) -> Target {
    row("ns", bench, default, best, target)
}

const fn us(bench: &'static str, default: f64, best: f64, target: f64) -> Target {
    row("us", bench, default, best, target)
}

/// A figure for which only the peer's own is the measure: `target` times the peer.
const fn times(unit: &'static str, bench: &'static str, target: f64) -> Target {
    row(unit, bench, 1.0, 1.0, target)
}

/// CPU time over that of native code.
const fn native(bench: &'static str, peer: f64, target: f64) -> Target {
    row("x native", bench, peer, peer, target)
}

/// Every target, by section.
pub const TARGETS: &[Target] = &[
    // A: the host calls a component.
    ns("A.nop", 620.0, 156.0, 8.0),
    ns("A.add", 663.0, 155.0, 8.0),
    ns("A.add-dynamic", 759.0, 264.0, 40.0),
    ns("A.echo-string.16B", 858.0, 267.0, 45.0),
    ns("A.echo-string.1KiB", 1071.0, 308.0, 110.0),
    ns("A.take-u8.4KiB", 933.0, 304.0, 75.0),
    ns("A.take-points.x1000", 22_156.0, 14_890.0, 200.0),
    ns("A.give-u8.64KiB", 789.0, 211.0, 15.0),
    ns("A.big-record", 1110.0, 306.0, 30.0),
    ns("A.mix", 769.0, 229.0, 20.0),
    // B: a component calls the host.
    ns("B.nop", 183.0, 52.0, 4.0),
    ns("B.add", 201.0, 68.0, 4.0),
    ns("B.take-string.16B", 228.0, 90.0, 12.0),
    ns("B.take-string.1KiB", 260.0, 138.0, 35.0),
    ns("B.take-u8.4KiB", 214.0, 93.0, 5.0),
    ns("B.get-string.64B", 304.0, 179.0, 25.0),
    ns("B.get-u8.4KiB", 459.0, 270.0, 80.0),
    ns("B.resource-method", 305.0, 115.0, 6.0),
    ns("B.resource-new-drop", 294.0, 148.0, 20.0),
    // C: a component calls a component.
    ns("C.nop", 11.3, 1.7, 0.5),
    ns("C.add", 10.7, 1.6, 0.9),
    ns("C.utf8-utf8.16B", 33.0, 22.0, 12.0),
    ns("C.utf8-utf8.1KiB", 63.0, 75.0, 40.0),
    ns("C.utf8-utf8.64KiB", 5505.0, 3901.0, 2900.0),
    ns("C.utf8-utf8.64KiB-two-byte", 89_509.0, 53_114.0, 6000.0),
    ns("C.utf8-utf16.64KiB-ascii", 85_711.0, 69_965.0, 7000.0),
    ns(
        "C.utf8-utf16.64KiB-two-byte",
        197_274.0,
        181_987.0,
        14_000.0,
    ),
    ns("C.latin1-utf8.64KiB-ascii", 42_394.0, 50_683.0, 4000.0),
    ns("C.latin1-utf8.64KiB-high", 321_290.0, 423_929.0, 12_000.0),
    ns("C.utf16-utf8.64KiB-cjk", 130_026.0, 121_733.0, 14_000.0),
    ns("C.take-u8.64B", 64.0, 69.0, 8.0),
    ns("C.take-u8.4KiB", 5638.0, 3473.0, 65.0),
    ns("C.take-u8.1MiB", 900_807.0, 1_060_131.0, 59_280.0),
    ns("C.take-u32.x1000", 625.0, 703.0, 65.0),
    ns("C.take-points.x1000", 1596.0, 1018.0, 140.0),
    ns("C.take-strings.x100", 3235.0, 2242.0, 700.0),
    ns("C.nested-record", 31.0, 13.0, 5.0),
    ns("C.mix", 43.0, 16.0, 6.0),
    ns("C.resource-borrow", 715.0, 122.0, 5.0),
    ns("C.resource-new-drop", 1755.0, 124.0, 8.0),
    ns("C.local-new-drop", 83.0, 49.0, 4.0),
    ns("C.local-rep", 34.0, 20.0, 1.2),
    ns("C.chain", 1095.0, 146.0, 12.0),
    // D: instances.
    us("D.tiny", 10.5, 4.1, 0.5),
    us("D.tiny-first", 10.5, 4.1, 25.0),
    us("D.nested", 66.0, 18.0, 2.0),
    us("D.hello", 39.0, 24.0, 2.5),
    us("D.hello-run", 118.0, 53.0, 12.0),
    us("D.trap-unreachable", 9.4, 8.4, 0.1),
    us("D.trap-out-of-bounds", 3.7, 3.7, 3.5),
    row("KB", "D.resident-tiny", 6.7, 6.3, 4.5),
    // E: loading.
    us("E.load-tiny", 29.0, 26.0, 15.0),
    us("E.load-hello", 293.0, 307.0, 30.0),
    us("E.load-lua", 483.0, 470.0, 30.0),
    us("E.load-js", 1552.0, 1666.0, 60.0),
    us("E.process-hello", 100_000.0, 100_000.0, 3000.0),
    // F: compiling.
    times("s", "F.cpu-hello", 0.7),
    times("KB", "F.size-hello", 0.6),
    times("s", "F.cpu-lua", 0.9),
    times("KB", "F.size-lua", 0.7),
    times("s", "F.cpu-js", 0.9),
    times("KB", "F.size-js", 0.7),
    times("MiB", "F.memory-js", 1.0),
    // G: guest code over native.
    native("G.interp", 4.07, 1.5),
    native("G.memops", 3.12, 1.3),
    native("G.matmul", 3.33, 3.2),
    native("G.matmul-simd", 1.80, 1.6),
    native("G.chase", 1.43, 1.3),
    native("G.vtable", 1.28, 0.95 * 1.28),
    native("G.nbody", 1.26, 0.95 * 1.26),
    native("G.switchvm", 1.23, 0.95 * 1.23),
    native("G.fannkuch", 1.18, 0.95 * 1.18),
    native("G.sha256", 1.08, 1.08),
    native("G.strhash", 1.08, 1.08),
    native("G.mandel", 0.99, 0.99),
    native("G.geometric-mean", 1.59, 1.25),
    row("x", "G.interruptible", 1.23, 1.23, 1.0),
    // H: functions of `async` types, streams. What the peer takes was not published but for the
    // first ones; a bench without a target has none.
    ns("H.call-plain", 1400.0, 1400.0, 40.0),
    ns("H.call-callback", 1400.0, 1400.0, 40.0),
    ns("H.call-stackful", 1400.0, 1400.0, 100.0),
    ns("H.import-ready", 354.0, 280.0, 30.0),
];
