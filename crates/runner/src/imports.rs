//! What a guest imports and a command line does not provide: satisfied by traps where that was
//! asked for or does no harm, and otherwise named, all of it, with what would provide it.

use anyhow::{Result, bail};
use clap::Args;
use std::collections::BTreeMap;
use std::fmt::Write;
use trampette_artifact::metadata::CoreInterface;
use trampette_runtime::{Component, CoreHost, Linker};

/// Names of one interface that an error lists at most.
const MOST_NAMES: usize = 6;

/// Interfaces that language runtimes import whether the program uses them or not, and why calls of
/// them fail.
const REFUSED: &[(&str, &str)] = &[("wasi:sockets/", "the guest has no network")];

/// The version of `wasi:keyvalue` that there is.
const KEYVALUE: &str = "0.2.0-draft2";

/// Options on imports.
#[derive(Args, Clone, Debug, Default)]
pub struct ImportArguments {
    /// Let imports that nothing provides trap when they are called
    ///
    /// Without it a guest with such imports does not start. With a PREFIX only those of interfaces
    /// (of core modules: modules) whose names start with it.
    #[arg(
        long,
        value_name = "PREFIX",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    trap_unknown_imports: Vec<String>,
}

impl ImportArguments {
    /// Defines traps for what may be missing, and checks that nothing else is.
    ///
    /// # Errors
    /// If an import is missing: all that are, by interface.
    pub(crate) fn complete<T>(&self, linker: &mut Linker<T>, component: &Component) -> Result<()> {
        for (prefix, why) in REFUSED {
            linker.define_unknown_imports_as_traps_because(component, prefix, why)?;
        }
        for prefix in &self.trap_unknown_imports {
            let why = "nothing provides it (--trap-unknown-imports)";
            linker.define_unknown_imports_as_traps_because(component, prefix, why)?;
        }
        let missing = linker.missing_imports(component);
        if missing.is_empty() {
            return Ok(());
        }
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for path in missing {
            if let Some((name, instances)) = path.split_last() {
                groups
                    .entry(instances.join(" / "))
                    .or_default()
                    .push(name.clone());
            }
        }
        bail!(listing("the component", &groups, |interface| {
            component_provider(interface)
        }))
    }

    /// The same for a core module on its own: adds functions that trap to what the host gives it,
    /// `provided` says what that is.
    ///
    /// # Errors
    /// As [`ImportArguments::complete`].
    pub(crate) fn complete_core<T>(
        &self,
        host: &mut CoreHost<T>,
        interface: &CoreInterface,
        provided: impl Fn(&str, &str) -> bool,
    ) -> Result<()> {
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for import in &interface.imports {
            let (module, name) = (&import.module, &import.name);
            if provided(module, name) {
                continue;
            }
            let trapping = self
                .trap_unknown_imports
                .iter()
                .any(|p| module.starts_with(p));
            if !trapping {
                groups.entry(module.clone()).or_default().push(name.clone());
                continue;
            }
            let message =
                format!("import `{module}` `{name}`: nothing provides it (--trap-unknown-imports)");
            host.func(module, name, move |_, _| bail!("{message}"));
        }
        if groups.is_empty() {
            return Ok(());
        }
        bail!(listing("the module", &groups, |module| {
            format!("a core module: --core-module {module}=FILE")
        }))
    }
}

/// All that is missing, a line an interface, and below it what would provide it.
fn listing(
    who: &str,
    groups: &BTreeMap<String, Vec<String>>,
    provider: impl Fn(&str) -> String,
) -> String {
    let mut text = format!("{who} imports what nothing here provides:");
    for (interface, names) in groups {
        let shown = names.iter().take(MOST_NAMES).map(String::as_str);
        let mut shown = shown.collect::<Vec<_>>().join(", ");
        if names.len() > MOST_NAMES {
            // Writing to a string does not fail.
            let _ = write!(shown, ", … ({} in all)", names.len());
        }
        let place = match &interface[..] {
            "" => "",
            name => &format!("{name}: "),
        };
        let _ = write!(
            text,
            "\n  {place}{shown}\n    provided by {}",
            provider(interface)
        );
    }
    text.push_str("\nWith --trap-unknown-imports it runs all the same until it calls one of them.");
    text
}

/// What would provide an interface to a component.
fn component_provider(interface: &str) -> String {
    let host = "a host that embeds Trampette, or a component that is composed with this one";
    let Some(name) = interface.strip_prefix("wasi:") else {
        return host.to_string();
    };
    if let Some(named) = name.strip_prefix("keyvalue/") {
        return match named.split_once('@') {
            Some(("store" | "atomics" | "batch", version)) if version == KEYVALUE => {
                "a store of keys and values: --keyvalue FILE".to_string()
            }
            _ => format!(
                "a host with this version of it; --keyvalue FILE provides `store`, `atomics` and \
                 `batch` of {KEYVALUE}"
            ),
        };
    }
    let known = ["cli/", "clocks/", "filesystem/", "io/", "random/"];
    match name.split_once('@') {
        Some((base, version)) if known.iter().any(|package| base.starts_with(package)) => {
            format!("a host of WASI {version}; here are 0.2 and 0.3")
        }
        _ => "a host with this part of WASI; here are the interfaces of commands".to_string(),
    }
}
