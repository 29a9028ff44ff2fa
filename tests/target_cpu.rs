//! Every processor level, and `native`: code that is made for it runs on each machine that has it.

use anyhow::Result;
use trampette::CompileOptions;
use trampette::options::TargetCpu;
use trampette_artifact::cpu;
use trampette_runtime::{Linker, Store};

/// Instructions for which newer processors have shorter forms: rounding, counting bits, shifts,
/// fused and wide vector arithmetic.
const PROGRAM: &str = r#"(component
  (core module $m
    (func (export "mix") (param $x i32) (result i32) (local $v v128)
      (local.set $v (i32x4.mul (i32x4.splat (local.get $x)) (v128.const i32x4 1 2 3 4)))
      (local.set $v (i8x16.popcnt (v128.andnot (local.get $v) (v128.const i64x2 6 7))))
      (local.set $v (i64x2.shr_s (i64x2.mul (local.get $v) (local.get $v)) (i32.const 2)))
      (i32.add
        (i32.add
          (i32.popcnt (local.get $x))
          (i32.ctz (i32.shl (local.get $x) (i32.clz (local.get $x)))))
        (i32.add
          (i32x4.extract_lane 1 (local.get $v))
          (i32.trunc_sat_f64_s (f64.nearest (f64.mul
            (f64.convert_i32_u (local.get $x)) (f64.const 1.25))))))))
  (core instance $i (instantiate $m))
  (func (export "mix") (param "x" u32) (result u32)
    (canon lift (core func $i "mix"))))"#;

#[test]
fn every_level_of_this_machine_runs_here() -> Result<()> {
    let wasm = wat::parse_str(PROGRAM)?;
    let mut results = Vec::new();
    for target_cpu in TargetCpu::ALL.iter().copied() {
        let options = CompileOptions {
            target_cpu,
            ..CompileOptions::default()
        };
        let artifact = trampette::compile_component(&wasm, &options)?;
        let component = artifact.load();
        let missing = target_cpu.cpu_feature_names().into_iter().find(|name| {
            let feature = cpu::feature(name).expect("a feature of the table");
            !feature.is_present()
        });
        if let Some(missing) = missing {
            assert_ne!(target_cpu, TargetCpu::Native);
            let Err(error) = component else {
                panic!("{target_cpu} is not refused");
            };
            let error = format!("{error:#}");
            assert!(error.contains(missing), "{target_cpu}: {error}");
            continue;
        }
        let mut store = Store::new(());
        let instance = Linker::new().instantiate(&mut store, &component?)?;
        let mix = instance.get_typed_func::<(u32,), u32>(&mut store, "mix")?;
        results.push((target_cpu, mix.call(&mut store, (1000,))?));
    }
    let native = results.last().expect("native code runs");
    assert_eq!(native.0, TargetCpu::Native);
    for result in &results {
        assert_eq!(result.1, native.1, "{}", result.0);
    }
    Ok(())
}
