//! Compiled networks against candle and against plain loops, on every instruction set at hand.

use super::{InstructionSet, Output, Plan, Precision, calibrate};
use crate::inference::network::{
    Activation, Convolution, Input, Layer, Network, Operation, Padding, Residual, Resize, Sampling,
    Window,
};
use crate::inference::reference;

/// A fixed stream of numbers from -1 to 1.
struct Stream(u64);

impl Stream {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn values(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| self.next() * scale).collect()
    }

    fn pixels(&mut self, side: usize) -> Vec<u8> {
        (0..side * side * 3).map(|_| ((self.next() + 1.0) * 127.0) as u8).collect()
    }
}

/// Builds networks layer by layer; each layer reads the one before.
struct Builder {
    stream: Stream,
    layers: Vec<Layer>,
    side: usize,
    channels: Vec<usize>,
}

impl Builder {
    fn new(seed: u64, side: usize) -> Self {
        Self { stream: Stream(seed), layers: Vec::new(), side, channels: vec![3] }
    }

    fn push(&mut self, operation: Operation, channels: usize) {
        let name = format!("layer {}", self.layers.len());
        self.layers.push(Layer { name, input: self.layers.len(), operation });
        self.channels.push(channels);
    }

    fn convolution(&mut self, outputs: usize, window: Window, activation: Activation) -> &mut Self {
        let inputs = self.channels[self.layers.len()];
        let depth = inputs * window.side * window.side;
        let scale = (3.0 / depth as f32).sqrt();
        let kernel = self.stream.values(outputs * depth, scale);
        self.add(kernel, [inputs, outputs], window, false, activation)
    }

    fn depthwise(&mut self, window: Window) -> &mut Self {
        self.depthwise_as(window, Activation::Relu6)
    }

    fn depthwise_as(&mut self, window: Window, activation: Activation) -> &mut Self {
        let channels = self.channels[self.layers.len()];
        let taps = window.side * window.side;
        let kernel = self.stream.values(channels * taps, (3.0 / taps as f32).sqrt());
        self.add(kernel, [channels, channels], window, true, activation)
    }

    fn add(
        &mut self,
        kernel: Vec<f32>,
        [inputs, outputs]: [usize; 2],
        window: Window,
        depthwise: bool,
        activation: Activation,
    ) -> &mut Self {
        let bias = self.stream.values(outputs, 0.1);
        let convolution = Convolution {
            kernel,
            bias,
            inputs,
            outputs,
            window,
            depthwise,
            residual: None,
            activation,
        };
        self.push(Operation::Convolution(convolution), outputs);
        self
    }

    /// Adds an earlier value to the last layer's result, before the activation.
    fn residual(&mut self, value: usize) -> &mut Self {
        self.residual_as(Residual { value, last: false })
    }

    fn residual_as(&mut self, residual: Residual) -> &mut Self {
        if let Some(Layer { operation: Operation::Convolution(last), .. }) = self.layers.last_mut()
        {
            last.residual = Some(residual);
        }
        self
    }

    fn max_pool(&mut self, window: Window) -> &mut Self {
        let channels = self.channels[self.layers.len()];
        self.push(Operation::MaxPool(window), channels);
        self
    }

    /// Puts earlier values beside the last.
    fn concat(&mut self, others: &[usize]) -> &mut Self {
        let last = self.channels[self.layers.len()];
        let added: usize = others.iter().map(|&other| self.channels[other]).sum();
        self.push(Operation::Concat(others.to_vec()), last + added);
        self
    }

    fn resize(&mut self, side: usize, sampling: Sampling) -> &mut Self {
        let channels = self.channels[self.layers.len()];
        self.push(Operation::Resize(Resize { side, sampling }), channels);
        self
    }

    fn sum(&mut self, other: usize) -> &mut Self {
        self.push(Operation::Add(other), self.channels[other]);
        self
    }

    fn finish(&mut self) -> Network {
        let channels = self.channels[self.layers.len()];
        self.push(Operation::AveragePool, channels);
        self.convolution(7, POINT, Activation::Identity);
        let features = self.layers.len() - 1;
        Network {
            input: Input { side_px: self.side, mean: [127.0; 3], scale: [1.0 / 64.0; 3] },
            layers: std::mem::take(&mut self.layers),
            outputs: vec![features, features + 1],
        }
    }
}

const POINT: Window = Window { side: 1, stride: 1, padding: Padding::Same };

fn same(side: usize, stride: usize) -> Window {
    Window { side, stride, padding: Padding::Same }
}

fn each(side: usize, stride: usize, padding: usize) -> Window {
    Window { side, stride, padding: Padding::Each(padding) }
}

/// Networks whose layers cover sides, strides, paddings and channel counts that fit no vector.
fn networks() -> Vec<(String, Network)> {
    let mut networks = Vec::new();
    let channels = [1, 3, 8, 13, 24, 40, 70];
    for (index, side) in [5, 8, 13, 17, 33, 47].into_iter().enumerate() {
        let (narrow, wide) = (channels[index], channels[(index + 3) % channels.len()] * 3);
        for (window, stride) in [(3, 1), (3, 2), (5, 1), (5, 2), (7, 1), (4, 3)] {
            let mut builder = Builder::new((side * 100 + window * 10 + stride) as u64, side);
            builder
                .convolution(narrow, same(3, 1), Activation::Relu6)
                .convolution(wide, POINT, Activation::Relu6)
                .depthwise(same(window, stride))
                .convolution(narrow, POINT, Activation::Identity);
            if stride == 1 {
                builder.residual(1);
            }
            builder.depthwise(same(3, 1)).convolution(wide, POINT, Activation::Relu6);
            networks.push((format!("mobile {side} {window}/{stride}"), builder.finish()));

            let mut builder = Builder::new((side * 77 + window * 10 + stride) as u64, side);
            builder
                .convolution(narrow, each(7, 2, 3), Activation::Relu)
                .max_pool(each(3, 2, 1))
                .convolution(wide, each(3, 1, 1), Activation::Relu)
                .convolution(wide, same(window, stride), Activation::Relu)
                .convolution(wide, each(3, 1, 1), Activation::Relu)
                .residual(4)
                .convolution(narrow, each(1, 2, 0), Activation::Identity);
            networks.push((format!("residual {side} {window}/{stride}"), builder.finish()));
        }
    }
    // What detectors are made of: curves, residuals after them, images side by side and resized.
    for (side, narrow) in [(11, 5), (20, 13), (33, 16), (70, 24)] {
        let half = usize::div_ceil(side, 2);
        let mut builder = Builder::new(side as u64, side);
        builder
            .convolution(narrow, same(3, 2), Activation::Silu)
            .convolution(40, POINT, Activation::Silu)
            .depthwise_as(same(3, 1), Activation::Silu)
            .convolution(40, POINT, Activation::Silu)
            .residual_as(Residual { value: 2, last: true })
            .concat(&[2, 1])
            .convolution(35, each(3, 1, 1), Activation::LeakyRelu)
            .convolution(35, each(3, 1, 1), Activation::Silu)
            .residual_as(Residual { value: 6, last: true })
            .max_pool(each(5, 1, 2))
            .resize(2 * half, Sampling::Nearest)
            .depthwise_as(same(5, 1), Activation::LeakyRelu)
            .resize(half, Sampling::Bilinear)
            .sum(8)
            .convolution(narrow, POINT, Activation::Relu)
            .residual_as(Residual { value: 1, last: true });
        networks.push((format!("detector {side}"), builder.finish()));
    }
    // What bytes are moved through: a pool, and images side by side.
    for (side, narrow) in [(22, 5), (41, 16), (64, 24)] {
        let leaky = Activation::LeakyRelu;
        let mut builder = Builder::new(side as u64, side);
        builder
            .convolution(narrow, each(3, 2, 1), leaky)
            .max_pool(each(3, 2, 1))
            .convolution(2 * narrow, each(3, 1, 1), leaky)
            .convolution(narrow, each(3, 1, 1), leaky)
            .convolution(narrow, each(3, 1, 1), leaky)
            .concat(&[4])
            .convolution(2 * narrow, each(3, 1, 1), leaky)
            .concat(&[3])
            .convolution(40, each(3, 2, 1), leaky)
            .convolution(35, POINT, Activation::Identity);
        networks.push((format!("moves {side}"), builder.finish()));
    }
    // Wide enough for products at points, with large tiles, then with small ones.
    for side in [27, 30] {
        let mut builder = Builder::new(side as u64, side);
        builder
            .convolution(35, same(3, 2), Activation::Relu)
            .convolution(40, each(3, 1, 1), Activation::Relu)
            .convolution(35, same(3, 1), Activation::Relu6)
            .residual(1)
            .convolution(66, each(3, 2, 1), Activation::Relu)
            .convolution(40, same(3, 1), Activation::Identity)
            .convolution(66, each(3, 1, 1), Activation::Relu)
            .residual(4);
        networks.push((format!("points {side}"), builder.finish()));
    }
    networks
}

/// The greatest difference, as a part of the greatest expected value.
fn gap(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(0f32, |scale, value| scale.max(value.abs()));
    let gaps = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    gaps.fold(0f32, f32::max) / scale.max(1e-6)
}

fn run(plan: &Plan, pixels: &[u8], threads: usize, output: Output) -> Vec<f32> {
    plan.run(pixels, &mut plan.workspace(threads), output)
}

#[test]
fn floats_equal_candle_on_every_instruction_set_and_number_of_threads() {
    for (name, network) in networks() {
        let pixels = Stream(1).pixels(network.input.side_px);
        let values = reference::values(&network, &pixels).unwrap();
        let [features, logits] = [network.outputs[0], network.outputs[1]]
            .map(|value| values[value].flatten_all().unwrap().to_vec1::<f32>().unwrap());
        let both = [features.clone(), logits].concat();
        for (output, expected) in [(Output::Features, features), (Output::FeaturesAndLogits, both)]
        {
            for set in InstructionSet::available() {
                let plan = Plan::new(&network, set, Precision::Float32, &[]);
                let alone = run(&plan, &pixels, 1, output);
                let found = gap(&alone, &expected);
                assert!(found < 1e-4, "{name} on {}: {found}", set.name());
                for threads in [2, 3] {
                    let together = run(&plan, &pixels, threads, output);
                    assert_eq!(alone, together, "{name} on {}, {threads} threads", set.name());
                }
            }
        }
    }
}

#[test]
fn bytes_stay_near_floats_and_differ_between_instruction_sets_only_in_rounding() {
    for (name, network) in networks() {
        let pixels = Stream(2).pixels(network.input.side_px);
        let ranges = calibrate(&network, &[&pixels]);
        let floats = Plan::new(&network, InstructionSet::Scalar, Precision::Float32, &[]);
        let expected = run(&floats, &pixels, 1, Output::Features);
        for set in InstructionSet::available() {
            let plan = Plan::new(&network, set, Precision::Int8, &ranges);
            let alone = run(&plan, &pixels, 1, Output::Features);
            let found = gap(&alone, &expected);
            assert!(found < 0.1, "{name} on {}: {found}", set.name());
            let together = run(&plan, &pixels, 2, Output::Features);
            assert_eq!(alone, together, "{name} on {}", set.name());
        }
    }
}

#[test]
fn a_workspace_can_be_used_again_for_another_image() {
    for (name, network) in networks().into_iter().take(4) {
        let plan = Plan::new(&network, InstructionSet::detect(), Precision::Float32, &[]);
        let mut workspace = plan.workspace(2);
        let images = [3, 4].map(|seed| Stream(seed).pixels(network.input.side_px));
        let first = plan.run(&images[0], &mut workspace, Output::FeaturesAndLogits);
        let second = plan.run(&images[1], &mut workspace, Output::FeaturesAndLogits);
        assert_ne!(first, second, "{name}");
        assert_eq!(
            first,
            plan.run(&images[0], &mut workspace, Output::FeaturesAndLogits),
            "{name}"
        );
    }
}
