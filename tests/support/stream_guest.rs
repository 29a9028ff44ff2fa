//! A guest that passes on, reads, writes and drops streams and futures of one type; for tests of
//! what it and the host do with them.

use anyhow::Result;
use trampette_runtime::{
    Collected, Component, ComponentType, Instance, Lift, Linker, Lower, Params, Store, StreamReader,
};

/// Such a guest alone in its store.
pub struct Guest {
    pub store: Store<()>,
    pub instance: Instance,
}

impl Guest {
    pub fn of(component: &Component) -> Guest {
        Guest::with(component, &Linker::new())
    }

    pub fn with(component: &Component, linker: &Linker<()>) -> Guest {
        let mut store = Store::new(());
        let instance = linker.instantiate(&mut store, component).unwrap();
        Guest { store, instance }
    }

    fn export<P: Params + Lower, R: Lift>(&mut self, name: &str, params: P) -> Result<R> {
        let func = self
            .instance
            .get_typed_func::<P, R>(&mut self.store, name)?;
        func.call(&mut self.store, params)
    }

    pub fn turns(&mut self, turns: u32) -> Result<()> {
        self.export("turns", (turns,))
    }

    pub fn status(&mut self) -> i32 {
        self.export("status", ()).unwrap()
    }

    pub fn call<T>(&mut self, name: &str, stream: StreamReader<T>, count: u32) -> Result<u32>
    where
        T: ComponentType + 'static,
    {
        self.export(name, (stream, count))
    }

    pub fn pass<T>(&mut self, name: &str, stream: StreamReader<T>) -> Result<StreamReader<T>>
    where
        T: ComponentType + 'static,
    {
        self.export(name, (stream,))
    }

    pub fn echo<T>(&mut self, stream: StreamReader<T>, chunk: u32) -> StreamReader<T>
    where
        T: ComponentType + 'static,
    {
        self.export("echo", (stream, chunk)).unwrap()
    }

    pub fn produce(&mut self, count: u32) -> StreamReader<u8> {
        self.export("produce", (count,)).unwrap()
    }

    /// Drives the store until all has been read.
    pub fn finish<T>(&mut self, mut collected: Collected<T>) -> Result<Vec<T>> {
        for _ in 0..100_000 {
            if let Some(ready) = collected.take_ready() {
                return ready;
            }
            self.turns(1)?;
        }
        panic!("it never ends, with {} elements", collected.len());
    }
}

/// A guest of streams of bytes.
pub fn bytes() -> Component {
    guest("", "u8", 1)
}

/// A guest of streams whose elements have a type, and take so many bytes in its memory.
pub fn guest(definitions: &str, element: &str, size: u32) -> Component {
    let text = format!(
        r#"
(component
  {definitions}
  (type $s (stream {element}))
  (type $f (future {element}))
  (core module $libc
    (memory (export "memory") 200)
    (global $next (mut i32) (i32.const 6291456))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (local.get 3)))))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (core func $new (canon stream.new $s))
  (core func $read (canon stream.read $s (memory $memory) (realloc $realloc)))
  (core func $write (canon stream.write $s (memory $memory) (realloc $realloc)))
  (core func $read-async (canon stream.read $s async (memory $memory) (realloc $realloc)))
  (core func $cancel-read (canon stream.cancel-read $s))
  (core func $drop-readable (canon stream.drop-readable $s))
  (core func $drop-writable (canon stream.drop-writable $s))
  (core func $forward (canon stream.forward $s))
  (core func $future-new (canon future.new $f))
  (core func $future-read (canon future.read $f (memory $memory) (realloc $realloc)))
  (core func $future-write (canon future.write $f (memory $memory) (realloc $realloc)))
  (core func $future-drop-readable (canon future.drop-readable $f))
  (core func $future-drop-writable (canon future.drop-writable $f))
  (core func $yield (canon thread.yield))
  (core func $return-s (canon task.return (result $s) (memory $memory)))
  (core func $return-f (canon task.return (result $f) (memory $memory)))
  (core func $return-u32 (canon task.return (result u32)))
  (core func $return (canon task.return))
  (core module $m
    (import "" "new" (func $new (result i64)))
    (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "write" (func $write (param i32 i32 i32) (result i32)))
    (import "" "read-async" (func $read-async (param i32 i32 i32) (result i32)))
    (import "" "cancel-read" (func $cancel-read (param i32) (result i32)))
    (import "" "drop-readable" (func $drop-readable (param i32)))
    (import "" "drop-writable" (func $drop-writable (param i32)))
    (import "" "forward" (func $forward (param i32 i32)))
    (import "" "future-new" (func $future-new (result i64)))
    (import "" "future-read" (func $future-read (param i32 i32) (result i32)))
    (import "" "future-write" (func $future-write (param i32 i32) (result i32)))
    (import "" "future-drop-readable" (func $future-drop-readable (param i32)))
    (import "" "future-drop-writable" (func $future-drop-writable (param i32)))
    (import "" "yield" (func $yield (result i32)))
    (import "" "return-s" (func $return-s (param i32)))
    (import "" "return-f" (func $return-f (param i32)))
    (import "" "return-u32" (func $return-u32 (param i32)))
    (import "" "return" (func $return))
    (global $status (mut i32) (i32.const -1))
    ;; Passes on what it reads in parts of so many elements.
    (func (export "echo") (param $in i32) (param $chunk i32)
      (local $ends i64) (local $out i32) (local $r i32) (local $n i32) (local $at i32)
      (local $w i32)
      (local.set $ends (call $new))
      (call $return-s (i32.wrap_i64 (local.get $ends)))
      (local.set $out (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
      (block $gone
        (loop $more
          (local.set $r (call $read (local.get $in) (i32.const 0) (local.get $chunk)))
          (local.set $n (i32.shr_u (local.get $r) (i32.const 4)))
          (local.set $at (i32.const 0))
          (block $written
            (loop $rest
              (br_if $written (i32.eq (local.get $at) (local.get $n)))
              (local.set $w (call $write (local.get $out)
                (i32.mul (local.get $at) (i32.const {size}))
                (i32.sub (local.get $n) (local.get $at))))
              (local.set $at (i32.add (local.get $at) (i32.shr_u (local.get $w) (i32.const 4))))
              (br_if $gone (i32.and (local.get $w) (i32.const 15)))
              (br $rest)))
          (br_if $more (i32.eqz (i32.and (local.get $r) (i32.const 15))))))
      (global.set $status (local.get $w))
      (call $drop-readable (local.get $in))
      (call $drop-writable (local.get $out)))
    ;; Reads once, then drops its end: what the read has said.
    (func (export "read-once") (param $in i32) (param $count i32)
      (call $return-u32 (call $read (local.get $in) (i32.const 0) (local.get $count)))
      (call $drop-readable (local.get $in)))
    ;; Begins to read, cancels that: what that has said. The end is kept.
    (func (export "cancel") (param $in i32) (param $count i32)
      (local $r i32)
      (local.set $r (call $read-async (local.get $in) (i32.const 0) (local.get $count)))
      (if (i32.eq (local.get $r) (i32.const -1))
        (then (local.set $r (call $cancel-read (local.get $in)))))
      (call $return-u32 (local.get $r)))
    ;; Writes so many elements of whatever is in its memory.
    (func (export "produce") (param $count i32)
      (local $ends i64) (local $out i32)
      (local.set $ends (call $new))
      (call $return-s (i32.wrap_i64 (local.get $ends)))
      (local.set $out (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
      (global.set $status (i32.const -2))
      (global.set $status (call $write (local.get $out) (i32.const 0) (local.get $count)))
      (call $drop-writable (local.get $out)))
    ;; Returns a stream, and traps.
    (func (export "lose") (param $in i32)
      (local $ends i64)
      (local.set $ends (call $new))
      (call $return-s (i32.wrap_i64 (local.get $ends)))
      (drop (call $yield))
      unreachable)
    ;; Returns what it was given.
    (func (export "same") (param $in i32) (call $return-s (local.get $in)))
    (func (export "forward") (param $in i32)
      (local $ends i64)
      (local.set $ends (call $new))
      (call $return-s (i32.wrap_i64 (local.get $ends)))
      (call $forward (local.get $in)
        (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32)))))
    (func (export "later") (param $in i32)
      (local $ends i64) (local $out i32)
      (local.set $ends (call $future-new))
      (call $return-f (i32.wrap_i64 (local.get $ends)))
      (local.set $out (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
      (global.set $status (i32.const -2))
      (drop (call $future-read (local.get $in) (i32.const 0)))
      (global.set $status (call $future-write (local.get $out) (i32.const 0)))
      (call $future-drop-readable (local.get $in))
      (call $future-drop-writable (local.get $out)))
    ;; Lets others go on.
    (func (export "turns") (param $turns i32)
      (loop $again
        (drop (call $yield))
        (local.set $turns (i32.sub (local.get $turns) (i32.const 1)))
        (br_if $again (i32.gt_s (local.get $turns) (i32.const 0))))
      (call $return))
    (func (export "status") (result i32) (global.get $status)))
  (core instance $m (instantiate $m (with "" (instance
    (export "new" (func $new)) (export "read" (func $read)) (export "write" (func $write))
    (export "read-async" (func $read-async)) (export "cancel-read" (func $cancel-read))
    (export "drop-readable" (func $drop-readable)) (export "drop-writable" (func $drop-writable))
    (export "forward" (func $forward)) (export "future-new" (func $future-new))
    (export "future-read" (func $future-read)) (export "future-write" (func $future-write))
    (export "future-drop-readable" (func $future-drop-readable))
    (export "future-drop-writable" (func $future-drop-writable)) (export "yield" (func $yield))
    (export "return-s" (func $return-s)) (export "return-f" (func $return-f))
    (export "return-u32" (func $return-u32)) (export "return" (func $return))))))
  (func (export "echo") async (param "s" $s) (param "chunk" u32) (result $s)
    (canon lift (core func $m "echo") async (memory $memory)))
  (func (export "read-once") async (param "s" $s) (param "count" u32) (result u32)
    (canon lift (core func $m "read-once") async))
  (func (export "cancel") async (param "s" $s) (param "count" u32) (result u32)
    (canon lift (core func $m "cancel") async))
  (func (export "produce") async (param "count" u32) (result $s)
    (canon lift (core func $m "produce") async (memory $memory)))
  (func (export "lose") async (param "s" $s) (result $s)
    (canon lift (core func $m "lose") async (memory $memory)))
  (func (export "same") async (param "s" $s) (result $s)
    (canon lift (core func $m "same") async (memory $memory)))
  (func (export "forward") async (param "s" $s) (result $s)
    (canon lift (core func $m "forward") async (memory $memory)))
  (func (export "later") async (param "f" $f) (result $f)
    (canon lift (core func $m "later") async (memory $memory)))
  (func (export "turns") async (param "turns" u32) (canon lift (core func $m "turns") async))
  (func (export "status") (result s32) (canon lift (core func $m "status"))))
"#
    );
    compile(&text)
}

pub fn compile(text: &str) -> Component {
    let wasm = wat::parse_str(text).unwrap();
    let options = trampette::CompileOptions {
        proposals: trampette::options::Proposals::all(),
        ..trampette::CompileOptions::default()
    };
    let artifact = trampette::compile_component(&wasm, &options).unwrap();
    artifact.load().unwrap()
}
