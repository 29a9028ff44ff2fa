//! The one table of what commands let a guest have: [`Granted`], the options that `run` and `serve`
//! share, and `Grants`, what a process makes of them for all of its guests.
//!
//! How each is spelt is in `grants`, limits are in `limits`.

use crate::grants::{self, Directory, Setting, Variable};
use crate::imports::ImportArguments;
use crate::limits::LimitArguments;
use crate::output::shown_path;
use crate::timeout::Timeout;
use anyhow::{Context, Result, ensure};
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use trampette_runtime::{Component, Linker};
use trampette_wasi::http::{self, Destinations};
use trampette_wasi::keyvalue::{self, KeyValue};
use trampette_wasi::{Input, NetworkRule, Output, WasiCtx, WasiCtxBuilder, config};

/// What a guest is given, by whatever command.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Guest")]
pub struct Granted {
    /// Give the guest a directory, under the name GUEST if one is given; with `:ro` to read only
    ///
    /// As in `data`, `data:ro`, `data::/data`, `data::/data:ro`. A directory whose own name ends in
    /// `:ro` is written with a slash behind it.
    #[arg(long = "dir", value_name = "HOST[::GUEST][:ro]")]
    dirs: Vec<Directory>,
    /// Set an environment variable of the guest; NAME alone takes its value from here
    #[arg(
        long = "env",
        value_name = "NAME[=VALUE]",
        value_parser = OsStringValueParser::new().try_map(Variable::parse)
    )]
    env: Vec<Variable>,
    /// Give the guest the environment variables that there are here; --env sets others, or them
    #[arg(long)]
    inherit_env: bool,
    /// Give the guest the network as it is here, loopback included
    #[arg(long)]
    inherit_network: bool,
    /// Give the guest a part of the network: an address, a range of them, a name, `*`, with ports
    ///
    /// As in 192.0.2.7, 10.0.0.0/8:5432, api.example.com:443, `*.example.com`, `*:8000-8999`. `*`
    /// is everything but loopback, which is `localhost`. Sockets and requests by HTTP are permitted
    /// alike.
    #[arg(long, value_name = "TARGET[:PORTS]")]
    allow_net: Vec<NetworkRule>,
    /// Configure the guest: what `wasi:config` gives it for a name
    #[arg(long, value_name = "NAME=VALUE")]
    config: Vec<Setting>,
    /// Give the guest a store of keys and values (`wasi:keyvalue`), in this file
    ///
    /// The file is made if there is none. Guests that are given the same one share it.
    #[arg(long, value_name = "FILE")]
    keyvalue: Option<PathBuf>,
    /// Let the guest read this file as its standard input
    #[arg(long, value_name = "FILE")]
    stdin: Option<PathBuf>,
    /// Write what the guest prints to this file, which is emptied first
    #[arg(long, value_name = "FILE")]
    stdout: Option<PathBuf>,
    /// Write the guest's messages, its standard error, to this file, which is emptied first
    #[arg(long, value_name = "FILE")]
    stderr: Option<PathBuf>,
    /// End the guest, with exit code 124, when it has run for so long: `5s`, `100ms`, `2.5` (s)
    #[arg(long, value_name = "TIME")]
    pub(crate) timeout: Option<Timeout>,
    #[command(flatten)]
    pub(crate) imports: ImportArguments,
    #[command(flatten)]
    pub(crate) limits: LimitArguments,
}

/// Interfaces that do nothing, or next to nothing, unless an option of [`Granted`] gives the guest
/// something, with those options. A name that ends in a slash is a package with all it has.
const SWITCHES: &[(&[&str], &[&str])] = &[
    (&["wasi:filesystem/preopens"], &["--dir"]),
    (
        &[
            "wasi:sockets/",
            "wasi:http/outgoing-handler",
            "wasi:http/client",
            "wasi:http/handler",
        ],
        &["--allow-net", "--inherit-network"],
    ),
    (&["wasi:cli/environment"], &["--env", "--inherit-env"]),
    (&["wasi:cli/stdin"], &["--stdin"]),
    (&["wasi:config/"], &["--config"]),
    (&["wasi:keyvalue/"], &["--keyvalue"]),
];

/// The options that give a guest what an interface is for: any of them will do. None if there are
/// no such options, or it works without.
pub fn switches(interface: &str) -> &'static [&'static str] {
    let name = interface
        .split_once('@')
        .map_or(interface, |(name, _)| name);
    let is_named = |named: &&str| match named.strip_suffix('/') {
        Some(package) => name
            .split_once('/')
            .is_some_and(|(found, _)| found == package),
        None => name == *named,
    };
    let found = SWITCHES
        .iter()
        .find(|(interfaces, _)| interfaces.iter().any(&is_named));
    found.map_or(&[], |(_, options)| options)
}

/// What a guest may reach of the network.
pub(crate) enum Reach<'a> {
    /// The options say nothing.
    Unsaid,
    Everything,
    Only(&'a [NetworkRule]),
}

impl Reach<'_> {
    /// Whom requests by HTTP may go to: who may connect to somebody may send requests there. `None`
    /// if the options say nothing.
    pub(crate) fn destinations(&self) -> Option<Destinations> {
        match self {
            Reach::Unsaid => None,
            Reach::Everything => Some(Destinations::any()),
            Reach::Only(rules) => Some(Destinations::only(rules.to_vec())),
        }
    }
}

impl Granted {
    /// What may be reached of the network.
    pub(crate) fn reach(&self) -> Reach<'_> {
        match (self.inherit_network, &self.allow_net[..]) {
            (true, _) => Reach::Everything,
            (false, []) => Reach::Unsaid,
            (false, rules) => Reach::Only(rules),
        }
    }

    /// Checks that nothing is given twice, or in a way that could be meant otherwise.
    ///
    /// # Errors
    /// If something is.
    pub(crate) fn check(&self) -> Result<()> {
        grants::check(&self.dirs, &self.env)?;
        grants::check_settings(&self.config)
    }

    /// The interfaces that a guest may import: those of WASI, and of what it is given beside them.
    ///
    /// # Errors
    /// If the component imports something else.
    pub(crate) fn linker(&self, component: &Component) -> Result<Linker<WasiCtx>> {
        let mut linker = Linker::<WasiCtx>::new();
        trampette_wasi::add_to_linker(&mut linker)?;
        http::add_to_linker_0_2(&mut linker)?;
        http::add_to_linker_0_3(&mut linker)?;
        config::add_to_linker(&mut linker)?;
        // Without a file nothing would stay of what a guest sets: it does not start.
        if self.keyvalue.is_some() {
            keyvalue::add_to_linker(&mut linker)?;
        }
        self.imports.complete(&mut linker, component)?;
        Ok(linker)
    }

    /// Opens what a guest is to have.
    ///
    /// # Errors
    /// If something cannot be opened, or a variable is to have the value that it has here, and
    /// there is none.
    pub(crate) fn prepare(&self) -> Result<Grants> {
        let variables = self.variables()?;
        // Files are emptied last, when nothing else can fail.
        for directory in &self.dirs {
            directory.preopen(WasiCtxBuilder::new())?;
        }
        let keyvalue = self.keyvalue.as_deref().map(KeyValue::open);
        let keyvalue = keyvalue.transpose().context("--keyvalue")?;
        let input = self.stdin.as_deref().map(open_input).transpose()?;
        let [stdout, stderr] = open_outputs(
            [
                ("--stdout", self.stdout.as_deref()),
                ("--stderr", self.stderr.as_deref()),
            ],
            input.as_ref(),
        )?;
        Ok(Grants {
            granted: self.clone(),
            variables,
            keyvalue,
            stdin: Mutex::new(input),
            stdout,
            stderr,
        })
    }

    /// The guest's environment variables.
    fn variables(&self) -> Result<Vec<(OsString, OsString)>> {
        let own = self.env.iter().map(|variable| {
            let (name, value) = variable.resolve()?;
            Ok((name.to_os_string(), value))
        });
        let own: Vec<(OsString, OsString)> = own.collect::<Result<_>>()?;
        let mut all: Vec<(OsString, OsString)> = match self.inherit_env {
            true => std::env::vars_os().collect(),
            false => Vec::new(),
        };
        all.retain(|(name, _)| own.iter().all(|(set, _)| set != name));
        all.extend(own);
        Ok(all)
    }
}

/// What the guests of a process are given: looked up and opened once.
pub(crate) struct Grants {
    granted: Granted,
    /// What the process's own variables are later does not count.
    variables: Vec<(OsString, OsString)>,
    keyvalue: Option<KeyValue>,
    /// The input as it was opened, for the first guest: a pipe with a name is not opened twice.
    stdin: Mutex<Option<File>>,
    stdout: Option<Output>,
    stderr: Option<Output>,
}

impl Grants {
    /// Keeps variables from guests that are this process's own business.
    pub(crate) fn hide(&mut self, names: &[&str]) {
        self.variables
            .retain(|(name, _)| names.iter().all(|hidden| name != hidden));
    }

    /// Gives it to a guest. Whoever is given an input reads it from its beginning.
    ///
    /// # Errors
    /// If something cannot be opened any more.
    pub(crate) fn give(&self, mut builder: WasiCtxBuilder) -> Result<WasiCtxBuilder> {
        for (name, value) in &self.variables {
            builder = builder.env(name, value);
        }
        for directory in &self.granted.dirs {
            builder = directory.preopen(builder)?;
        }
        match self.granted.reach() {
            Reach::Unsaid => {}
            Reach::Everything => builder = builder.inherit_network(),
            Reach::Only(rules) => {
                for rule in rules {
                    builder = builder.allow_network(rule.clone());
                }
            }
        }
        for Setting { name, value } in &self.granted.config {
            builder = builder.config(name, value);
        }
        if let Some(store) = &self.keyvalue {
            builder = builder.keyvalue(store.clone());
        }
        if let Some(path) = &self.granted.stdin {
            let opened = self.stdin.lock();
            let opened = opened.unwrap_or_else(PoisonError::into_inner).take();
            let file = opened.map_or_else(|| open_input(path), Ok)?;
            builder = builder.stdin(Input::file(file));
        }
        if let Some(output) = &self.stdout {
            builder = builder.stdout(output.clone());
        }
        if let Some(output) = &self.stderr {
            builder = builder.stderr(output.clone());
        }
        Ok(builder)
    }
}

fn open_input(path: &Path) -> Result<File> {
    let open = || {
        let file = File::open(path)?;
        // Opening one succeeds, and reading it does not.
        match file.metadata()?.is_dir() {
            true => Err(std::io::ErrorKind::IsADirectory.into()),
            false => Ok::<_, std::io::Error>(file),
        }
    };
    open().with_context(|| format!("--stdin: cannot read {}", shown_path(path)))
}

/// Opens and empties the files of outputs, each with its option. Two that are one file share it, in
/// the order in which they are written to.
fn open_outputs(
    paths: [(&str, Option<&Path>); 2],
    input: Option<&File>,
) -> Result<[Option<Output>; 2]> {
    let mut files = Vec::new();
    for (option, path) in paths {
        let Some(path) = path else {
            files.push(None);
            continue;
        };
        let open = || {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            let metadata = file.metadata()?;
            Ok::<_, std::io::Error>((file, metadata))
        };
        let (file, metadata) =
            open().with_context(|| format!("{option}: cannot write {}", shown_path(path)))?;
        if let Some(input) = input
            && metadata.is_file()
        {
            let other = input.metadata().context("--stdin")?;
            ensure!(
                (other.dev(), other.ino()) != (metadata.dev(), metadata.ino()),
                "{option}: {} is the file of --stdin, and would be emptied",
                shown_path(path)
            );
        }
        files.push(Some((option, path, file, metadata.is_file())));
    }
    let empty = |file: Option<(&str, &Path, File, bool)>| {
        let Some((option, path, file, is_file)) = file else {
            return Ok(None);
        };
        if is_file {
            let emptied = file.set_len(0);
            emptied.with_context(|| format!("{option}: cannot empty {}", shown_path(path)))?;
        }
        Ok(Some(Output::file(file)))
    };
    let outputs = files.into_iter().map(empty).collect::<Result<Vec<_>>>()?;
    Ok(outputs.try_into().expect("as many as there were"))
}

/// The options that say what a guest is given, as `--help` shows them: those of two commands are to
/// be the same.
#[doc(hidden)]
pub fn options_of_guests(command: &clap::Command) -> Vec<String> {
    /// Only `run` calls exports by name.
    const OF_RUN: &str = "invoke";
    let of_guests = ["Guest", "Limits"];
    let mut command = command.clone();
    command.build();
    let options = command.get_arguments().filter(|argument| {
        let heading = argument.get_help_heading();
        heading.is_some_and(|heading| of_guests.contains(&heading))
            && argument.get_long().is_some_and(|long| long != OF_RUN)
    });
    let shown = options.map(|argument| {
        let help = argument.get_long_help().or(argument.get_help());
        format!("{argument}: {}", help.cloned().unwrap_or_default())
    });
    let mut all: Vec<String> = shown.collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[derive(clap::Parser)]
    struct Options {
        #[command(flatten)]
        granted: Granted,
    }

    /// Whatever an interface is said to need is an option that there is.
    #[test]
    fn switches_are_options() {
        let command = Options::command();
        let options: Vec<&str> = command
            .get_arguments()
            .filter_map(|one| one.get_long())
            .collect();
        for switch in SWITCHES.iter().flat_map(|(_, switches)| *switches) {
            let name = switch.strip_prefix("--").expect("dashes");
            assert!(options.contains(&name), "{switch}");
        }
    }

    #[test]
    fn interfaces_have_their_switches() {
        let network = &["--allow-net", "--inherit-network"][..];
        for (interface, expected) in [
            ("wasi:filesystem/preopens@0.2.12", &["--dir"][..]),
            ("wasi:filesystem/types@0.2.12", &[]),
            ("wasi:sockets/tcp@0.2.0", network),
            ("wasi:sockets/types@0.3.0", network),
            ("wasi:http/client@0.3.2", network),
            ("wasi:http/types@0.3.2", &[]),
            ("wasi:config/store@0.2.0-rc.1", &["--config"]),
            ("wasi:keyvalue/batch@0.2.0-draft2", &["--keyvalue"]),
            ("wasi:configuration/store", &[]),
            ("other:sockets/tcp@0.2.0", &[]),
            ("wasi:sockets", &[]),
        ] {
            assert_eq!(switches(interface), expected, "{interface}");
        }
    }
}
