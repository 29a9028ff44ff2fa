//! Large types: parts of them are carried by functions of their own, each made once for all
//! trampolines that carry the part alike. So code grows with types as they are written, where they
//! name each other, and not with what they are spread out, which may be exponentially more.
//!
//! Types of usual sizes are carried in line, as if this were not here ([`IN_LINE`]). What a large
//! one is made of is in line as long as it is small ([`SMALL`]), and ever smaller the more there is
//! in the function already ([`TINY`]).
//!
//! Ids must not depend on which thread asks first. So what large types need is found before
//! anything is compiled: by emitting the code of the trampolines that carry them, one after the
//! other.

use super::{Destination, FlatValues, Guest, Place, Shape, Side, Source, Transfer};
use crate::codegen::emitter::Emitter;
use crate::codegen::{
    BorrowCount, Session, SharedTransfer, TransferPart, ValuePlace, declare_function,
    wasm_call_signature,
};
use crate::program::lock::lock;
use crate::program::module::{CoreSignature, CoreType};
use crate::program::{CanonicalOptions, TrampolineKind};
use crate::trampolines::borrows::BorrowScope;
use anyhow::{Context, Result, bail};
use cranelift_codegen::ir::{self, InstBuilder, Value};
use trampette_artifact::canonical;
use trampette_artifact::ids::{ExportId, SharedTransferId, TrampolineId};
use trampette_artifact::key::{Abi, FuncKey};
use trampette_artifact::types::{FuncType, Type, TypeTable};

/// Up to this weight in all ([`TypeFacts::weight`](trampette_artifact::facts::TypeFacts)),
/// parameters or a result are carried in line.
const IN_LINE: u32 = 600;
/// Parts of larger ones are in line up to this weight each, while they are few.
const SMALL: u32 = 64;
/// So many values are few.
const FEW: u32 = 256;
/// Further parts are in line up to this weight each.
const TINY: u32 = 8;
/// Fields that one function carries.
const FIELDS: usize = 64;
/// Most functions of this kind in an artifact.
const MOST: usize = 200_000;

/// Which parts of types are carried by code of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sharing {
    /// None.
    Nothing,
    /// Those that are large, after so many values in line.
    Large(u32),
    /// Those that are large, but not the first that comes: this function is what carries it.
    AfterFirst,
}

impl Sharing {
    /// What is shared of parameters or a result.
    pub(super) fn of(types: &TypeTable, shape: &Shape) -> Sharing {
        let weigh = |all: &[Type]| {
            let weights = all.iter().map(|ty| types.facts(*ty).weight);
            weights.fold(0, u32::saturating_add)
        };
        let weight = match shape {
            Shape::Value(ty) => weigh(&[*ty]),
            Shape::Tuple(all) => weigh(all),
        };
        match weight > IN_LINE {
            true => Sharing::Large(0),
            false => Sharing::Nothing,
        }
    }
}

impl Transfer<'_, '_, '_> {
    /// Whether a type is carried by code of its own; counts it if not.
    pub(super) fn is_shared(&mut self, ty: Type) -> bool {
        let weight = self.types().facts(ty).weight;
        match self.sharing {
            Sharing::Nothing => false,
            Sharing::AfterFirst => {
                self.sharing = Sharing::Large(0);
                false
            }
            Sharing::Large(before) => {
                let most = if before < FEW { SMALL } else { TINY };
                if weight <= most {
                    self.sharing = Sharing::Large(before.saturating_add(weight));
                }
                weight > most
            }
        }
    }

    /// How many fields of a record one function carries, if it has more than that.
    pub(super) fn fields_at_once(&self, fields: usize) -> Option<usize> {
        (self.sharing != Sharing::Nothing && fields > FIELDS).then_some(FIELDS)
    }

    /// Calls the code that carries a part.
    ///
    /// # Errors
    /// If there is too much of such code.
    pub(super) fn call_shared(
        &mut self,
        part: TransferPart,
        from: &mut Source<'_>,
        to: &mut Destination<'_>,
    ) -> Result<()> {
        let options = |side: Side<'_>| match side {
            Side::Guest(guest) => Some(guest.options.clone()),
            Side::Host => None,
        };
        let borrows = self.borrows.map(|scope| match scope.values() {
            Some(_) => (scope.instance(), BorrowCount::OfTask),
            None => (scope.instance(), BorrowCount::OfInstance),
        });
        let shared = SharedTransfer {
            part,
            from: options(self.from),
            to: options(self.to),
            source: match from {
                Source::Flat(_) => ValuePlace::Flat,
                Source::Guest(_) | Source::Native(_) => ValuePlace::Memory,
            },
            destination: match to {
                Destination::Flat(_) => ValuePlace::Flat,
                Destination::Guest(_) | Destination::Native(_) => ValuePlace::Memory,
            },
            lends: self.observed_lends.clone(),
            borrows,
        };
        let signature = signature(self.types(), &shared);
        let mut arguments = vec![self.e.context];
        match from {
            Source::Flat(values) => {
                let count = flat(self.types(), &shared, shared.source, &shared.from).len();
                arguments.extend((0..count).map(|_| values.take()));
            }
            Source::Guest(place) | Source::Native(place) => arguments.push(self.address(*place)),
        }
        match to {
            Destination::Flat(_) => {}
            Destination::Guest(place) | Destination::Native(place) => {
                arguments.push(self.address(*place));
            }
        }
        if let Some((address, name)) = self.borrows.and_then(BorrowScope::values) {
            arguments.extend([address, name]);
        }
        let (index, _) = lock(&self.e.session.shared_transfers).insert_full(shared);
        if index >= MOST {
            bail!("large types need more than {MOST} functions to be carried by");
        }
        let key = FuncKey::SharedTransfer(SharedTransferId::new(index));
        let callee = declare_function(self.e.builder.func, key, signature);
        let call = self.e.builder.ins().call(callee, &arguments);
        if let Destination::Flat(values) = to {
            values.extend(self.e.builder.inst_results(call));
        }
        Ok(())
    }
}

/// The flat types of a part, if that is how one end has it.
fn flat(
    types: &TypeTable,
    shared: &SharedTransfer,
    place: ValuePlace,
    options: &Option<CanonicalOptions>,
) -> Vec<CoreType> {
    let (TransferPart::Whole(ty), ValuePlace::Flat) = (shared.part, place) else {
        return Vec::new();
    };
    let flat = side(options).flat(types, ty);
    flat.into_iter().map(CoreType::from).collect()
}

fn side(options: &Option<CanonicalOptions>) -> Side<'_> {
    match options {
        Some(options) => Side::Guest(Guest::new(options)),
        None => Side::Host,
    }
}

/// What the source has, the destination's address, and where borrowed handles are counted; the
/// result is what the destination is flat.
fn signature(types: &TypeTable, shared: &SharedTransfer) -> ir::Signature {
    let mut params = match shared.source {
        ValuePlace::Flat => flat(types, shared, shared.source, &shared.from),
        ValuePlace::Memory => vec![CoreType::I64],
    };
    if shared.destination == ValuePlace::Memory {
        params.push(CoreType::I64);
    }
    if let Some((_, BorrowCount::OfTask)) = shared.borrows {
        params.extend([CoreType::I64, CoreType::I32]);
    }
    let results = flat(types, shared, shared.destination, &shared.to);
    wasm_call_signature(&CoreSignature {
        params: params.into(),
        results: results.into(),
    })
}

/// The code of a shared transfer.
///
/// # Errors
/// If no trampoline asks for it, or as [`Transfer::shape`].
pub(crate) fn shared_transfer(session: &Session<'_>, id: SharedTransferId) -> Result<ir::Function> {
    let key = FuncKey::SharedTransfer(id);
    let shared = lock(&session.shared_transfers)
        .get_index(id.index())
        .cloned();
    let shared = shared.with_context(|| format!("{key}: no trampoline asks for it"))?;
    let types = &session.program.types;
    Emitter::build(session, key, signature(types, &shared), |e, params| {
        let mut params = params.into_iter();
        let mut next = || params.next().expect("the signature has the parameter");
        let memory = |options: &Option<CanonicalOptions>, address: Value| {
            (options.is_some(), Place::new(address))
        };
        let mut values = Vec::new();
        let count = flat(types, &shared, shared.source, &shared.from).len();
        let from = match shared.source {
            ValuePlace::Flat => {
                values.extend((0..count).map(|_| next()));
                None
            }
            ValuePlace::Memory => Some(memory(&shared.from, next())),
        };
        let to = match shared.destination {
            ValuePlace::Flat => None,
            ValuePlace::Memory => Some(memory(&shared.to, next())),
        };
        let borrows = shared.borrows.map(|(instance, count)| {
            let own = (count == BorrowCount::OfTask).then(|| (next(), next()));
            BorrowScope::passed(instance, own)
        });
        let mut values = FlatValues::new(values);
        let mut source = match from {
            None => Source::Flat(&mut values),
            Some((true, place)) => Source::Guest(place),
            Some((false, place)) => Source::Native(place),
        };
        let mut results = Vec::new();
        let mut destination = match to {
            None => Destination::Flat(&mut results),
            Some((true, place)) => Destination::Guest(place),
            Some((false, place)) => Destination::Native(place),
        };
        let mut transfer = Transfer::new(e, side(&shared.from), side(&shared.to))?;
        transfer.observe_lends(shared.lends.clone());
        transfer.count_borrows(borrows);
        match shared.part {
            TransferPart::Whole(ty) => {
                transfer.sharing = Sharing::AfterFirst;
                transfer.value(ty, &mut source, &mut destination)?;
            }
            TransferPart::Fields(ty, start, count) => {
                transfer.sharing = Sharing::Large(0);
                let fields = canonical::record_fields(types, ty).context("no record or tuple")?;
                let range = start..start + count;
                transfer.some_fields(&fields, range, &mut source, &mut destination)?;
            }
        }
        e.builder.ins().return_(&results);
        Ok(())
    })
}

/// Finds what is carried by code of its own. Errors are those of compiling, which comes later.
pub(crate) fn find_shared_transfers(session: &Session<'_>) {
    let program = session.program;
    let is_large = |ty: &FuncType| {
        let params = ty.params.iter().map(|param| param.ty).collect();
        let shapes = [Some(Shape::Tuple(params)), ty.result.map(Shape::Value)];
        let mut shapes = shapes.iter().flatten();
        shapes.any(|shape| Sharing::of(&program.types, shape) != Sharing::Nothing)
    };
    let trampolines = program.trampolines.iter().enumerate();
    let trampolines = trampolines.filter(|(_, trampoline)| match &trampoline.kind {
        TrampolineKind::LowerImport { ty, .. } => is_large(ty),
        TrampolineKind::Adapter { lift, .. } => is_large(&lift.ty),
        _ => false,
    });
    let trampolines =
        trampolines.map(|(id, _)| FuncKey::ComponentTrampoline(Abi::Wasm, TrampolineId::new(id)));
    let lifts = program.lifts.iter().enumerate();
    let lifts = lifts
        .filter(|(_, lift)| is_large(&lift.ty))
        .map(|(id, _)| FuncKey::ExportEntry(Abi::Wasm, ExportId::new(id)));
    for key in trampolines.chain(lifts) {
        let _later = crate::trampolines::build(session, key);
    }
    let mut next = 0;
    while next < lock(&session.shared_transfers).len().min(MOST) {
        let key = FuncKey::SharedTransfer(SharedTransferId::new(next));
        let _later = crate::trampolines::build(session, key);
        next += 1;
    }
}
