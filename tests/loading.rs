//! Loading artifacts: what is refused and how an embedder can tell why, that what was compiled in
//! the process needs no `unsafe`, and that the file itself is mapped, at a cost that does not grow
//! with it.

#[path = "support/clock.rs"]
mod clock;

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use trampette::{Artifact, CompileOptions, compile_component};
use trampette_artifact::header::{FORMAT_VERSION, Identification, section};
use trampette_runtime::{
    Component, FileKind, Linker, LoadError, LoadErrorKind, LoadOptions, Store, Verify, detect,
    detect_file,
};

const ADD: &str = r#"(component
  (core module $m
    (func (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))
  (core instance $m (instantiate $m))
  (func (export "f") (param "x" u32) (result u32) (canon lift (core func $m "f"))))"#;

fn compile(text: &str) -> Artifact {
    let wasm = wat::parse_str(text).unwrap();
    compile_component(&wasm, &CompileOptions::default()).unwrap()
}

/// Calls `f(1)`.
fn call(component: &Component) -> Result<u32> {
    let mut store = Store::new(());
    let instance = Linker::new().instantiate(&mut store, component)?;
    let f = instance.get_typed_func::<(u32,), u32>(&mut store, "f")?;
    f.call(&mut store, (1,))
}

/// Where a section is in an artifact.
fn place(bytes: &[u8], name: &str) -> Range<usize> {
    let file = object::File::parse(bytes).unwrap();
    let section = file.section_by_name(name).unwrap();
    let (offset, size) = section.file_range().unwrap();
    offset as usize..(offset + size) as usize
}

/// An artifact whose identification was changed, with a right checksum.
fn with_id(bytes: &[u8], change: impl FnOnce(&mut Identification)) -> Vec<u8> {
    let place = place(bytes, section::ID);
    let mut id = Identification::decode(&bytes[place.clone()]).unwrap();
    change(&mut id);
    let encoded = id.encode().unwrap();
    assert_eq!(encoded.len(), place.len(), "the same length");
    let mut bytes = bytes.to_vec();
    bytes[place].copy_from_slice(&encoded);
    bytes
}

/// Inputs, the kinds of the errors that they give, whether they are stale, and what they are.
fn inputs() -> Vec<(&'static str, Vec<u8>, LoadErrorKind, FileKind)> {
    let good = compile(ADD).into_bytes();
    let artifact = FileKind::Artifact {
        format_version: FORMAT_VERSION,
    };
    let flipped = |name: &str| {
        let mut bytes = good.clone();
        bytes[place(&good, name).end - 1] ^= 1;
        bytes
    };
    let wasm = wat::parse_str(ADD).unwrap();
    let module = wat::parse_str("(module)").unwrap();
    let this_test = std::fs::read("/proc/self/exe").unwrap();
    use LoadErrorKind::*;
    let version = |format, compiler: Option<&str>| OtherVersion {
        format,
        compiler: compiler.map(str::to_string),
    };
    let machine = |missing: &str| OtherMachine {
        missing: missing.to_string(),
    };
    vec![
        ("nothing", vec![], NotAnArtifact, FileKind::Unknown),
        ("text", ADD.into(), NotAnArtifact, FileKind::Unknown),
        ("a component", wasm, NotAnArtifact, FileKind::Component),
        ("a module", module, NotAnArtifact, FileKind::CoreModule),
        ("another ELF", this_test, NotAnArtifact, FileKind::OtherElf),
        (
            "a head of an ELF",
            b"\x7fELF".to_vec(),
            NotAnArtifact,
            FileKind::OtherElf,
        ),
        (
            "what is cut off",
            good[..good.len() - 1000].to_vec(),
            Damaged,
            FileKind::OtherElf,
        ),
        ("code", flipped(section::TEXT), Damaged, artifact),
        ("metadata", flipped(section::METADATA), Damaged, artifact),
        ("identification", flipped(section::ID), Damaged, artifact),
        (
            "a newer format",
            with_id(&good, |id| id.format_version += 1),
            version(FORMAT_VERSION + 1, None),
            FileKind::Artifact {
                format_version: FORMAT_VERSION + 1,
            },
        ),
        (
            "another compiler",
            with_id(&good, |id| id.compiler_version = "9.9.9".into()),
            version(FORMAT_VERSION, Some("9.9.9")),
            artifact,
        ),
        (
            "another processor",
            with_id(&good, |id| id.cpu_features[0] = "mmx9".into()),
            machine("mmx9"),
            artifact,
        ),
        (
            "another architecture",
            with_id(&good, |id| {
                id.target = id.target.replace("x86_64", "risc64")
            }),
            machine("risc64"),
            artifact,
        ),
    ]
}

#[test]
fn errors_say_of_which_kind_they_are() -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("input");
    for (name, bytes, kind, _) in inputs() {
        let error = Component::check(&bytes).expect_err(name);
        assert_eq!(error.kind(), &kind, "{name}: {error}");
        assert_eq!(error.path(), None);
        std::fs::write(&path, &bytes)?;
        let everything = LoadOptions::new().verify(Verify::Everything);
        // SAFETY: nothing of it is run.
        let error = unsafe { Component::from_file_with(&path, &everything) }.expect_err(name);
        assert_eq!(error.kind(), &kind, "{name}: {error}");
        assert_eq!(error.path(), Some(&*path));
        let stale = matches!(
            kind,
            LoadErrorKind::OtherVersion { .. } | LoadErrorKind::OtherMachine { .. }
        );
        assert_eq!(error.is_stale(), stale, "{name}");
        // It is still there for who only has the error of something larger.
        let outer = anyhow::Error::from(error).context("the plugin");
        let inner = outer.downcast_ref::<LoadError>().context(name)?;
        assert_eq!(inner.kind(), &kind, "{name}");
    }
    // SAFETY: there is no such file.
    let error = unsafe { Component::from_file(folder.path().join("none")) }.unwrap_err();
    assert_eq!(error.kind(), &LoadErrorKind::Io);
    let text = format!("{:#}", anyhow::Error::from(error));
    assert!(
        text.contains("none: cannot open the file: No such"),
        "{text}"
    );
    Ok(())
}

#[test]
fn what_a_file_is_is_told_by_its_head() -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("input");
    let good = compile(ADD).into_bytes();
    let kind = FileKind::Artifact {
        format_version: FORMAT_VERSION,
    };
    let inputs = inputs()
        .into_iter()
        .map(|(name, bytes, _, kind)| (name, bytes, kind));
    for (name, bytes, kind) in inputs.chain([("an artifact", good, kind)]) {
        assert_eq!(detect(&bytes), kind, "{name}");
        std::fs::write(&path, &bytes)?;
        assert_eq!(detect_file(&path)?, kind, "{name}, in a file");
        assert_eq!(
            kind.is_of_this_version(),
            matches!(
                kind,
                FileKind::Artifact {
                    format_version: FORMAT_VERSION
                }
            )
        );
    }
    assert!(detect_file(folder.path().join("none")).is_err());
    Ok(())
}

/// Bytes that nothing but loading looks at are not read; with the option they are.
#[test]
fn what_is_not_read_is_verified_on_request() -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("input.elf");
    let mut bytes = compile(ADD).into_bytes();
    let at = place(&bytes, section::SITES).end - 1;
    bytes[at] ^= 0xff;
    std::fs::write(&path, &bytes)?;
    // SAFETY: all that is run of it is as it was compiled.
    let component = unsafe { Component::from_file(&path) }?;
    assert_eq!(call(&component)?, 2);
    let everything = LoadOptions::new().verify(Verify::Everything);
    // SAFETY: as above.
    let error = unsafe { Component::from_file_with(&path, &everything) }.unwrap_err();
    assert_eq!(error.kind(), &LoadErrorKind::Damaged);
    Ok(())
}

#[test]
fn what_was_compiled_here_is_loaded_safely() -> Result<()> {
    assert_eq!(call(&compile(ADD).load()?)?, 2);
    // Unless it reaches beyond its sandbox, which no safe function may let it.
    let options = CompileOptions {
        unsafe_intrinsics_import: Some("unsafe".to_string()),
        ..CompileOptions::default()
    };
    let artifact = compile_component(&wat::parse_str(ADD)?, &options)?;
    let error = artifact.load().unwrap_err().to_string();
    assert!(error.contains("unsafe intrinsics"), "{error}");
    Ok(())
}

/// A deployment replaces the file while instances of the old one run.
#[test]
fn a_mapped_file_may_be_replaced() -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("app.elf");
    compile(ADD).write(&path)?;
    // SAFETY: written above, and replaced but not changed below.
    let old = unsafe { Component::from_file(&path) }?;
    compile(&ADD.replace("i32.const 1", "i32.const 10")).write(&path)?;
    // SAFETY: as above.
    let new = unsafe { Component::from_file(&path) }?;
    assert_eq!((call(&old)?, call(&new)?), (2, 11));
    std::fs::remove_file(&path)?;
    assert_eq!((call(&old)?, call(&new)?), (2, 11));
    Ok(())
}

/// A component with so many MiB of data that are not zero.
fn with_data(mebibytes: usize) -> Artifact {
    let piece = "A".repeat(1 << 20);
    let data: String = (0..mebibytes)
        .map(|at| format!("(data (i32.const {}) \"{piece}\")", at << 20))
        .collect();
    compile(&format!(
        r#"(component
          (core module $m
            (memory (export "m") {pages})
            {data}
            (func (export "f") (param i32) (result i32) (i32.load8_u (i32.const 0x123456))))
          (core instance $m (instantiate $m))
          (func (export "f") (param "x" u32) (result u32) (canon lift (core func $m "f"))))"#,
        pages = mebibytes << 4,
    ))
}

/// Bytes of this process that are resident.
fn resident() -> Result<usize> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: usize = text.split(' ').nth(1).context("a second number")?.parse()?;
    Ok(pages * 4096)
}

/// How long the quickest of many loads of a file takes.
fn load_time(path: &Path) -> Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..50 {
        let start = clock::thread_time();
        // SAFETY: written by this test, in a folder of its own.
        let component = unsafe { Component::from_file(path) }?;
        best = best.min(clock::thread_time() - start);
        drop(component);
    }
    Ok(best)
}

/// Loading, instantiating and calling cost neither time nor memory for the bytes that are not used.
#[test]
fn loading_costs_the_same_whatever_the_size() -> Result<()> {
    let folder = TempDir::new()?;
    let (small, large) = (
        folder.path().join("small.elf"),
        folder.path().join("large.elf"),
    );
    with_data(2).write(&small)?;
    with_data(64).write(&large)?;
    ensure!(std::fs::metadata(&large)?.len() > 64 << 20, "data is in it");
    let before = resident()?;
    // SAFETY: as above.
    let component = unsafe { Component::from_file(&large) }?;
    assert_eq!(call(&component)?, u32::from(b'A'));
    let grown = resident()?.saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes are resident");
    let times = (load_time(&small)?, load_time(&large)?);
    assert!(
        times.1 < times.0 * 5 + Duration::from_millis(1),
        "small and large take {times:?}"
    );
    // Much less than a look at every byte.
    assert!(times.1 < Duration::from_millis(5), "{times:?}");
    Ok(())
}
