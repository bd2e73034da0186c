//! Convolution layers with folded batch norm, over `[batch, channel, height, width]`.

mod bias;
mod depthwise;
mod same;

pub(super) use bias::{Activation, BiasActivation};
pub(super) use depthwise::Depthwise;
pub(super) use same::SamePadding;

use candle_core::{Result, Tensor};

/// A dense `k x k` convolution on candle's own kernel.
///
/// Only the first layer of a network uses it: three input channels are little work.
pub(super) struct Dense {
    /// Kernel, `[out, in, k, k]`.
    pub(super) kernel: Tensor,
    /// Step of the window in pixels.
    pub(super) stride: usize,
    /// What follows the sum.
    pub(super) epilogue: BiasActivation,
}

impl Dense {
    pub(super) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let (_, _, height, width) = input.dims4()?;
        let side = self.kernel.dim(2)?;
        let rows = SamePadding::of(height, side, self.stride);
        let columns = SamePadding::of(width, side, self.stride);
        let padded = input.pad_with_zeros(2, rows.before, rows.after)?.pad_with_zeros(
            3,
            columns.before,
            columns.after,
        )?;
        let output = padded.conv2d(&self.kernel, 0, self.stride, 1, 1)?;
        self.epilogue.apply(output)
    }
}

/// A `1 x 1` convolution as one matrix product for each image.
///
/// candle's own `1 x 1` path copies the input element by element first.
pub(super) struct Pointwise {
    /// Kernel, `[1, out, in]`.
    pub(super) kernel: Tensor,
    /// What follows the sum.
    pub(super) epilogue: BiasActivation,
}

impl Pointwise {
    pub(super) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let (batch, channels, height, width) = input.dims4()?;
        let (_, out, _) = self.kernel.dims3()?;
        let columns = input.reshape((batch, channels, height * width))?;
        let product = self.kernel.broadcast_as((batch, out, channels))?.matmul(&columns)?;
        self.epilogue.apply(product.reshape((batch, out, height, width))?)
    }
}
