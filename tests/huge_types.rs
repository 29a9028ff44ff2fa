//! Parameters that are large together: each is below what validation allows one value to take, the
//! tuple of them may be more than a memory can hold. What is in bounds must arrive, what is not
//! must trap or be refused when it is compiled; offsets never wrap.

use trampette::{CompileOptions, compile_component};
use trampette_runtime::{Component, Instance, Linker, Store, Trap, TrapCode, Val};

/// Bytes of `option<list<u64, 33554430>>` in any memory.
const PARAMETER: u64 = 8 + 8 * 33_554_430;
/// Pages of every memory.
const PAGES: u64 = 65_535;
const MEMORY: u64 = PAGES << 16;

/// A component that calls another one with `count` parameters of [`PARAMETER`] bytes from a pointer
/// that its export takes. The callee returns how many parameters are `none` and the last
/// discriminant's address.
fn between_guests(count: u64, caller: &str, callee: &str) -> String {
    let params: String = (0..count)
        .map(|i| format!(r#"(param "p{i}" $t) "#))
        .collect();
    format!(
        r#"(component
          (type $l (list u64 33554430))
          (type $t (option $l))
          (component $callee
            (type $l (list u64 33554430))
            (type $t (option $l))
            (core module $m
              (memory (export "memory") {callee} {PAGES})
              (func (export "realloc") (param {callee} {callee} {callee} {callee}) (result {callee})
                {callee}.const 0)
              (func (export "f") (param $at {callee}) (result i32)
                (local $i i32) (local $sum i32)
                (loop $next
                  (local.set $sum (i32.add (local.get $sum) (i32.add (i32.const 1)
                    (i32.load8_u (local.get $at)))))
                  (local.set $at ({callee}.add (local.get $at) ({callee}.const {PARAMETER})))
                  (br_if $next (i32.lt_u
                    (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                    (i32.const {count}))))
                (local.get $sum)))
            (core instance $i (instantiate $m))
            (func (export "f") {params} (result u32)
              (canon lift (core func $i "f") (memory (core memory $i "memory"))
                (realloc (core func $i "realloc")))))
          (instance $callee (instantiate $callee))
          (core module $memory (memory (export "memory") {caller} {PAGES}))
          (core instance $memory (instantiate $memory))
          (alias core export $memory "memory" (core memory $memory))
          (core func $f (canon lower (func $callee "f") (memory $memory)))
          (core module $m
            (import "" "f" (func $f (param {caller}) (result i32)))
            (import "" "memory" (memory {caller} 1))
            (func (export "f") (param i64) (result i32)
              (call $f {pointer}))
            (func (export "dirty") (param i64)
              (i64.store8 {pointer} (i64.const 7))))
          (core instance $i (instantiate $m (with "" (instance
            (export "f" (func $f)) (export "memory" (memory $memory))))))
          (func (export "f") (param "at" u64) (result u32) (canon lift (core func $i "f")))
          (func (export "dirty") (param "at" u64) (canon lift (core func $i "dirty"))))"#,
        pointer = match caller {
            "i32" => "(i32.wrap_i64 (local.get 0))",
            _ => "(local.get 0)",
        },
    )
}

fn compile(wat: &str) -> Result<Vec<u8>, String> {
    let wasm = wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}\n{wat}"));
    match compile_component(&wasm, &CompileOptions::default()) {
        Ok(artifact) => Ok(artifact.bytes().to_vec()),
        Err(error) => Err(format!("{error:#}")),
    }
}

struct Subject {
    store: Store<()>,
    instance: Instance,
}

impl Subject {
    fn new(artifact: &[u8]) -> Subject {
        // SAFETY: compiled by this test.
        let component = unsafe { Component::from_bytes(artifact) }.unwrap();
        let mut store = Store::new(());
        let instance = Linker::<()>::new()
            .instantiate(&mut store, &component)
            .unwrap();
        Subject { store, instance }
    }

    fn call(&mut self, name: &str, at: u64) -> Result<Option<Val>, Option<TrapCode>> {
        let func = self.instance.get_func(&mut self.store, name).unwrap();
        func.call_value(&mut self.store, &[Val::U64(at)])
            .map_err(|error| error.downcast_ref::<Trap>().map(Trap::kind))
    }
}

#[test]
fn a_tuple_larger_than_a_memory_is_refused() {
    for (caller, callee) in [("i32", "i32"), ("i32", "i64"), ("i64", "i32")] {
        for count in [17, 18, 32, 33, 34, 100] {
            let error = compile(&between_guests(count, caller, callee)).unwrap_err();
            let bytes = count * PARAMETER;
            let expected = format!(
                "the parameters take {bytes} bytes together, more than a memory with 32-bit \
                 addresses holds"
            );
            assert!(
                error.contains(&expected) && error.contains("at offset 0x"),
                "{error}"
            );
        }
    }
}

#[test]
fn every_parameter_of_the_largest_tuples_arrives_or_traps() {
    for (caller, callee) in [
        ("i32", "i32"),
        ("i32", "i64"),
        ("i64", "i32"),
        ("i64", "i64"),
    ] {
        let artifact = compile(&between_guests(15, caller, callee)).unwrap();
        let mut subject = Subject::new(&artifact);
        let last = MEMORY - 15 * PARAMETER;
        assert_eq!(last % 8, 0);
        for at in [0, 8, last] {
            assert_eq!(
                subject.call("f", at),
                Ok(Some(Val::U32(15))),
                "{caller} {callee} {at}"
            );
        }
        let beyond = subject.call("f", last + 8);
        assert_eq!(
            beyond,
            Err(Some(TrapCode::PointerOutOfBounds)),
            "{caller} {callee}"
        );
        for field in 0..15 {
            let mut subject = Subject::new(&artifact);
            subject.call("dirty", field * PARAMETER).unwrap();
            let invalid = subject.call("f", 0);
            assert_eq!(
                invalid,
                Err(Some(TrapCode::InvalidDiscriminant)),
                "field {field}"
            );
        }
    }
}

#[test]
fn a_tuple_larger_than_this_memory_traps() {
    for count in [16, 17, 18, 33, 100] {
        let artifact = compile(&between_guests(count, "i64", "i64")).unwrap();
        for at in [0, 8, MEMORY - 8, 1 << 40, u64::MAX - 7] {
            let result = Subject::new(&artifact).call("f", at);
            assert_eq!(
                result,
                Err(Some(TrapCode::PointerOutOfBounds)),
                "{count} at {at}"
            );
        }
    }
}

/// A component that exports and imports a function of `count` parameters of [`PARAMETER`] bytes.
fn with_the_host(count: u64, direction: &str) -> String {
    let params: String = (0..count)
        .map(|i| format!(r#"(param "p{i}" $t) "#))
        .collect();
    let import = format!(
        r#"(import "f" (func $f {params}))
           (core module $memory (memory (export "memory") {PAGES}))
           (core instance $memory (instantiate $memory))
           (alias core export $memory "memory" (core memory $memory))
           (core func $f (canon lower (func $f) (memory $memory)))
           (core module $m
             (import "" "f" (func $f (param i32)))
             (func (export "g") (call $f (i32.const 0))))
           (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
           (func (export "g") (canon lift (core func $m "g")))"#
    );
    let export = format!(
        r#"(core module $m
             (memory (export "memory") 1)
             (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
             (func (export "g") (param i32)))
           (core instance $m (instantiate $m))
           (func (export "g") {params}
             (canon lift (core func $m "g") (memory (core memory $m "memory"))
               (realloc (core func $m "realloc"))))"#
    );
    let body = match direction {
        "import" => import,
        _ => export,
    };
    format!(
        r#"(component
          (type $l (list u64 33554430))
          (type $t (option $l))
          {body})"#
    )
}

#[test]
fn what_the_host_would_exchange_is_bounded() {
    for (direction, named) in [
        ("import", "cannot lower `f`: the parameters take"),
        (
            "export",
            "in the export `g`: the function that is lifted at offset 0x",
        ),
    ] {
        for count in [2, 15] {
            let error = compile(&with_the_host(count, direction)).unwrap_err();
            assert!(error.contains(named), "{error}");
            let bytes = format!("{} bytes together; the host exchanges", count * PARAMETER);
            assert!(error.contains(&bytes), "{error}");
        }
        let error = compile(&with_the_host(18, direction)).unwrap_err();
        assert!(error.contains("more than a memory with 32-bit"), "{error}");
    }
}
