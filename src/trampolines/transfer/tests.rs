//! What no component can ask for, since validation refuses it before. All else is tested with real
//! artifacts: types and damage in `tests/property.rs`, edges in `tests/{boundary,adapters}.rs`,
//! code in `tests/golden/{lifts,lowers,adapters,strings}`.

use crate::codegen::Session;
use crate::options::CompileOptions;
use crate::program::module::CoreType;
use crate::program::*;
use crate::trampolines::testing;
use std::sync::Arc;
use trampette_artifact::canonical::PointerWidth;
use trampette_artifact::ids::*;
use trampette_artifact::key::{Abi, FuncKey};
use trampette_artifact::metadata::{Import, Memory, MemoryPlace};
use trampette_artifact::types::{Field, FuncType, Type};

#[test]
fn shared_memories_are_refused() {
    let ty = FuncType {
        params: vec![Field {
            name: "s".into(),
            ty: Type::String,
        }],
        result: None,
        is_async: false,
    };
    let mut program = testing::program();
    program.imports.push(Import {
        path: vec!["f".into()],
        ty: ty.clone(),
        used: true,
    });
    program.trampolines = vec![Trampoline {
        signature: testing::signature(&[CoreType::I32, CoreType::I32], &[]),
        kind: TrampolineKind::LowerImport {
            import: ImportId(0),
            ty: Arc::new(ty),
            options: CanonicalOptions {
                instance: testing::PARENT,
                encoding: StringEncoding::Utf8,
                memory: Some((MemoryId(0), PointerWidth::P32)),
                realloc: None,
                post_return: None,
                waiting: crate::program::Waiting::Blocks,
            },
        },
    }]
    .into();
    let mut layout = testing::layout();
    layout.root.imports = 1;
    layout.root.memories = 1;
    layout.memories = vec![Memory {
        place: MemoryPlace::Shared(SharedMemoryId(0)),
        minimum: 1,
        maximum: Some(1),
        page_size_log2: 16,
        width: PointerWidth::P32,
    }]
    .into();
    let session = Session::new(&program, &layout, &CompileOptions::default()).unwrap();
    let key = FuncKey::ComponentTrampoline(Abi::Wasm, TrampolineId(0));
    let error = crate::trampolines::build(&session, key).unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "cannot lower the import `f`: a shared memory (memory0) as canonical option `memory` is not supported"
    );
}
