//! The WIT texts in `wit/`: that they resolve, that the README lists them, and that the example
//! whose world is there has that world.

use anyhow::{Context, Result};
use std::path::Path;
use trampette_runtime::{Linker, Store};

mod greeter {
    trampette_bindgen::bindgen!({ path: "wit", world: "greeter" });
}

impl greeter::GreeterImports for Vec<String> {
    fn log(&mut self, message: &str) -> Result<()> {
        self.push(message.to_string());
        Ok(())
    }
}

#[test]
fn the_example_has_its_world() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let wasm = wat::parse_file(folder.join("examples/greeter.wat"))?;
    let artifact = trampette::compile_component(&wasm, &trampette::CompileOptions::default())?;
    let component = artifact.load()?;
    let wit = component.wit().context("a component has a world")?;
    assert!(
        wit.contains("export greet: func(name: string) -> string;"),
        "{wit}"
    );
    let mut linker = Linker::new();
    greeter::Greeter::add_to_linker(&mut linker, |log: &mut Vec<String>| log)?;
    let mut store = Store::new(Vec::new());
    let greeter = greeter::Greeter::instantiate(&mut store, &component, &linker)?;
    assert_eq!(greeter.call_greet(&mut store, "Ada")?, "Hello, Ada!");
    assert_eq!(store.data(), &["Ada"]);
    Ok(())
}

/// Every package is in a folder of its name, and has a row in the README.
#[test]
fn packages_are_where_the_readme_says() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("wit");
    let readme = std::fs::read_to_string(folder.join("README.md"))?;
    let mut resolve = wit_parser::Resolve::new();
    let (main, _) = resolve.push_dir(&folder)?;
    let mut found = 0;
    for (id, package) in &resolve.packages {
        let name = &package.name;
        if id != main {
            let version = name
                .version
                .as_ref()
                .context("a dependency has a version")?;
            let place = format!("deps/{}-{}-{version}", name.namespace, name.name);
            assert!(folder.join(&place).is_dir(), "{name} is not in {place}");
            let row = format!("| `{place}/` | `{name}` |");
            assert!(readme.contains(&row), "wit/README.md has no row `{row}`");
            found += 1;
        }
    }
    let folders = std::fs::read_dir(folder.join("deps"))?.count();
    assert_eq!(found, folders, "a folder of `deps` is no package");
    Ok(())
}
