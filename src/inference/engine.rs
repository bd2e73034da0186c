//! The compiled plan as an operation of candle.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, bail};

use super::cpu::{Grid, Output, Plan, Workspace};

/// A plan, an output of it, and the memory of its runs.
pub(super) struct Engine {
    plan: Plan,
    /// Memory of runs that have ended, on one thread and on several.
    idle: Mutex<Vec<Workspace>>,
}

/// One run of an engine: `[1, side, side, 3]` of bytes to `[1, values]` of floats.
pub(super) struct Forward<'a> {
    pub(super) engine: &'a Engine,
    pub(super) output: Output,
    /// Threads that work on the image together; the result does not depend on it.
    pub(super) threads: usize,
}

impl Engine {
    pub(super) fn new(plan: Plan) -> Self {
        Self { plan, idle: Mutex::new(Vec::new()) }
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Runs one image of interleaved bytes.
    fn run(&self, pixels: &[u8], output: Output, threads: usize) -> Vec<f32> {
        let mut workspace = self.idle_workspace(threads);
        let values = self.plan.run(pixels, &mut workspace, output);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
        values
    }

    /// Runs one image of interleaved bytes and gives all outputs.
    pub(super) fn run_all(&self, pixels: &[u8], threads: usize) -> Vec<Grid> {
        let mut workspace = self.idle_workspace(threads);
        let grids = self.plan.run_all(pixels, &mut workspace);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
        grids
    }

    fn idle_workspace(&self, threads: usize) -> Workspace {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let found = idle.iter().position(|workspace| workspace.threads() == threads);
        found.map_or_else(|| self.plan.workspace(threads), |index| idle.swap_remove(index))
    }
}

impl CustomOp1 for Forward<'_> {
    fn name(&self) -> &'static str {
        "compiled-network"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let side = self.engine.plan.input_side();
        if layout.dims() != [1, side, side, 3] {
            bail!("the network takes [1, {side}, {side}, 3], got {:?}", layout.dims());
        }
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("the network takes a contiguous tensor");
        };
        let pixels = &storage.as_slice::<u8>()?[start..end];
        let values = self.engine.run(pixels, self.output, self.threads);
        let shape = Shape::from((1, values.len()));
        Ok((CpuStorage::F32(values), shape))
    }
}
