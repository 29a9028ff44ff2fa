//! Rules about the repository itself: what a file looks like, where imports may point, and that the
//! documents name what is there.

#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/recursion.rs"]
mod recursion;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/source.rs"]
mod source;

use source::{Token, rust_files, text_files};
use std::path::Path;

/// Lines that a file of Rust may have.
const LONGEST_FILE: usize = 800;

/// Columns of a comment, and of prose in Markdown.
const WIDEST_LINE: usize = 100;

/// Functions with a parameter of type `bool`: the flag is the thing itself, not a choice of
/// behaviour.
const BOOL_PARAMETERS: &[&str] = &[
    // The embedder's own setting.
    "allow_shadowing",
    // Whether a global is mutable, as metadata has it.
    "core_global",
    // Parameters of the type `bool` of WIT.
    "prims",
    "many",
    "set_keep_alive_enabled",
];

/// Recursive functions of the compiler, by the first of their files, with what bounds their depth,
/// whatever the input is.
const RECURSIVE: &[(&str, &str)] = &[
    (
        "crates/artifact/src/spelling.rs: push_around push_defined push_fields push_type",
        TYPES,
    ),
    (
        "src/component/exports.rs: export_instance export_item",
        NESTED,
    ),
    ("src/component/imports.rs: provide provide_instance", NESTED),
    ("src/component/wit.rs: defined_text type_text", TYPES),
    ("src/component/wit.rs: written_length", TYPES),
    (
        "src/modules/lone.rs: instantiate provider",
        "each level is a module that the command line names",
    ),
    (
        "src/trampolines/transfer/lists.rs: contents defined elements fields fixed_length_list list \
         list_in_arena many record shape some_fields value variant",
        TYPES,
    ),
    (
        "src/codegen/known.rs: extended",
        "each level is of a wider type",
    ),
    ("src/passes/byte_loops.rs: advance", "`MOST_TERMS`"),
    ("src/passes/byte_loops.rs: copy_sum", "`MOST_TERMS`"),
    ("src/passes/forward.rs: constant", "`DEPTH`"),
    ("src/passes/forward.rs: sum", "`DEPTH`"),
];
/// wasmparser refuses types that are nested deeper than 100 levels ("type nesting is too deep"), as
/// does the type table (`MAX_TYPE_DEPTH`).
const TYPES: &str = "depth of types";
/// Instances in instances, each level counted by `Flattener::nested` (`MAX_DEPTH`), like components
/// that are instantiated in components.
const NESTED: &str = "depth of instances";

/// What calls another type's or library's function of its own name, or hands tasks to a pool.
const NAMESAKES: &[&str] = &[
    "crates/artifact/src/ids.rs: clone",
    "crates/artifact/src/ids.rs: get_mut",
    "crates/artifact/src/ids.rs: iter_mut",
    "src/compile/machine.rs: disassemble",
    "src/compile/mod.rs: visit",
    "src/compile/scheduler.rs: run spawn",
    "src/link/debug.rs: row",
    "src/modules/translate/atomics.rs: atomic_load",
    "src/modules/translate/atomics.rs: atomic_rmw",
    "src/modules/translate/atomics.rs: atomic_store",
    "src/modules/translate/control.rs: block_call",
    "src/modules/translate/control.rs: jump",
    "src/modules/translate/simd/lanes.rs: bitselect",
    "src/modules/translate/simd/lanes.rs: shuffle",
    "src/modules/translate/simd/lanes.rs: splat",
    "src/passes/forward.rs: block decide",
    "src/program/lock.rs: into_inner",
    "src/program/lock.rs: lock",
    "src/trampolines/transfer/scalars.rs: bitcast",
];

/// Fails with all that is wrong, a line each.
fn expect_nothing(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{}\n", wrong.join("\n"));
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut wrong = Vec::new();
    for file in rust_files() {
        let lines = file.text.lines().count();
        if lines > LONGEST_FILE {
            wrong.push(format!(
                "{}: {lines} lines; is there a second subject in it?",
                file.path
            ));
        }
        if !file.text.starts_with("//!") {
            wrong.push(format!("{}: does not open with `//!`", file.path));
        }
    }
    expect_nothing(wrong);
}

#[test]
fn prose_is_narrow() {
    let mut wrong = Vec::new();
    for file in text_files() {
        let markdown = file.path.ends_with(".md");
        if !markdown && !file.path.ends_with(".rs") {
            continue;
        }
        for (index, line) in file.text.lines().enumerate() {
            let prose = markdown || line.trim_start().starts_with("//");
            if prose && line.chars().count() > WIDEST_LINE {
                wrong.push(format!(
                    "{}:{}: wider than {WIDEST_LINE}",
                    file.path,
                    index + 1
                ));
            }
        }
    }
    expect_nothing(wrong);
}

#[test]
fn imports_go_down() {
    let mut wrong = Vec::new();
    for house in rooms::HOUSES {
        let (edges, unknown) = rooms::imports(house);
        wrong.extend(unknown);
        for edge in edges {
            if !house.may_import(&edge.from, &edge.to) {
                wrong.push(format!(
                    "{}:{}: `{}` imports `{}`, which is not below it",
                    edge.path, edge.line, edge.from, edge.to
                ));
            }
        }
    }
    expect_nothing(wrong);
}

#[test]
fn every_room_is_on_a_floor_and_on_the_map() {
    let mut wrong = Vec::new();
    let map = documents::read("ARCHITECTURE.md");
    for house in rooms::HOUSES {
        let (described, standing) = (documents::rooms(&map, house.folder), house.rooms_on_disk());
        for room in &standing {
            if !house.has(room) {
                wrong.push(format!(
                    "{}: `{room}` stands on no floor of the test",
                    house.folder
                ));
            }
            if !described.contains(room) {
                wrong.push(format!(
                    "ARCHITECTURE.md: no row for `{room}` of {}",
                    house.folder
                ));
            }
        }
        for room in described.difference(&standing) {
            wrong.push(format!(
                "ARCHITECTURE.md: `{room}` is not in {}",
                house.folder
            ));
        }
        for room in house.floors.iter().copied().flatten() {
            if !standing.contains(*room) {
                wrong.push(format!(
                    "the test's floor `{room}` is not in {}",
                    house.folder
                ));
            }
        }
    }
    expect_nothing(wrong);
}

#[test]
fn every_file_is_in_the_header_of_its_room() {
    let files = rust_files();
    let mut wrong = Vec::new();
    for room in files.iter().filter(|file| file.path.ends_with("/mod.rs")) {
        let header: String = room
            .text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .collect();
        let folder = room.path.trim_end_matches("mod.rs");
        let inside = rooms::HOUSES
            .iter()
            .any(|house| folder.starts_with(house.folder));
        for file in files.iter().filter(|_| inside) {
            let Some(below) = file.path.strip_prefix(folder) else {
                continue;
            };
            let name = below
                .split('/')
                .next()
                .unwrap_or_default()
                .trim_end_matches(".rs");
            let tests = name == "mod" || name == "testing" || name.ends_with("tests");
            if !tests && !header.contains(&format!("`{name}`")) {
                wrong.push(format!("{}: no word on `{name}`", room.path));
            }
        }
    }
    wrong.dedup();
    expect_nothing(wrong);
}

/// What the roots of the crates export that is understood without an example.
const WITHOUT_EXAMPLE: &[&str] = &[
    // Passed on by those who implement `Lift` and `Lower` by hand.
    "TypeContext",
    "LiftContext",
    "LowerContext",
    "NativeSlice",
    "NativeOption",
    "NativeResult",
    "NativeResultPayload",
    // Modules, which have examples of their own.
    "wait",
    // What guests' handles of WASI stand for; hosts do not make them.
    "Access",
    "Descriptor",
    "DirectoryEntryStream",
    "IoError",
    "Pollable",
    "InputStream",
    "OutputStream",
    // Made by `bindgen!` from WIT.
    "DescriptorFlags",
    "DescriptorStat",
    "DescriptorType",
    "DirectoryEntry",
    "ErrorCode",
    "OpenFlags",
    "PathFlags",
    "StreamError",
];

#[test]
fn what_roots_export_has_an_example() {
    let roots: [(&str, &[&str]); 3] = [
        (
            "crates/runtime/src/lib.rs",
            &["crates/runtime/src", "crates/artifact/src"],
        ),
        ("crates/wasi/src/lib.rs", &["crates/wasi/src"]),
        ("src/lib.rs", &["src"]),
    ];
    let files = rust_files();
    let mut wrong = Vec::new();
    for (root, folders) in roots {
        let found = documents::items_without_example(root, folders, &files, WITHOUT_EXAMPLE);
        wrong.extend(found);
        let text = documents::read(root);
        let front = text.lines().take_while(|line| line.starts_with("//!"));
        if !front.clone().any(|line| line.contains("```")) {
            wrong.push(format!("{root}: its front page has no example"));
        }
        let private = front.filter(|line| line.starts_with("//! | `") && line.contains(".rs`"));
        wrong.extend(private.map(|line| format!("{root}: a map of private modules: {line}")));
    }
    expect_nothing(wrong);
}

#[test]
fn documents_name_what_is_there() {
    let mut wrong = Vec::new();
    for file in text_files()
        .iter()
        .filter(|file| file.path.ends_with(".md"))
    {
        wrong.extend(documents::dangling_names(file));
    }
    expect_nothing(wrong);
}

#[test]
fn no_parameter_is_a_bool() {
    let mut wrong = Vec::new();
    for file in rust_files() {
        source::functions(&source::tokens(&file), &mut |name, line, parameters| {
            let is_bool = |window: &[Token]| {
                let ends = window.get(2).is_none_or(|token| token.is_punct(','));
                window[0].is_punct(':') && window[1].is_ident("bool") && ends
            };
            let found = (0..parameters.len().saturating_sub(1))
                .any(|start| is_bool(&parameters[start..(start + 3).min(parameters.len())]));
            if found && !BOOL_PARAMETERS.contains(&name) {
                wrong.push(format!("{}:{line}: `{name}` takes a `bool`", file.path));
            }
        });
    }
    expect_nothing(wrong);
}

/// The macros panic where a reader is gone or a disk is full.
#[test]
fn one_file_writes_to_standard_output_and_error() {
    let macros = ["print", "println", "eprint", "eprintln", "dbg"];
    let mut wrong = Vec::new();
    for file in rust_files() {
        let ours = file.path.starts_with("src/") || file.path.contains("/src/");
        let apart = ["bench/", "fuzz/"]
            .iter()
            .any(|top| file.path.starts_with(top));
        if !ours || apart || file.path.ends_with("tests.rs") || file.path.contains("/tests/") {
            continue;
        }
        let tokens = source::tokens(&file);
        let mut index = 0;
        while index + 1 < tokens.len() {
            if rooms::is_test_attribute(&tokens[index..]) {
                index = rooms::after_item(&tokens, index);
                continue;
            }
            if let [Token::Ident(name, line), next, ..] = &tokens[index..]
                && macros.contains(&name.as_str())
                && next.is_punct('!')
            {
                wrong.push(format!(
                    "{}:{line}: `{name}!`; `trampette_runner::output` prints without panics",
                    file.path
                ));
            }
            index += 1;
        }
    }
    expect_nothing(wrong);
}

#[test]
fn recursion_is_bounded() {
    let mut files = rust_files();
    files.retain(|file| {
        let is_compiler = ["src/", "crates/artifact/src/"]
            .iter()
            .any(|top| file.path.starts_with(top));
        // Commands are run with what their user gives.
        let apart = ["src/cli/", "src/wast/"]
            .iter()
            .any(|top| file.path.starts_with(top));
        let is_test = file.path.ends_with("tests.rs") || file.path.contains("/testing");
        is_compiler && !apart && !is_test
    });
    let found = recursion::circles(&files);
    let known = RECURSIVE.iter().map(|(circle, _)| *circle);
    let known: Vec<&str> = known.chain(NAMESAKES.iter().copied()).collect();
    let new = found
        .iter()
        .filter(|circle| !known.contains(&circle.as_str()));
    let mut wrong: Vec<String> = new
        .map(|circle| format!("{circle}: recursive; is its depth bounded?"))
        .collect();
    let gone = known.iter().filter(|circle| !found.contains(**circle));
    wrong.extend(gone.map(|circle| format!("{circle}: not found any more")));
    expect_nothing(wrong);
}

#[test]
fn no_path_of_a_machine() {
    // Spelt in two parts, so that this file is no example of it.
    let roots = [
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/"),
        concat!("/Us", "ers/"),
    ];
    let mut wrong = Vec::new();
    for file in text_files() {
        for (index, line) in file.text.lines().enumerate() {
            let found = roots.iter().find(|root| {
                line.match_indices(**root).any(|(at, _)| {
                    // A longer relative path, as in `tests/work/`, is none.
                    at == 0
                        || !line[..at]
                            .ends_with(|c: char| c.is_alphanumeric() || "._-)".contains(c))
                })
            });
            if let Some(root) = found {
                wrong.push(format!("{}:{}: a path below {root}", file.path, index + 1));
            }
        }
    }
    expect_nothing(wrong);
}

#[test]
fn every_package_has_the_lints() {
    let workspace = documents::read("Cargo.toml");
    for lint in ["missing_docs", "undocumented_unsafe_blocks"] {
        let on = workspace
            .lines()
            .any(|line| line == format!("{lint} = \"warn\""));
        assert!(on, "Cargo.toml: {lint} is not in the workspace's lints");
    }
    for file in text_files() {
        let name = Path::new(&file.path).file_name();
        let apart = file.path.starts_with("bench/") || file.path.starts_with("fuzz/");
        if name.is_some_and(|name| name == "Cargo.toml") && !apart {
            let lints = file.text.contains("[lints]\nworkspace = true");
            assert!(lints, "{}: the workspace's lints are not on", file.path);
            // Not for all targets: tests are crates of which nothing can be reached.
            let library = file.path.replace("Cargo.toml", "src/lib.rs");
            let closed = documents::read(&library).contains("warn(unreachable_pub)");
            assert!(closed, "{library}: unreachable_pub is not on");
        }
    }
}

/// What is not optimised when users build is optimised in what is published.
#[test]
fn published_binaries_are_optimised() {
    let workspace = documents::read("Cargo.toml");
    let levels = |profile: &str, level: u32| -> Vec<String> {
        let title = format!("[profile.{profile}.package]\n");
        let (_, rest) = workspace.split_once(&title).expect("the profile");
        let (section, _) = rest.split_once("\n\n").unwrap_or((rest, ""));
        let name = |line: &str| {
            let (name, value) = line.split_once(".opt-level = ").expect("a level");
            assert_eq!(value, level.to_string(), "{profile}: {name}");
            name.to_string()
        };
        section.lines().map(name).collect()
    };
    assert_eq!(levels("release", 0), levels("dist", 3));
}
