//! What the command line parses, given what nobody would type: nothing panics, what is printed can
//! be read again, errors are text of their own, and all of it is quick.

use crate::clock::thread_time;
use crate::properties::Trace;
use crate::random::Random;
use crate::values::{random_char, random_type, random_value};
use anyhow::Error;
use clap::Parser;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;
use trampette_artifact::metadata::{CoreFuncType, CoreValueType};
use trampette_artifact::text::escaped_lines;
use trampette_artifact::types::{Field, FuncType, TypeTable};
use trampette_runner::grants::{self, Directory, Subject, Variable};
use trampette_runner::limits::Size;
use trampette_runner::parsers::{Callable, Timeout, core_arguments, core_print, find};
use trampette_runner::{GuestArguments, output, wave};
use trampette_runtime::{CoreVal, Store, report};

/// Processor time that one case may take.
const MOST_TIME: Duration = Duration::from_millis(500);

/// What a single argument may be at most on Linux.
const LONGEST_ARGUMENT: usize = 128 << 10;

type Outcome = Result<(), String>;

/// One case: a text or several for one of the parsers.
pub fn case(random: &mut Random, trace: &mut Trace) -> Outcome {
    let start = thread_time();
    match random.below(6) {
        0 => typed_values(random, trace),
        1 => calls(random, trace),
        2 => core_values(random, trace),
        3 => names(random, trace),
        4 => option_values(random, trace),
        _ => splitting(random, trace),
    }?;
    let time = thread_time() - start;
    match time > MOST_TIME {
        true => Err(format!("it took {time:?}")),
        false => Ok(()),
    }
}

/// Text of pieces that mean something to some parser; sometimes as long as an argument can be.
fn text(random: &mut Random) -> String {
    const PIECES: [&str; 56] = [
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "<",
        ">",
        "\"",
        "'",
        "\\",
        "\\u{",
        "\\n",
        ",",
        ":",
        "::",
        "#",
        ".",
        "@",
        "/",
        "%",
        "=",
        "-",
        "--",
        "+",
        "e",
        "0",
        "1",
        "9223372036854775808",
        "nan",
        "inf",
        "some(",
        "none",
        "ok(",
        "err",
        "true",
        "//",
        "\n",
        "\t",
        "\u{1b}[31m",
        "\u{202e}",
        "é",
        "🦀",
        "\u{2028}",
        " ",
        "M",
        "KiB",
        "ms",
        "s",
        "h",
        "a",
        "b-c",
        "f",
        "run",
        ".5",
        "f(1)",
    ];
    let mut text = String::new();
    for _ in 0..random.below(12) {
        match random.percent(15) {
            true => text.push(random_char(random)),
            false => text.push_str(random.pick(&PIECES)),
        }
    }
    if random.percent(2) {
        let times = LONGEST_ARGUMENT / text.len().max(1);
        text = text.repeat(random.below(times.max(1)) + 1);
    } else if random.percent(2) {
        let piece = random.pick(&PIECES);
        text += &piece.repeat(random.below(LONGEST_ARGUMENT / piece.len()));
    }
    text.replace('\0', "0")
}

/// Bytes of an argument: all but zero.
fn bytes(random: &mut Random) -> OsString {
    match random.percent(80) {
        true => text(random).into(),
        false => {
            let length = random.below(10);
            let bytes = random.bytes(length);
            OsString::from_vec(bytes.into_iter().filter(|byte| *byte != 0).collect())
        }
    }
}

/// One of the characters changed, taken away, or something put before it.
fn mutated(random: &mut Random, text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..1 + random.below(3) {
        let at = random.below(chars.len() + 1);
        match random.below(3) {
            0 if at < chars.len() => {
                chars.remove(at);
            }
            1 if at < chars.len() => chars[at] = random_char(random),
            _ => {
                let piece = self::text(random);
                let piece = piece.chars().take(100);
                chars.splice(at..at, piece);
            }
        }
    }
    chars.into_iter().collect()
}

/// An error is one line of text that does nothing to a terminal.
fn one_line(error: &Error) -> Outcome {
    let shown = format!("{}", report(error));
    let printed = escaped_lines(&shown).to_string();
    match printed != shown || printed.contains(['\n', '\t']) {
        true => Err(format!("an error of several lines: {shown:?}")),
        false => Ok(()),
    }
}

/// A function that takes and gives a value of a type.
fn identity(random: &mut Random, types: &mut TypeTable) -> FuncType {
    let ty = random_type(random, types, 3);
    let param = Field {
        name: "value".to_string(),
        ty,
    };
    FuncType {
        params: vec![param],
        result: Some(ty),
        is_async: false,
    }
}

fn read(
    types: &TypeTable,
    func: &FuncType,
    text: &str,
) -> Result<Vec<trampette_runtime::Val>, Error> {
    wave::Call::parse(text)?.arguments(types, func)
}

/// Values are printed and read again, whole and damaged.
fn typed_values(random: &mut Random, trace: &mut Trace) -> Outcome {
    let mut types = TypeTable::default();
    let func = identity(random, &mut types);
    let ty = func.params[0].ty;
    let value = random_value(random, &types, ty);
    trace.step(format!("{value:?} of type {}", types.display(ty)));
    let printed = match wave::print(&types, &func, std::slice::from_ref(&value)) {
        Ok(printed) => printed,
        Err(error) => {
            trace.count("type that WAVE lacks");
            return one_line(&error);
        }
    };
    trace.count("value printed and read");
    let call = format!("f({printed})");
    trace.step(&call[..]);
    let again = read(&types, &func, &call).map_err(|error| format!("not read again: {error:#}"))?;
    if format!("{again:?}") != format!("{:?}", [&value]) {
        return Err(format!("read again as {again:?}, was {value:?}"));
    }
    let call = format!("f({})", mutated(random, &printed));
    trace.step(&call[..]);
    let values = match read(&types, &func, &call) {
        Ok(values) => values,
        Err(error) => {
            trace.count("damaged value refused");
            return one_line(&error);
        }
    };
    trace.count("damaged value read");
    let printed = wave::print(&types, &func, &values);
    let printed = printed.map_err(|error| format!("{values:?} is not printed: {error:#}"))?;
    let call = format!("f({printed})");
    let again = read(&types, &func, &call).map_err(|error| format!("{call}: {error:#}"))?;
    match format!("{again:?}") == format!("{values:?}") {
        true => Ok(()),
        false => Err(format!("read again as {again:?}, was {values:?}")),
    }
}

/// Any text as a call.
fn calls(random: &mut Random, trace: &mut Trace) -> Outcome {
    let call = match random.percent(50) {
        true => text(random),
        false => format!("f({})", text(random)),
    };
    trace.step(&call[..]);
    let mut types = TypeTable::default();
    let func = identity(random, &mut types);
    match read(&types, &func, &call) {
        Ok(_) => {
            trace.count("text read as a call");
            Ok(())
        }
        Err(error) => {
            trace.count("text refused as a call");
            one_line(&error)
        }
    }
}

/// Calls of core functions.
fn core_values(random: &mut Random, trace: &mut Trace) -> Outcome {
    const TYPES: [CoreValueType; 4] = [
        CoreValueType::I32,
        CoreValueType::I64,
        CoreValueType::F32,
        CoreValueType::F64,
    ];
    let params: Vec<_> = (0..random.below(4)).map(|_| random.pick(&TYPES)).collect();
    let values = params.iter().map(|ty| match ty {
        CoreValueType::I32 => CoreVal::I32(random.integer() as i32),
        CoreValueType::I64 => CoreVal::I64(random.integer() as i64),
        CoreValueType::F32 => CoreVal::F32(random.bits() as u32),
        _ => CoreVal::F64(random.bits()),
    });
    let values: Vec<CoreVal> = values.collect();
    let ty = CoreFuncType {
        params,
        results: Vec::new(),
    };
    let printed = core_print(&values).map_err(|error| format!("{values:?}: {error:#}"))?;
    let arguments = match values.len() {
        1 => format!("({printed})"),
        _ => printed.clone(),
    };
    let read = |call: &str| core_arguments(&wave::Call::parse(call)?, &ty);
    let call = format!("f{arguments}");
    trace.step(&call[..]);
    trace.count("core values printed and read");
    let again = read(&call).map_err(|error| format!("not read again: {error:#}"))?;
    // All NaNs are one in text.
    let again = core_print(&again).map_err(|error| format!("{error:#}"))?;
    if again != printed {
        return Err(format!("read again as {again}"));
    }
    let call = mutated(random, &call);
    trace.step(&call[..]);
    match read(&call) {
        Ok(values) => core_print(&values)
            .map(drop)
            .map_err(|error| format!("{error:#}")),
        Err(error) => {
            trace.count("damaged core values refused");
            one_line(&error)
        }
    }
}

/// Which export a name means.
fn names(random: &mut Random, trace: &mut Trace) -> Outcome {
    const PARTS: [&str; 12] = [
        "run",
        "one",
        "my:pkg/one@1.2.0",
        "my:pkg/two@1.2.0",
        "my:pkg/one",
        "a",
        "$x(y)",
        "b.c",
        "a#b",
        "\"q\"",
        "x\ny",
        " ",
    ];
    let part = |random: &mut Random| match random.percent(70) {
        true => random.pick(&PARTS).to_string(),
        false => text(random),
    };
    let mut paths: Vec<Vec<String>> = Vec::new();
    for _ in 0..random.below(6) {
        let path = (0..1 + random.below(3)).map(|_| part(random));
        paths.push(path.collect());
    }
    let exports = paths.iter().map(|path| Callable {
        path: path.iter().map(String::as_str).collect(),
        arguments: "()".to_string(),
    });
    let exports: Vec<Callable<'_>> = exports.collect();
    for export in &exports {
        let joined = export.path.join("#");
        trace.step(format!("{:?} of {paths:?}", export.example()));
        let call = wave::Call::parse(&export.example());
        let call = call.map_err(|error| format!("the example is no call: {error:#}"))?;
        if call.name() != joined {
            return Err(format!("the example calls {:?}", call.name()));
        }
        let found = find(&exports, call.name()).map_err(|error| format!("{error:#}"))?;
        if exports[found].path.join("#") != joined {
            return Err(format!("the example finds {:?}", exports[found].path));
        }
        trace.count("export called as its example says");
    }
    let name = match paths.first() {
        Some(path) if random.percent(70) => mutated(random, &path.join("#")),
        _ => text(random),
    };
    trace.step(format!("{name:?} of {paths:?}"));
    let Err(error) = find(&exports, &name) else {
        trace.count("name found");
        return Ok(());
    };
    trace.count("name refused");
    // Choices are listed, a line each.
    let shown = format!("{}", report(&error));
    let mut lines = shown.lines();
    let first = lines.next().unwrap_or_default();
    let is_choice = |line: &str| {
        let line = line.strip_prefix("  ").unwrap_or_default();
        exports.iter().any(|export| export.example() == line) || line.starts_with("… (")
    };
    let kept = escaped_lines(&shown).to_string() == shown && !shown.contains('\t');
    match kept && first.contains("exported function") && lines.all(is_choice) {
        true => Ok(()),
        false => Err(format!("an error of several lines: {shown:?}")),
    }
}

/// Sizes, times, directories, variables.
fn option_values(random: &mut Random, trace: &mut Trace) -> Outcome {
    const UNITS: [&str; 16] = [
        "", "b", "K", "KB", "KiB", "m", "MiB", "G", "gib", "T", " TiB", "ms", "s", "h", " s", "x",
    ];
    let number = match random.below(4) {
        0 => random.integer().to_string(),
        1 => format!("{}.{:09}", random.integer(), random.below(1_000_000_000)),
        2 => format!("{}.{}", random.below(1000), random.below(1000)),
        _ => format!("{:?}", f64::from_bits(random.bits())),
    };
    let text = match random.percent(70) {
        true => number + random.pick(&UNITS),
        false => text(random),
    };
    trace.step(&text[..]);
    match text.parse::<Size>() {
        Ok(size) if size.to_string().parse::<Size>().ok() != Some(size) => {
            return Err(format!("the size {size} is not read again"));
        }
        Ok(_) => trace.count("size read"),
        Err(error) => one_line(&error)?,
    }
    match text.parse::<Timeout>() {
        Ok(time) if time.to_string().parse::<Timeout>().ok() != Some(time) => {
            let again = time.to_string().parse::<Timeout>();
            return Err(format!(
                "the time {time} ({time:?}) is read again as {again:?}"
            ));
        }
        Ok(time) => {
            trace.count("time read");
            if random.percent(10) {
                let mut store = Store::new(());
                let started = time.start(&mut store);
                started.map_err(|error| format!("no clock: {error:#}"))?;
            }
        }
        Err(error) => one_line(&error)?,
    }
    match text.parse::<Directory>() {
        Ok(directory) => {
            trace.count("directory read");
            let whole = format!("{}::{}", directory.host, directory.guest);
            match whole.parse::<Directory>() {
                Ok(again) if again == directory => {}
                // `:` next to the separator is doubtful.
                Err(_) if whole.contains(":::") => {}
                again => return Err(format!("{whole} is read again as {again:?}")),
            }
            if let Err(error) = grants::check(&[directory.clone(), directory], &[]) {
                one_line(&error)?;
            }
        }
        Err(error) => one_line(&error)?,
    }
    let variable = bytes(random);
    trace.step(format!("{variable:?}"));
    match Variable::parse(variable.clone()) {
        Ok(parsed) => {
            trace.count("variable read");
            match parsed.resolve() {
                Ok((name, value)) => {
                    let again = [name.as_bytes(), b"=", value.as_bytes()].concat();
                    if variable.as_bytes().contains(&b'=') && again != variable.as_bytes() {
                        return Err(format!("read as {name:?} and {value:?}"));
                    }
                }
                Err(error) => one_line(&error)?,
            }
            if let Err(error) = grants::check(&[], &[parsed.clone(), parsed]) {
                one_line(&error)?;
            }
        }
        Err(error) => one_line(&error)?,
    }
    Ok(())
}

/// The arguments of `trampette-run`.
#[derive(Parser, Debug)]
#[command(name = "trampette-run", version)]
struct Line {
    #[command(flatten)]
    guest: GuestArguments,
    #[command(flatten)]
    subject: Subject,
}

/// What stands after the input is the guest's, whatever it is.
fn splitting(random: &mut Random, trace: &mut Trace) -> Outcome {
    const OPTIONS: [&[&str]; 12] = [
        &["--dir", "a::b"],
        &["--dir=."],
        &["--env", "A=1"],
        &["--env=B"],
        &["--timeout", "5s"],
        &["--timeout=0.5"],
        &["--invoke", "f(1)"],
        &["--trap-unknown-imports"],
        &["--trap-unknown-imports=env"],
        &["--max-memory", "128M"],
        &["--max-stack=1M"],
        &["--max-table-elements", "100"],
    ];
    let mut own: Vec<OsString> = vec!["trampette-run".into()];
    let mut given = Vec::new();
    for _ in 0..random.below(4) {
        let option = random.below(OPTIONS.len());
        let name = |option: usize| OPTIONS[option][0].split('=').next();
        // Most may be given once.
        if !given.contains(&name(option)) {
            given.push(name(option));
            own.extend(OPTIONS[option].iter().map(OsString::from));
        }
    }
    let separated = random.percent(20);
    own.extend(separated.then(|| "--".into()));
    let input: OsString = match random.below(4) {
        0 => "-".into(),
        1 => "app.wasm".into(),
        _ => bytes(random),
    };
    // Without `--` an input that looks like an option is one.
    let is_input = separated || input == "-" || !input.as_bytes().starts_with(b"-");
    let tail: Vec<OsString> = (0..random.below(5))
        .map(|_| match random.below(3) {
            0 => "--".into(),
            1 => {
                let option = random.pick(&OPTIONS);
                random.pick(option).into()
            }
            _ => bytes(random),
        })
        .collect();
    let whole = || own.iter().chain([&input]).chain(&tail);
    trace.step(format!("{:?}", whole().collect::<Vec<_>>()));
    let line = Line::try_parse_from(whole());
    let line = match line {
        Ok(line) => line,
        Err(error) => {
            trace.count("line refused");
            let shown = output::usage(&error);
            let clean = escaped_lines(&shown).to_string() == shown;
            return match (is_input, clean) {
                (true, _) => Err(format!("refused: {shown:?}")),
                (false, false) => Err(format!("control characters: {shown:?}")),
                (false, true) => Ok(()),
            };
        }
    };
    if !is_input {
        trace.count("line with another input");
        return Ok(());
    }
    trace.count("line split");
    if line.subject.input().as_os_str() != input {
        return Err(format!("the input is {:?}", line.subject.input()));
    }
    if line.subject.raw_arguments() != tail {
        return Err(format!(
            "the guest is given {:?}",
            line.subject.raw_arguments()
        ));
    }
    let text: Option<Vec<&str>> = tail.iter().map(|one| OsStr::to_str(one)).collect();
    match (line.subject.arguments(), text) {
        (Ok(arguments), Some(text)) if arguments == text => {}
        (Err(error), None) => one_line(&error)?,
        (arguments, _) => return Err(format!("as text: {arguments:?}")),
    }
    let alone = Line::try_parse_from(own.iter().chain([&input]));
    let alone = alone.map_err(|error| format!("alone it is refused: {error}"))?;
    match format!("{:?}", alone.guest) == format!("{:?}", line.guest) {
        true => Ok(()),
        false => Err(format!(
            "options differ: {:?}, {:?}",
            alone.guest, line.guest
        )),
    }
}
