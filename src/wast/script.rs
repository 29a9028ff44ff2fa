//! A script as plain data: every module and component encoded, every directive with its line.

use std::path::Path;
use wast::core::{WastArgCore, WastRetCore};
use wast::lexer::Lexer;
use wast::parser::ParseBuffer;
use wast::token::Id;
use wast::{QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, Wat};

/// One directive of a script.
#[derive(Debug)]
pub struct Directive<'s> {
    /// The line of its keyword, from 1.
    pub line: usize,
    /// Its keyword.
    pub keyword: &'static str,
    /// What it does.
    pub action: Action<'s>,
}

/// What a directive does.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Action<'s> {
    /// `(module …)`, `(component …)`, `(module definition …)`, `(component definition …)`.
    Define {
        name: Option<&'s str>,
        source: Source,
        instantiate: Instantiate,
    },
    /// `(module instance …)`, `(component instance …)`.
    Instance {
        instance: Option<&'s str>,
        definition: Option<&'s str>,
    },
    Register {
        name: &'s str,
        module: Option<&'s str>,
    },
    Invoke(Invoke<'s>),
    AssertReturn {
        exec: Execute<'s>,
        results: Vec<WastRet<'s>>,
    },
    AssertTrap {
        exec: Execute<'s>,
        message: &'s str,
    },
    AssertExhaustion {
        call: Invoke<'s>,
        message: &'s str,
    },
    AssertException {
        exec: Execute<'s>,
    },
    AssertSuspension {
        exec: Execute<'s>,
        message: &'s str,
    },
    /// `assert_invalid`, `assert_malformed` and their `_custom` variants.
    AssertRejected {
        source: Source,
        message: &'s str,
        because: Rejection,
    },
    AssertUnlinkable {
        source: Source,
        message: &'s str,
    },
    Thread {
        name: &'s str,
        shared: Option<&'s str>,
        directives: Vec<Directive<'s>>,
    },
    Wait {
        thread: &'s str,
    },
}

/// Whether a definition is instantiated at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Instantiate {
    Yes,
    No,
}

/// Why a source must be rejected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Rejection {
    Malformed,
    Invalid,
    MalformedCustom,
    InvalidCustom,
}

/// Core modules or components.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Space {
    Core,
    Component,
}

/// A module or component of a script.
#[derive(Debug)]
pub struct Source {
    /// Which of the two it is.
    pub space: Space,
    /// Its binary form, or why its text has none.
    pub wasm: Result<Vec<u8>, String>,
    /// Whether it was written as `quote`.
    pub quoted: bool,
}

/// A call.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Invoke<'s> {
    pub module: Option<&'s str>,
    pub function: &'s str,
    pub arguments: Vec<WastArg<'s>>,
}

/// Something that gives results.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Execute<'s> {
    Invoke(Invoke<'s>),
    /// An instantiation.
    Source(Source),
    Get {
        module: Option<&'s str>,
        global: &'s str,
    },
}

/// Whether strings may hold Unicode characters that look like something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum ConfusingUnicode {
    Allowed,
    Refused,
}

/// Scripts that test names have confusing ones on purpose.
pub fn confusing_unicode(path: &Path) -> ConfusingUnicode {
    match path.to_string_lossy().ends_with("names.wast") {
        true => ConfusingUnicode::Allowed,
        false => ConfusingUnicode::Refused,
    }
}

/// Why a script cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ScriptError {
    /// Where, from 1.
    pub line: usize,
    /// Why.
    pub message: String,
}

/// Parses a script and hands its directives to `run`.
///
/// # Errors
/// If it is no script.
pub(super) fn parse<R>(
    text: &str,
    unicode: ConfusingUnicode,
    run: impl for<'s> FnOnce(&'s [Directive<'s>]) -> R,
) -> Result<R, ScriptError> {
    let located = |error: wast::Error| ScriptError {
        line: error.span().linecol_in(text).0 + 1,
        message: error.message(),
    };
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(unicode == ConfusingUnicode::Allowed);
    let buffer = ParseBuffer::new_with_lexer(lexer).map_err(located)?;
    let script: Wast<'_> = wast::parser::parse(&buffer).map_err(located)?;
    let reader = Reader { text };
    let directives = script.directives.into_iter().map(|d| reader.directive(d));
    Ok(run(&directives.collect::<Vec<_>>()))
}

struct Reader<'t> {
    text: &'t str,
}

impl Reader<'_> {
    fn directive<'s>(&self, directive: WastDirective<'s>) -> Directive<'s> {
        let line = directive.span().linecol_in(self.text).0 + 1;
        let (keyword, action) = self.action(directive);
        Directive {
            line,
            keyword,
            action,
        }
    }

    fn action<'s>(&self, directive: WastDirective<'s>) -> (&'static str, Action<'s>) {
        let rejected = |mut module, message, because| Action::AssertRejected {
            source: source(&mut module),
            message,
            because,
        };
        match directive {
            WastDirective::Module(module) => self.define(module, Instantiate::Yes),
            WastDirective::ModuleDefinition(module) => self.define(module, Instantiate::No),
            WastDirective::ModuleInstance {
                instance, module, ..
            } => (
                "instance",
                Action::Instance {
                    instance: name(instance),
                    definition: name(module),
                },
            ),
            WastDirective::Register {
                name: as_name,
                module,
                ..
            } => (
                "register",
                Action::Register {
                    name: as_name,
                    module: name(module),
                },
            ),
            WastDirective::Invoke(call) => ("invoke", Action::Invoke(invoke(call))),
            WastDirective::AssertReturn { exec, results, .. } => {
                let exec = execute(exec);
                ("assert_return", Action::AssertReturn { exec, results })
            }
            WastDirective::AssertTrap { exec, message, .. } => {
                let exec = execute(exec);
                ("assert_trap", Action::AssertTrap { exec, message })
            }
            WastDirective::AssertExhaustion { call, message, .. } => {
                let call = invoke(call);
                (
                    "assert_exhaustion",
                    Action::AssertExhaustion { call, message },
                )
            }
            WastDirective::AssertException { exec, .. } => {
                let exec = execute(exec);
                ("assert_exception", Action::AssertException { exec })
            }
            WastDirective::AssertSuspension { exec, message, .. } => {
                let exec = execute(exec);
                (
                    "assert_suspension",
                    Action::AssertSuspension { exec, message },
                )
            }
            WastDirective::AssertMalformed {
                module, message, ..
            } => (
                "assert_malformed",
                rejected(module, message, Rejection::Malformed),
            ),
            WastDirective::AssertInvalid {
                module, message, ..
            } => (
                "assert_invalid",
                rejected(module, message, Rejection::Invalid),
            ),
            WastDirective::AssertMalformedCustom {
                module, message, ..
            } => (
                "assert_malformed_custom",
                rejected(module, message, Rejection::MalformedCustom),
            ),
            WastDirective::AssertInvalidCustom {
                module, message, ..
            } => (
                "assert_invalid_custom",
                rejected(module, message, Rejection::InvalidCustom),
            ),
            WastDirective::AssertUnlinkable {
                module, message, ..
            } => (
                "assert_unlinkable",
                Action::AssertUnlinkable {
                    source: source(&mut QuoteWat::Wat(module)),
                    message,
                },
            ),
            WastDirective::Thread(thread) => (
                "thread",
                Action::Thread {
                    name: thread.name.name(),
                    shared: name(thread.shared_module),
                    directives: thread
                        .directives
                        .into_iter()
                        .map(|d| self.directive(d))
                        .collect(),
                },
            ),
            WastDirective::Wait { thread, .. } => (
                "wait",
                Action::Wait {
                    thread: thread.name(),
                },
            ),
        }
    }

    fn define<'s>(
        &self,
        mut module: QuoteWat<'s>,
        instantiate: Instantiate,
    ) -> (&'static str, Action<'s>) {
        let name = name(module.name());
        let source = source(&mut module);
        let keyword = match source.space {
            Space::Core => "module",
            Space::Component => "component",
        };
        let action = Action::Define {
            name,
            source,
            instantiate,
        };
        (keyword, action)
    }
}

fn name<'s>(id: Option<Id<'s>>) -> Option<&'s str> {
    id.map(|id| id.name())
}

fn invoke<'s>(call: WastInvoke<'s>) -> Invoke<'s> {
    Invoke {
        module: name(call.module),
        function: call.name,
        arguments: call.args,
    }
}

fn execute<'s>(exec: WastExecute<'s>) -> Execute<'s> {
    match exec {
        WastExecute::Invoke(call) => Execute::Invoke(invoke(call)),
        WastExecute::Wat(wat) => Execute::Source(source(&mut QuoteWat::Wat(wat))),
        WastExecute::Get { module, global, .. } => Execute::Get {
            module: name(module),
            global,
        },
    }
}

fn source(wat: &mut QuoteWat<'_>) -> Source {
    let space = match wat {
        QuoteWat::Wat(Wat::Module(_)) | QuoteWat::QuoteModule(..) => Space::Core,
        QuoteWat::Wat(Wat::Component(_)) | QuoteWat::QuoteComponent(..) => Space::Component,
    };
    Source {
        space,
        wasm: wat.encode().map_err(|error| error.message()),
        quoted: !matches!(wat, QuoteWat::Wat(_)),
    }
}

/// A core argument, if it is one.
pub(super) fn core_argument<'a, 's>(argument: &'a WastArg<'s>) -> Option<&'a WastArgCore<'s>> {
    match argument {
        WastArg::Core(argument) => Some(argument),
        _ => None,
    }
}

/// A core result pattern, if it is one.
pub(super) fn core_result<'a, 's>(result: &'a WastRet<'s>) -> Option<&'a WastRetCore<'s>> {
    match result {
        WastRet::Core(result) => Some(result),
        _ => None,
    }
}
