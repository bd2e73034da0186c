//! A compiled network: steps over one arena.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::block::Block;
use super::calibrate::Observed;
use super::compile::{Purpose, compile};
use super::four_depthwise::Fours;
use super::kernels::{InstructionSet, Kernels};
use super::memory::{Aligned, Image, Memory};
use super::reshape::{Concat, Resized, Sum};
use super::stem::Stem;
use super::steps::{AveragePool, Context, Dense, Depthwise, MaxPool, Place, ToBytes, Value};
use super::team::Team;
use super::winograd::Winograd;
use crate::inference::network::Network;

/// In what numbers the convolutions over many channels are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Precision {
    /// 32-bit floats throughout: the reference.
    Float32,
    /// Matrix products of 8-bit integers, summed exactly; everything else in 32-bit floats.
    Int8,
}

impl Precision {
    /// The name by which options and reports call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "f32",
            Self::Int8 => "int8",
        }
    }
}

/// A part of the network that runs between two barriers.
pub(super) struct Step {
    /// The last layer that it computes.
    pub(super) layer: usize,
    pub(super) work: Work,
}

/// What a step computes.
pub(super) enum Work {
    Stem(Box<Stem>),
    Dense(Dense),
    Winograd(Winograd),
    Depthwise(Depthwise),
    Fours(Fours),
    Block(Box<Block>),
    MaxPool(MaxPool),
    AveragePool(AveragePool),
    Concat(Concat),
    Sum(Sum),
    Resized(Resized),
    ToBytes(ToBytes),
}

/// A network compiled for an instruction set and a precision.
pub(in crate::inference) struct Plan {
    pub(super) kernels: &'static Kernels,
    pub(super) steps: Vec<Step>,
    pub(super) input_side: usize,
    /// As the network lists them.
    pub(super) outputs: Vec<Exit>,
    /// Floats of the arena that all members share.
    pub(super) arena: usize,
    /// Floats that each member has for itself.
    pub(super) scratch: usize,
    /// Where each value lies.
    pub(super) values: Vec<Value>,
}

/// An output of the network.
#[derive(Clone, Copy)]
pub(super) struct Exit {
    /// The layer that computes it.
    pub(super) layer: usize,
    pub(super) place: Place,
    /// Channels without padding.
    pub(super) channels: usize,
}

/// Which output of an encoder is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::inference) enum Output {
    Features,
    /// The features, and after them the logits.
    FeaturesAndLogits,
}

/// An output of a network as a square image, channels last, without padding.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::inference) struct Grid {
    pub(in crate::inference) side: usize,
    pub(in crate::inference) channels: usize,
    pub(in crate::inference) values: Vec<f32>,
}

/// The memory of a run, to be used again for the next image.
pub(in crate::inference) struct Workspace {
    pub(super) arena: Aligned,
    threads: usize,
}

impl Workspace {
    /// Threads that a run in it has.
    pub(in crate::inference) fn threads(&self) -> usize {
        self.threads
    }
}

impl Plan {
    /// Compiles `network`; `observed` holds what all its values were seen to be, for
    /// [`Precision::Int8`].
    ///
    /// # Panics
    /// When this processor cannot run `set`, or `observed` is too short.
    pub(in crate::inference) fn new(
        network: &Network,
        set: InstructionSet,
        precision: Precision,
        observed: &[Observed],
    ) -> Self {
        let kernels = set.kernels().expect("the caller took the set from those available");
        if precision == Precision::Int8 {
            assert_eq!(observed.len(), network.layers.len() + 1, "one entry for each value");
        }
        compile(network, kernels, precision, observed, Purpose::Outputs)
    }

    pub(in crate::inference) fn input_side(&self) -> usize {
        self.input_side
    }

    pub(in crate::inference) fn instruction_set(&self) -> InstructionSet {
        self.kernels.set
    }

    /// Memory for runs on `threads` threads: about 4 MB for EfficientNet-Lite0.
    pub(in crate::inference) fn workspace(&self, threads: usize) -> Workspace {
        Workspace { arena: Aligned::zeroed(self.arena + threads * self.scratch), threads }
    }

    /// Runs one image, `side * side * 3` bytes, on as many threads as the workspace has.
    ///
    /// The result does not depend on the number of threads.
    ///
    /// # Panics
    /// When `pixels` has another length.
    pub(in crate::inference) fn run(
        &self,
        pixels: &[u8],
        workspace: &mut Workspace,
        output: Output,
    ) -> Vec<f32> {
        self.walk(pixels, workspace, self.last_layer(output), |_| {});
        self.exits(output).iter().flat_map(|exit| exit.read(workspace).values).collect()
    }

    /// Runs one image as [`Plan::run`] does, and gives all outputs.
    ///
    /// # Panics
    /// As for [`Plan::run`].
    pub(in crate::inference) fn run_all(
        &self,
        pixels: &[u8],
        workspace: &mut Workspace,
    ) -> Vec<Grid> {
        self.walk(pixels, workspace, usize::MAX, |_| {});
        self.outputs.iter().map(|exit| exit.read(workspace)).collect()
    }

    /// The layer that computes the last of what is wanted.
    pub(in crate::inference) fn last_layer(&self, output: Output) -> usize {
        self.exits(output).iter().map(|exit| exit.layer).max().expect("an output has an exit")
    }

    /// The logits are made of the features, so both still lie there after the last layer.
    fn exits(&self, output: Output) -> &[Exit] {
        match output {
            Output::Features => &self.outputs[..1],
            Output::FeaturesAndLogits => &self.outputs[..2],
        }
    }

    /// Runs one image on this thread as far as a layer, and gives for each step its last layer,
    /// what it does, and its time.
    ///
    /// # Panics
    /// As for [`Plan::run`].
    pub(in crate::inference) fn profile(
        &self,
        pixels: &[u8],
        last: usize,
    ) -> Vec<(usize, &'static str, Duration)> {
        let mut workspace = self.workspace(1);
        // Once to fill the caches.
        self.walk(pixels, &mut workspace, last, |_| {});
        let turn = Mutex::new(Instant::now());
        let times = Mutex::new(Vec::with_capacity(self.steps.len()));
        self.walk(pixels, &mut workspace, last, |step| {
            let mut turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
            times.push((step.layer, step.work.name(), now - *turn));
            *turn = now;
        });
        times.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the steps up to a layer; `done` is called by each member after each.
    fn walk(
        &self,
        pixels: &[u8],
        workspace: &mut Workspace,
        last: usize,
        done: impl Fn(&Step) + Sync,
    ) {
        let side = self.input_side;
        assert_eq!(pixels.len(), side * side * 3, "an input of another size");
        let memory = Memory::of(&mut workspace.arena);
        Team::run(workspace.threads, |member| {
            let scratch = self.arena + member.index * self.scratch;
            let context = Context { kernels: self.kernels, memory, pixels, member, scratch };
            for step in self.steps.iter().take_while(|step| step.layer <= last) {
                step.work.run(&context);
                member.wait();
                done(step);
            }
        });
    }
}

impl Exit {
    fn read(&self, workspace: &Workspace) -> Grid {
        let (Image { side, channels: step, .. }, channels) = (self.place.image, self.channels);
        let floats = workspace.arena.floats();
        let mut values = Vec::with_capacity(side * side * channels);
        for y in 0..side {
            let row = &floats[self.place.offset + self.place.image.at(y, 0)..][..side * step];
            for pixel in row.chunks_exact(step) {
                values.extend_from_slice(&pixel[..channels]);
            }
        }
        Grid { side, channels, values }
    }
}

impl Work {
    fn name(&self) -> &'static str {
        match self {
            Self::Stem(_) => "stem",
            Self::Dense(_) => "dense",
            Self::Winograd(_) => "winograd",
            Self::Depthwise(_) => "depthwise",
            Self::Fours(_) => "depthwise in bytes",
            Self::Block(_) => "fused block",
            Self::MaxPool(_) => "max pool",
            Self::AveragePool(_) => "average pool",
            Self::Concat(_) => "concat",
            Self::Sum(_) => "sum",
            Self::Resized(_) => "resize",
            Self::ToBytes(_) => "to bytes",
        }
    }

    fn run(&self, context: &Context<'_>) {
        if context.member.index == 0 {
            self.clear_border(context);
        }
        match self {
            Self::Stem(step) => step.run(context),
            Self::Dense(step) => step.run(context),
            Self::Winograd(step) => step.run(context),
            Self::Depthwise(step) => step.run(context),
            Self::Fours(step) => step.run(context),
            Self::Block(step) => step.run(context),
            Self::MaxPool(step) => step.run(context),
            Self::AveragePool(step) => step.run(context),
            Self::Concat(step) => step.run(context),
            Self::Sum(step) => step.run(context),
            Self::Resized(step) => step.run(context),
            Self::ToBytes(step) => step.run(context),
        }
    }

    /// Only dense windows look beyond the border, so only what they may read has one.
    fn clear_border(&self, context: &Context<'_>) {
        match self {
            Self::Stem(step) => context.clear_border(&step.output),
            Self::Dense(step) => context.clear_border(&step.output),
            Self::Winograd(step) => context.clear_border(&step.output),
            Self::Depthwise(step) => context.clear_border(&step.output),
            Self::Fours(step) => context.clear_border(&step.output),
            Self::Block(step) => context.clear_border(&step.output),
            Self::ToBytes(step) => context.clear_border(&step.value),
            Self::MaxPool(step) => context.clear_border(&step.output),
            Self::Concat(step) => context.clear_border(&step.output),
            Self::Sum(step) => context.clear_floats_border(step.output),
            Self::Resized(step) => context.clear_floats_border(step.output),
            Self::AveragePool(_) => {}
        }
    }
}
