//! Constant expressions, evaluated over the closed world.
//!
//! Every one of them has a value when a component is compiled: they read only immutable globals
//! that exist already, all of which some core instance of the component defines. Of a lone module,
//! what depends on a global whose value the host supplies is evaluated at start-up.

use super::functions::{id_at, index_of, reference_bits, reference_from_bits};
use super::{ConstOperand, ConstOperator, ConstStep, ConstValue, Layout};
use crate::program::module::{ElementItems, ElementSegment, Module, SegmentMode};
use crate::program::{CoreFunc, CoreItem, Program, Step, unit_of};
use anyhow::{Context, Result, bail, ensure};
use indexmap::IndexSet;
use trampette_artifact::ids::*;
use wasmparser::{ConstExpr, Operator};

/// The values of a program's constant expressions.
#[derive(Debug, Default)]
pub(super) struct Constants {
    /// Initial values of globals.
    pub globals: IdVec<GlobalId, Option<ConstOperand>>,
    /// Values in each unit.
    pub units: IdVec<UnitId, UnitConstants>,
    /// Whether each of the layout's functions escapes.
    escaping: Vec<bool>,
}

/// The values of one unit's constant expressions.
#[derive(Debug, Default)]
pub(super) struct UnitConstants {
    /// Initial value of the entries of each defined table.
    pub tables: Vec<Option<FunctionId>>,
    /// The entries of each element segment; none of those that nothing can read.
    pub elements: Vec<Vec<Option<FunctionId>>>,
    /// Where active element segments go.
    pub element_offsets: Vec<Option<ConstOperand>>,
    /// Where active data segments go.
    pub data_offsets: Vec<Option<ConstOperand>>,
}

/// Evaluates everything in the order of the plan, and gives ids to functions: those named in
/// constant expressions and element segments, and by `ref.func` in bodies. They escape, unless only
/// tables name them whose entries never become references.
pub(super) fn evaluate(program: &Program<'_>, layout: &mut Layout) -> Result<Constants> {
    let mut constants = Constants {
        globals: vec![None; program.globals.len()].into(),
        units: (0..layout.units.len())
            .map(|_| UnitConstants::default())
            .collect(),
        escaping: Vec::new(),
    };
    for step in &program.steps {
        let Step::InstantiateCore(id) = *step;
        let context = || format!("in a constant expression of {id}");
        evaluate_unit(program, layout, &mut constants, id).with_context(context)?;
    }
    order_functions(layout, &mut constants);
    Ok(constants)
}

/// Renumbers functions so that those that escape come first.
fn order_functions(layout: &mut Layout, constants: &mut Constants) {
    let escapes = |index: &usize| constants.escaping[*index];
    let (mut order, kept): (Vec<usize>, Vec<usize>) =
        (0..layout.functions.len()).partition(escapes);
    layout.escaping = order.len();
    if order.last().is_none_or(|last| last + 1 == order.len()) {
        return; // They do already.
    }
    order.extend(kept);
    let mut ids = vec![FunctionId(0); order.len()];
    for (new, old) in order.iter().enumerate() {
        ids[*old] = id_at(new);
    }
    let renumber = |id: &mut FunctionId| {
        if let Some(index) = index_of(*id) {
            *id = ids[index];
        }
    };
    layout.functions = order.iter().map(|old| layout.functions[*old]).collect();
    for value in constants.globals.iter_mut().flatten() {
        if let ConstOperand::Value(ConstValue::Ref(bits)) = value {
            let mut id = reference_from_bits(*bits);
            id.iter_mut().for_each(renumber);
            *bits = reference_bits(id);
        }
    }
    for unit in &mut constants.units {
        let tables = unit.tables.iter_mut();
        let all = tables.chain(unit.elements.iter_mut().flatten());
        all.flatten().for_each(renumber);
    }
}

fn evaluate_unit(
    program: &Program<'_>,
    layout: &mut Layout,
    constants: &mut Constants,
    id: CoreInstanceId,
) -> Result<()> {
    let unit = layout
        .units
        .get(unit_of(id))
        .with_context(|| format!("there is no {id}"))?;
    let module = &program.modules[unit.module];
    let instance = &program.core_instances[id];
    let mut evaluator = Evaluator {
        functions: &mut layout.functions,
        escaping: &mut constants.escaping,
        escape: true,
        unit_functions: &unit.functions,
        unit_globals: &unit.globals,
        globals: &mut constants.globals,
    };
    for (index, global) in module.globals.iter().enumerate() {
        if let Some(init) = &global.init {
            let id = unit.globals[index];
            let supplied = program.core_supplies.iter();
            let supplied = supplied.filter(|supply| supply.item == CoreItem::Global(id));
            let value = match supplied.count() {
                0 => evaluator.value(init)?,
                _ => ConstOperand::Global(id),
            };
            evaluator.globals[id] = Some(value);
        }
    }
    let mut values = UnitConstants::default();
    let tables = &module.tables[module.imported_tables as usize..];
    for (table, id) in tables.iter().zip(&instance.tables) {
        evaluator.escape = !layout.facts.tables[*id].is_constant();
        let value = match &table.init {
            Some(init) => evaluator.reference(init)?,
            None => None,
        };
        values.tables.push(value);
    }
    for (index, segment) in module.elements.iter().enumerate() {
        evaluator.escape = match segment.mode {
            SegmentMode::Active { index, .. } => {
                let table = unit.tables[index as usize];
                !layout.facts.tables[table].is_constant()
            }
            _ => true,
        };
        values.element_offsets.push(match &segment.mode {
            SegmentMode::Active { offset, .. } => Some(evaluator.value(offset)?),
            _ => None,
        });
        values.elements.push(match is_read(module, segment, index) {
            true => evaluator.items(&segment.items)?,
            false => Vec::new(),
        });
    }
    evaluator.escape = true;
    for segment in &module.data {
        values.data_offsets.push(match &segment.mode {
            SegmentMode::Active { offset, .. } => Some(evaluator.value(offset)?),
            _ => None,
        });
    }
    for function in &module.uses.referenced_functions {
        // Bodies are not validated yet; an index out of range is an error of its body's.
        if unit.functions.get(*function as usize).is_some() {
            evaluator.function(*function)?;
        }
    }
    constants.units[unit_of(id)] = values;
    Ok(())
}

fn is_read(module: &Module<'_>, segment: &ElementSegment<'_>, index: usize) -> bool {
    match segment.mode {
        SegmentMode::Active { .. } => true,
        SegmentMode::Passive => module.uses.used_elements[index],
        SegmentMode::Declared => false,
    }
}

/// Evaluates the expressions of one unit.
struct Evaluator<'e> {
    functions: &'e mut IndexSet<CoreFunc>,
    escaping: &'e mut Vec<bool>,
    /// Whether functions that are named now escape.
    escape: bool,
    unit_functions: &'e [CoreFunc],
    unit_globals: &'e [GlobalId],
    globals: &'e mut IdVec<GlobalId, Option<ConstOperand>>,
}

impl Evaluator<'_> {
    fn function(&mut self, index: u32) -> Result<FunctionId> {
        let func = self
            .unit_functions
            .get(index as usize)
            .with_context(|| format!("there is no function {index}"))?;
        let index = self.functions.insert_full(*func).0;
        self.escaping.resize(self.functions.len(), false);
        self.escaping[index] |= self.escape;
        Ok(id_at(index))
    }

    fn items(&mut self, items: &ElementItems<'_>) -> Result<Vec<Option<FunctionId>>> {
        match items {
            ElementItems::Functions(functions) => functions
                .iter()
                .map(|f| self.function(*f).map(Some))
                .collect(),
            ElementItems::Expressions(all) => all.iter().map(|e| self.reference(e)).collect(),
        }
    }

    fn reference(&mut self, expr: &ConstExpr<'_>) -> Result<Option<FunctionId>> {
        match self.value(expr)? {
            ConstOperand::Value(ConstValue::Ref(bits)) => Ok(reference_from_bits(bits)),
            ConstOperand::Global(_) => bail!(
                "a reference in a table or element segment is that of an imported global, \
                 which must be bound to a module"
            ),
            other => bail!("a reference is expected, not {other:?}"),
        }
    }

    fn value(&mut self, expr: &ConstExpr<'_>) -> Result<ConstOperand> {
        let mut steps = Vec::with_capacity(2);
        let mut height = 0_usize;
        let mut operators = expr.get_operators_reader();
        loop {
            let (operator, offset) = operators.read_with_offset()?;
            let value = match operator {
                Operator::End => break,
                Operator::I32Const { value } => ConstValue::I32(value),
                Operator::I64Const { value } => ConstValue::I64(value),
                Operator::F32Const { value } => ConstValue::F32(value.bits()),
                Operator::F64Const { value } => ConstValue::F64(value.bits()),
                Operator::V128Const { value } => ConstValue::V128(*value.bytes()),
                Operator::RefNull { .. } => ConstValue::Ref(0),
                Operator::RefFunc { function_index } => {
                    ConstValue::Ref(self.function(function_index)?.0)
                }
                Operator::GlobalGet { global_index } => {
                    let id = self.unit_globals.get(global_index as usize).copied();
                    let global = id.and_then(|id| Some((id, self.globals[id].as_ref()?)));
                    let (id, value) = global.with_context(|| {
                        format!("global {global_index} has no value yet at byte offset {offset:#x}")
                    })?;
                    steps.push(match value {
                        ConstOperand::Value(value) => ConstStep::Value(*value),
                        _ => ConstStep::Global(id),
                    });
                    height += 1;
                    continue;
                }
                other => {
                    ensure!(
                        height >= 2,
                        "an operand is missing at byte offset {offset:#x}"
                    );
                    height -= 1;
                    apply(&other, &mut steps).with_context(|| {
                        format!(
                            "{other:?} is not supported in constant expressions, \
                             at byte offset {offset:#x}"
                        )
                    })?;
                    continue;
                }
            };
            steps.push(ConstStep::Value(value));
            height += 1;
        }
        Ok(match steps[..] {
            [] => bail!("a constant expression is empty"),
            [ConstStep::Value(value)] => ConstOperand::Value(value),
            [ConstStep::Global(id)] => ConstOperand::Global(id),
            _ => ConstOperand::Expression(steps.into()),
        })
    }
}

/// Appends an operator, or replaces its operands if both are known: then they are the last steps.
fn apply(operator: &Operator<'_>, steps: &mut Vec<ConstStep>) -> Option<()> {
    use ConstValue::{I32, I64};
    let operator = match operator {
        Operator::I32Add | Operator::I64Add => ConstOperator::Add,
        Operator::I32Sub | Operator::I64Sub => ConstOperator::Sub,
        Operator::I32Mul | Operator::I64Mul => ConstOperator::Mul,
        _ => return None,
    };
    let [.., ConstStep::Value(a), ConstStep::Value(b)] = steps[..] else {
        steps.push(ConstStep::Operator(operator));
        return Some(());
    };
    let value = match (operator, a, b) {
        (ConstOperator::Add, I32(a), I32(b)) => I32(a.wrapping_add(b)),
        (ConstOperator::Sub, I32(a), I32(b)) => I32(a.wrapping_sub(b)),
        (ConstOperator::Mul, I32(a), I32(b)) => I32(a.wrapping_mul(b)),
        (ConstOperator::Add, I64(a), I64(b)) => I64(a.wrapping_add(b)),
        (ConstOperator::Sub, I64(a), I64(b)) => I64(a.wrapping_sub(b)),
        (ConstOperator::Mul, I64(a), I64(b)) => I64(a.wrapping_mul(b)),
        _ => return None,
    };
    steps.truncate(steps.len() - 2);
    steps.push(ConstStep::Value(value));
    Some(())
}
