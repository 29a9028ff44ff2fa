//! Control: blocks, branches, returns, `unreachable`, `select`. (Of `try_table` only the block is
//! here.)
//!
//! A frame's destination block is made when the first branch needs it; a block that nothing
//! branches to costs nothing. Frames that open in unreachable code are only counted.

use super::Translator;
use crate::codegen;
use crate::program::module::{CoreType, core_type};
use anyhow::{Result, ensure};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    Block, BlockArg, BlockCall, Inst, InstBuilder, JumpTableData, Value, types,
};
use trampette_artifact::trap::TrapCode;
use wasmparser::{BlockType, BrTable, Operator};

/// An open block.
pub(super) struct Frame {
    kind: FrameKind,
    ty: BlockType,
    /// Values on the operand stack below the block's parameters.
    height: usize,
    /// Where code goes on after the block, once something needs it; its parameters are the results.
    following: Option<Block>,
}

/// How deep loops may be nested. Dominator trees are made in time that grows with the product of
/// the number of loops and their depth: beyond this, one function could take minutes.
const DEEPEST_LOOP: u32 = 5_000;

enum FrameKind {
    /// The function's body, a `block`, or the second half of an `if`.
    Block,
    Loop {
        header: Block,
    },
    /// The first half of an `if`.
    If {
        branch: Inst,
        /// Where the branch goes when the condition is zero; takes the block's parameters.
        otherwise: Block,
    },
    /// A `try_table`.
    Try {
        /// How many clauses the `try_table`s around it have.
        outer_clauses: usize,
    },
}

pub(super) fn translate(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> Result<bool> {
    match op {
        Operator::Nop => {}
        Operator::Drop => {
            t.pop1();
        }
        Operator::Unreachable => t.unreachable(),
        Operator::Block { blockty } => t.open(FrameKind::Block, *blockty),
        Operator::Loop { blockty } => t.open_loop(*blockty)?,
        Operator::If { blockty } => t.open_if(*blockty)?,
        Operator::TryTable { try_table } => {
            let outer_clauses = t.push_clauses(try_table);
            t.open(FrameKind::Try { outer_clauses }, try_table.ty);
        }
        Operator::Else => t.otherwise()?,
        Operator::End => t.close()?,
        Operator::Br { relative_depth } => {
            let frame = t.frame_at(*relative_depth);
            let destination = t.destination(frame)?;
            let count = t.label_arity(frame);
            t.jump(destination, count);
            t.reachable = false;
        }
        Operator::BrIf { relative_depth } => {
            let condition = t.pop1();
            t.branch_if(condition, *relative_depth)?;
        }
        Operator::BrTable { targets } => t.branch_table(targets)?,
        Operator::Return => {
            let count = t.builder.func.signature.returns.len();
            t.emit_return(count);
        }
        Operator::Select | Operator::TypedSelect { .. } => {
            let (first, second, condition) = t.pop3();
            let value = t.builder.ins().select(condition, first, second);
            t.push1(value);
        }
        Operator::BrOnNull { relative_depth } => {
            let reference = t.pop1();
            let null = t.is_null(reference);
            t.branch_if(null, *relative_depth)?;
            t.push1(reference);
        }
        Operator::BrOnNonNull { relative_depth } => {
            // The reference is the last of the label's operands, and only there when taken.
            let reference = t.peek1();
            t.branch_if(reference, *relative_depth)?;
            t.pop1();
        }
        _ => return Ok(false),
    }
    Ok(true)
}

impl Translator<'_, '_> {
    /// Opens the frame of the function's body.
    pub(super) fn open_body(&mut self, type_index: u32) {
        self.frames.push(Frame {
            kind: FrameKind::Block,
            ty: BlockType::FuncType(type_index),
            height: 0,
            following: None,
        });
    }

    /// Follows the nesting of blocks in unreachable code, until it can be reached again.
    pub(super) fn skip(&mut self, op: &Operator<'_>) -> Result<()> {
        match op {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. } => self.skipped_frames += 1,
            Operator::End if self.skipped_frames > 0 => self.skipped_frames -= 1,
            Operator::Else if self.skipped_frames == 0 => self.otherwise()?,
            Operator::End => self.close()?,
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, kind: FrameKind, ty: BlockType) {
        let (params, _) = self.block_arity(ty);
        self.frames.push(Frame {
            kind,
            ty,
            height: self.stack.len() - params,
            following: None,
        });
    }

    fn open_loop(&mut self, ty: BlockType) -> Result<()> {
        self.loops += 1;
        ensure!(
            self.loops <= DEEPEST_LOOP,
            "loops are nested more than {DEEPEST_LOOP} deep at offset {:#x}",
            self.builder.srcloc().bits()
        );
        let header = self.builder.create_block();
        let (params, _) = self.block_arity(ty);
        self.append_params(header, ty)?;
        self.open(FrameKind::Loop { header }, ty);
        self.jump(header, params);
        self.continue_in(header, self.stack.len() - params);
        Ok(())
    }

    fn open_if(&mut self, ty: BlockType) -> Result<()> {
        let condition = self.pop1();
        let then = self.builder.create_block();
        let otherwise = self.builder.create_block();
        let (params, _) = self.block_arity(ty);
        self.append_params(otherwise, ty)?;
        let args = self.take_block_args(params);
        let branch = self
            .builder
            .ins()
            .brif(condition, then, &[], otherwise, &args);
        self.block_args = args;
        self.open(FrameKind::If { branch, otherwise }, ty);
        codegen::start_block(&mut self.builder, then);
        Ok(())
    }

    /// `else` of the innermost frame.
    fn otherwise(&mut self) -> Result<()> {
        let at = self.frames.len() - 1;
        if self.reachable {
            let (_, results) = self.block_arity(self.frames[at].ty);
            let following = self.following(at)?;
            self.jump(following, results);
        }
        let frame = &mut self.frames[at];
        let height = frame.height;
        if let FrameKind::If { otherwise, .. } = frame.kind {
            frame.kind = FrameKind::Block;
            self.builder.seal_block(otherwise);
            self.continue_in(otherwise, height);
        }
        Ok(())
    }

    /// `end` of the innermost frame.
    fn close(&mut self) -> Result<()> {
        let at = self.frames.len() - 1;
        let Frame { ty, height, .. } = self.frames[at];
        let (params, results) = self.block_arity(ty);
        match self.frames[at].kind {
            FrameKind::Block => {}
            FrameKind::Try { outer_clauses } => {
                if self.has_landings(outer_clauses) && self.reachable {
                    let following = self.following(at)?;
                    self.jump(following, results);
                    self.reachable = false;
                }
                self.pop_clauses(outer_clauses)?;
            }
            FrameKind::Loop { header } => {
                self.loops -= 1;
                self.builder.seal_block(header);
            }
            FrameKind::If { branch, otherwise } => {
                let following = self.following(at)?;
                if self.reachable {
                    self.jump(following, results);
                    self.reachable = false;
                }
                if params == 0 {
                    self.builder
                        .change_jump_destination(branch, otherwise, following);
                } else {
                    // Without `else` the parameters are the results.
                    self.builder.seal_block(otherwise);
                    self.continue_in(otherwise, height);
                    self.jump(following, results);
                    self.reachable = false;
                }
            }
        }
        if let Some(following) = self.frames[at].following {
            if self.reachable {
                self.jump(following, results);
            }
            self.builder.seal_block(following);
            self.continue_in(following, height);
        }
        if !self.reachable {
            self.stack.truncate(height);
        }
        self.frames.pop();
        if self.frames.is_empty() && self.reachable {
            self.emit_return(results);
        }
        Ok(())
    }

    /// Goes on in a block whose parameters become the values above `height`.
    fn continue_in(&mut self, block: Block, height: usize) {
        self.builder.switch_to_block(block);
        self.stack.truncate(height);
        self.stack
            .extend_from_slice(self.builder.block_params(block));
        self.reachable = true;
    }

    fn unreachable(&mut self) {
        self.mark_cold();
        codegen::emit_raise(&mut self.builder, self.context, TrapCode::Unreachable, None);
        self.reachable = false;
    }

    /// Moves the current block out of the way: it ends in a trap.
    pub(super) fn mark_cold(&mut self) {
        if let Some(block) = self.builder.current_block()
            && block != self.entry
        {
            self.builder.set_cold_block(block);
        }
    }

    /// Returns the topmost values.
    fn emit_return(&mut self, count: usize) {
        let values = &self.stack[self.stack.len() - count..];
        self.builder.ins().return_(values);
        self.reachable = false;
    }

    pub(super) fn frame_at(&self, relative_depth: u32) -> usize {
        self.frames.len() - 1 - relative_depth as usize
    }

    /// How many values a branch to a frame's label takes.
    fn label_arity(&self, frame: usize) -> usize {
        let frame = &self.frames[frame];
        let (params, results) = self.block_arity(frame.ty);
        match frame.kind {
            FrameKind::Loop { .. } => params,
            _ => results,
        }
    }

    /// Where a branch to a frame's label goes.
    pub(super) fn destination(&mut self, frame: usize) -> Result<Block> {
        match self.frames[frame].kind {
            FrameKind::Loop { header } => Ok(header),
            _ => self.following(frame),
        }
    }

    /// The block after a frame.
    fn following(&mut self, frame: usize) -> Result<Block> {
        if let Some(block) = self.frames[frame].following {
            return Ok(block);
        }
        let block = self.builder.create_block();
        match self.frames[frame].ty {
            BlockType::Empty => {}
            BlockType::Type(ty) => self.append_param(block, core_type(ty)?),
            BlockType::FuncType(index) => {
                for ty in &self.module.types[index as usize].results {
                    self.append_param(block, *ty);
                }
            }
        }
        self.frames[frame].following = Some(block);
        Ok(block)
    }

    /// Gives `block` the parameters of a block type.
    fn append_params(&mut self, block: Block, ty: BlockType) -> Result<()> {
        if let BlockType::FuncType(index) = ty {
            for ty in &self.module.types[index as usize].params {
                self.append_param(block, *ty);
            }
        }
        Ok(())
    }

    fn append_param(&mut self, block: Block, ty: CoreType) {
        self.builder
            .append_block_param(block, codegen::clif_type(ty));
    }

    /// How many parameters and results a block has.
    fn block_arity(&self, ty: BlockType) -> (usize, usize) {
        match ty {
            BlockType::Empty => (0, 0),
            BlockType::Type(_) => (0, 1),
            BlockType::FuncType(index) => {
                let signature = &self.module.types[index as usize];
                (signature.params.len(), signature.results.len())
            }
        }
    }

    /// The topmost values as arguments of a branch, in the scratch vector, to be put back.
    fn take_block_args(&mut self, count: usize) -> Vec<BlockArg> {
        let mut args = std::mem::take(&mut self.block_args);
        args.clear();
        let values = &self.stack[self.stack.len() - count..];
        args.extend(values.iter().map(|value| BlockArg::Value(*value)));
        args
    }

    /// Jumps with the topmost values, which stay on the stack.
    pub(super) fn jump(&mut self, destination: Block, count: usize) {
        let args = self.take_block_args(count);
        self.builder.ins().jump(destination, &args);
        self.block_args = args;
    }

    /// Branches to a label if `condition` is not zero, and goes on otherwise.
    fn branch_if(&mut self, condition: Value, relative_depth: u32) -> Result<()> {
        let frame = self.frame_at(relative_depth);
        let destination = self.destination(frame)?;
        let args = self.take_block_args(self.label_arity(frame));
        let next = self.builder.create_block();
        self.builder
            .ins()
            .brif(condition, destination, &args, next, &[]);
        self.block_args = args;
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
        Ok(())
    }

    fn branch_table(&mut self, targets: &BrTable<'_>) -> Result<()> {
        let index = self.pop1();
        let frame = self.frame_at(targets.default());
        let args = self.take_block_args(self.label_arity(frame));
        let mut table = Vec::with_capacity(targets.len() as usize);
        for depth in targets.targets() {
            table.push(self.block_call(depth?, &args)?);
        }
        let default = self.block_call(targets.default(), &args)?;
        self.block_args = args;
        let table = self
            .builder
            .create_jump_table(JumpTableData::new(default, &table));
        self.builder.ins().br_table(index, table);
        self.reachable = false;
        Ok(())
    }

    fn block_call(&mut self, relative_depth: u32, args: &[BlockArg]) -> Result<BlockCall> {
        let frame = self.frame_at(relative_depth);
        let destination = self.destination(frame)?;
        Ok(self.builder.func.dfg.block_call(destination, args))
    }

    /// Whether a reference is null, as a condition.
    pub(super) fn is_null(&mut self, reference: Value) -> Value {
        let null = self.builder.ins().iconst(types::I32, 0);
        self.builder.ins().icmp(IntCC::Equal, reference, null)
    }
}
