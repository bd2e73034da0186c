//! Depthwise convolution: each channel with a kernel of its own.
//!
//! candle runs a grouped convolution as one im2col convolution for each group,
//! which takes 145 ms for EfficientNet-B0 where the arithmetic is worth two.

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{BiasActivation, SamePadding};

/// A depthwise `k x k` convolution with SAME padding, bias and activation.
pub(crate) struct Depthwise {
    /// Kernels, `[channel, k, k]` in row-major order.
    pub(crate) kernels: Vec<f32>,
    /// Side of a kernel.
    pub(crate) side: usize,
    /// Step of the window in pixels.
    pub(crate) stride: usize,
    /// One bias for each channel, and the activation.
    pub(crate) epilogue: BiasActivation,
}

impl Depthwise {
    /// Convolves `[batch, channel, height, width]`.
    pub(crate) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        if matches!(input.device(), Device::Cpu) {
            return input.contiguous()?.apply_op1_no_bwd(self);
        }
        self.forward_by_candle(input)
    }

    /// The same by candle's own operations: the path of a GPU, and the oracle of the kernel.
    fn forward_by_candle(&self, input: &Tensor) -> Result<Tensor> {
        let (_, channels, height, width) = input.dims4()?;
        let rows = SamePadding::of(height, self.side, self.stride);
        let columns = SamePadding::of(width, self.side, self.stride);
        let shape = (channels, 1, self.side, self.side);
        let kernels = Tensor::from_slice(&self.kernels, shape, input.device())?;
        let padded = input.pad_with_zeros(2, rows.before, rows.after)?.pad_with_zeros(
            3,
            columns.before,
            columns.after,
        )?;
        self.epilogue.apply(padded.conv2d(&kernels, 0, self.stride, 1, channels)?)
    }
}

impl CustomOp1 for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, channels, height, width) = layout.shape().dims4()?;
        if self.kernels.len() != channels * self.side * self.side {
            bail!("depthwise: {channels} channels do not fit {} weights", self.kernels.len());
        }
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("depthwise needs a contiguous tensor");
        };
        let input = &storage.as_slice::<f32>()?[start..end];
        let plane = Plane::new(height, width, self.side, self.stride);
        let mut output = vec![0f32; batch * channels * plane.out_len()];
        let bounds = self.epilogue.activation.bounds();
        output
            .par_chunks_mut(plane.out_len())
            .zip(input.par_chunks(height * width))
            .enumerate()
            .for_each(|(index, (out, plane_in))| {
                let channel = index % channels;
                let taps = self.side * self.side;
                let kernel = &self.kernels[channel * taps..(channel + 1) * taps];
                plane.convolve(plane_in, kernel, self.epilogue.bias[channel], bounds, out);
            });
        let shape = Shape::from((batch, channels, plane.out_height, plane.out_width));
        Ok((CpuStorage::F32(output), shape))
    }
}

/// The geometry of one channel's convolution.
struct Plane {
    height: usize,
    width: usize,
    side: usize,
    stride: usize,
    pad_top: usize,
    pad_left: usize,
    out_height: usize,
    out_width: usize,
}

impl Plane {
    fn new(height: usize, width: usize, side: usize, stride: usize) -> Self {
        Self {
            height,
            width,
            side,
            stride,
            pad_top: SamePadding::of(height, side, stride).before,
            pad_left: SamePadding::of(width, side, stride).before,
            out_height: height.div_ceil(stride),
            out_width: width.div_ceil(stride),
        }
    }

    fn out_len(&self) -> usize {
        self.out_height * self.out_width
    }

    /// Sums shifted rows into each output row, so that the inner loop runs over
    /// neighbors in memory and vectorises; taps outside the image are skipped.
    fn convolve(
        &self,
        input: &[f32],
        kernel: &[f32],
        bias: f32,
        (low, high): (f32, f32),
        out: &mut [f32],
    ) {
        for (y, row) in out.chunks_exact_mut(self.out_width).enumerate() {
            row.fill(bias);
            for (ky, taps) in kernel.chunks_exact(self.side).enumerate() {
                let Some(source) = (y * self.stride + ky).checked_sub(self.pad_top) else {
                    continue;
                };
                if source >= self.height {
                    continue;
                }
                let line = &input[source * self.width..(source + 1) * self.width];
                for (kx, &weight) in taps.iter().enumerate() {
                    self.add_tap(row, line, weight, kx);
                }
            }
            for value in row {
                *value = value.max(low).min(high);
            }
        }
    }

    /// Adds `weight * line[x * stride + kx - pad_left]` to each `row[x]` that has such a source.
    fn add_tap(&self, row: &mut [f32], line: &[f32], weight: f32, kx: usize) {
        let first = self.pad_left.saturating_sub(kx).div_ceil(self.stride);
        let reach = (self.width + self.pad_left).saturating_sub(kx);
        let end = reach.div_ceil(self.stride).min(row.len());
        if first >= end {
            return;
        }
        let row = &mut row[first..end];
        let line = &line[first * self.stride + kx - self.pad_left..];
        if self.stride == 1 {
            for (sum, &value) in row.iter_mut().zip(line) {
                *sum += weight * value;
            }
        } else {
            for (sum, &value) in row.iter_mut().zip(line.iter().step_by(self.stride)) {
                *sum += weight * value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Activation;
    use super::*;

    fn layer(channels: usize, side: usize, stride: usize) -> Depthwise {
        let wave = |i: usize| ((i * 37 % 101) as f32 - 50.0) / 50.0;
        Depthwise {
            kernels: (0..channels * side * side).map(wave).collect(),
            side,
            stride,
            epilogue: BiasActivation {
                bias: (0..channels).map(wave).collect(),
                activation: Activation::Relu6,
            },
        }
    }

    #[test]
    fn the_kernel_equals_candle_over_odd_sizes_sides_and_strides() {
        for (height, width) in [(1, 1), (1, 9), (7, 5), (8, 8), (13, 2), (17, 31)] {
            for side in [1, 3, 5] {
                for stride in [1, 2, 3] {
                    let (batch, channels) = (2, 3);
                    let count = batch * channels * height * width;
                    let values: Vec<f32> =
                        (0..count).map(|i| ((i * 53 % 97) as f32 - 40.0) / 20.0).collect();
                    let shape = (batch, channels, height, width);
                    let input = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
                    let layer = layer(channels, side, stride);
                    let fast = layer.forward(&input).unwrap();
                    let oracle = layer.forward_by_candle(&input).unwrap();
                    assert_eq!(fast.dims(), oracle.dims());
                    let gap = (fast - oracle).unwrap().abs().unwrap();
                    let gap = gap.flatten_all().unwrap().max(0).unwrap();
                    let gap = gap.to_scalar::<f32>().unwrap();
                    assert!(gap < 1e-4, "{height}x{width} side {side} stride {stride}: {gap}");
                }
            }
        }
    }
}
