//! Telling inputs apart by their first bytes, and wrapping preview-1 modules into components where
//! that is asked for.

use crate::{Artifact, CompileOptions};
use anyhow::{Context, Result, anyhow, bail};
use std::io::Read;
use std::path::Path;
use trampette_runtime::FileKind;

/// What a file holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// A component, in binary.
    Component(Vec<u8>),
    /// A core module, in binary: it is compiled on its own, also if it targets WASI preview 1.
    CoreModule(Vec<u8>),
    /// An artifact that Trampette compiled.
    Artifact(Vec<u8>),
}

impl Input {
    /// Compiles a component or core module.
    ///
    /// # Errors
    /// As [`crate::compile_component`], or if it is compiled already.
    pub fn into_artifact(self, options: &CompileOptions) -> Result<Artifact> {
        match self {
            Input::Component(wasm) => crate::compile_component(&wasm, options),
            Input::CoreModule(wasm) => crate::compile_module(&wasm, options),
            Input::Artifact(_) => bail!("this is already compiled"),
        }
    }

    /// The component that an adapter makes of a core module which targets WASI preview 1.
    ///
    /// # Errors
    /// If it is something else, or cannot be wrapped.
    pub fn into_component(self) -> Result<Input> {
        match self {
            Input::CoreModule(wasm) => Ok(Input::Component(component_from_module(&wasm)?)),
            Input::Component(_) => bail!("this is a component already"),
            Input::Artifact(_) => bail!("this is compiled already, as what it was then"),
        }
    }
}

const WASM: &[u8] = b"\0asm";
const NO_ARTIFACT: &str = "an ELF file, but not an artifact of Trampette, or a damaged one";
const CORE_VERSION: &[u8] = &[1, 0, 0, 0];
const PREVIEW1: &str = "wasi_snapshot_preview1";

/// Reads a file, or standard input for `-`.
///
/// # Errors
/// If it cannot be read; the message names it.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    if is_standard(path) {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut bytes);
        return read.map(|_| bytes).context("cannot read standard input");
    }
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Whether a path stands for standard input or output.
pub fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// What messages call an input.
pub fn name(path: &Path) -> String {
    match is_standard(path) {
        true => "standard input".to_string(),
        false => path.display().to_string(),
    }
}

/// Reads a file, or standard input for `-`, and tells what it is; text is assembled.
///
/// # Errors
/// If it cannot be read or is none of the inputs that Trampette takes; the message names it.
pub fn read(path: &Path) -> Result<Input> {
    classify_named(read_bytes(path)?, Some(path)).with_context(|| name(path))
}

/// Tells what bytes are; see [`read`].
///
/// # Errors
/// See [`read`].
pub fn classify(bytes: Vec<u8>) -> Result<Input> {
    classify_named(bytes, None)
}

/// [`classify`], with the path for messages about text.
fn classify_named(bytes: Vec<u8>, path: Option<&Path>) -> Result<Input> {
    if bytes.is_empty() {
        bail!("the file is empty");
    }
    match trampette_runtime::detect(&bytes) {
        FileKind::Artifact { .. } => return Ok(Input::Artifact(bytes)),
        FileKind::OtherElf => bail!(NO_ARTIFACT),
        _ => {}
    }
    let binary = if bytes.starts_with(WASM) {
        bytes
    } else {
        assemble(&bytes, path)?
    };
    if binary.get(4..8) == Some(CORE_VERSION) {
        return Ok(Input::CoreModule(binary));
    }
    Ok(Input::Component(binary))
}

/// Reads an artifact.
///
/// # Errors
/// If it cannot be read or is something else; the message names it and says what to do.
pub fn read_artifact(path: &Path) -> Result<Vec<u8>> {
    let bytes = read_bytes(path)?;
    let name = name(path);
    match trampette_runtime::detect(&bytes) {
        FileKind::Artifact { .. } => Ok(bytes),
        FileKind::OtherElf => bail!("{name}: {NO_ARTIFACT}"),
        _ => bail!(
            "{name}: not an artifact of Trampette; compile it first: trampette compile {name}"
        ),
    }
}

/// Reads a core module, in binary or text.
///
/// # Errors
/// If it cannot be read or its text is wrong; the message names it.
pub fn read_core_module(path: &Path) -> Result<Vec<u8>> {
    let bytes = read_bytes(path)?;
    match bytes.starts_with(WASM) {
        true => Ok(bytes),
        false => assemble(&bytes, Some(path)).with_context(|| name(path)),
    }
}

/// Assembles text.
fn assemble(bytes: &[u8], path: Option<&Path>) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| {
        let start = text.trim_start();
        start.starts_with('(') || start.starts_with(';')
    });
    let Some(text) = text else {
        bail!(
            "neither a WebAssembly component (binary or text) nor a compiled artifact: unknown first bytes"
        );
    };
    wat::parse_str(text).map_err(|mut error| {
        error.set_path(path.map_or("text".to_string(), name));
        anyhow!("cannot assemble the text: {error}")
    })
}

/// Makes a component from a core module that targets WASI preview 1.
///
/// # Errors
/// If the module imports nothing of preview 1 (then it is simply no component), or cannot be
/// wrapped.
pub fn component_from_module(module: &[u8]) -> Result<Vec<u8>> {
    use wasi_preview1_component_adapter_provider as adapters;
    let (imports, exports) = module_interface(module)?;
    if !imports.iter().any(|name| name == PREVIEW1) {
        bail!("this is a core module, not a component, and does not target WASI preview 1");
    }
    let adapter = if exports.iter().any(|name| name == "_start") {
        adapters::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER
    } else {
        adapters::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER
    };
    wit_component::ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.adapter(PREVIEW1, adapter))
        .and_then(|encoder| encoder.encode())
        .context("cannot make a component of this preview-1 module")
}

/// The modules that a core module imports from, and its exports.
fn module_interface(module: &[u8]) -> Result<(Vec<String>, Vec<String>)> {
    use wasmparser::{Parser, Payload};
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imports.push(import?.module.to_string());
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    exports.push(export?.name.to_string());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_told_apart_by_their_first_bytes() {
        let artifact = crate::compile_component(b"\0asm\x0d\0\x01\0", &CompileOptions::default());
        assert!(matches!(
            classify(artifact.unwrap().into_bytes()),
            Ok(Input::Artifact(_))
        ));
        let message = |bytes: &[u8]| format!("{:#}", classify(bytes.to_vec()).unwrap_err());
        assert!(message(b"\x7fELF....").starts_with("an ELF file, but not an artifact"));
        assert!(matches!(
            classify(b"(component)".to_vec()),
            Ok(Input::Component(_))
        ));
        assert!(matches!(
            classify(b"\0asm\x0d\0\x01\0".to_vec()),
            Ok(Input::Component(_))
        ));
        assert_eq!(message(b""), "the file is empty");
        assert!(message(b"\x7fELF....").contains("not an artifact of Trampette"));
        assert!(message(b"random").contains("unknown first bytes"));
        for module in [&b"\0asm\x01\0\0\0"[..], b"(module)"] {
            assert!(matches!(
                classify(module.to_vec()),
                Ok(Input::CoreModule(_))
            ));
        }
        assert!(message(b"(component").contains("cannot assemble"));
    }

    #[test]
    fn preview1_modules_are_wrapped_if_asked() {
        let text = r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
            (memory (export "memory") 1)
            (func (export "_start")))"#;
        let module = classify(text.into()).unwrap();
        assert!(matches!(module, Input::CoreModule(_)));
        let Ok(Input::Component(wasm)) = module.into_component() else {
            panic!("no component")
        };
        assert_eq!(&wasm[4..8], &[0x0d, 0, 1, 0]);
        let refused = Input::Component(wasm).into_component();
        assert!(refused.is_err());
    }
}
