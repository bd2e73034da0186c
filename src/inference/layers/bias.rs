//! Adds a channel's bias and applies the activation, in place and in one pass.

use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Result, Tensor, bail};
use rayon::prelude::*;

/// The function applied to each element after the bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// The element itself.
    Identity,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

impl Activation {
    /// Lower and upper bound of the result: every activation here is a clamp.
    pub(super) fn bounds(self) -> (f32, f32) {
        match self {
            Self::Identity => (f32::NEG_INFINITY, f32::INFINITY),
            Self::Relu6 => (0.0, 6.0),
        }
    }
}

/// Bias and activation of one layer.
///
/// As separate tensor operations they cost more time than the depthwise
/// convolutions: each allocates and walks the whole activation once more.
pub(crate) struct BiasActivation {
    /// One value for each channel.
    pub(crate) bias: Vec<f32>,
    /// What follows the bias.
    pub(crate) activation: Activation,
}

impl BiasActivation {
    /// Changes `tensor`, `[batch, channel, height, width]`, in place.
    ///
    /// Takes the tensor by value because its storage is overwritten.
    pub(crate) fn apply(&self, tensor: Tensor) -> Result<Tensor> {
        if matches!(tensor.device(), Device::Cpu) {
            tensor.inplace_op1(self)?;
            return Ok(tensor);
        }
        let bias = Tensor::new(self.bias.as_slice(), tensor.device())?;
        let shifted = tensor.broadcast_add(&bias.reshape((1, self.bias.len(), 1, 1))?)?;
        match self.activation {
            Activation::Identity => Ok(shifted),
            Activation::Relu6 => shifted.clamp(0f32, 6f32),
        }
    }
}

impl InplaceOp1 for BiasActivation {
    fn name(&self) -> &'static str {
        "bias-activation"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (_, channels, height, width) = layout.shape().dims4()?;
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("bias-activation needs a contiguous tensor");
        };
        let CpuStorage::F32(values) = storage else {
            bail!("bias-activation needs 32-bit floats");
        };
        let (low, high) = self.activation.bounds();
        values[start..end].par_chunks_mut(height * width).enumerate().for_each(|(plane, row)| {
            let bias = self.bias[plane % channels];
            for value in row {
                *value = (*value + bias).max(low).min(high);
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_gets_its_own_bias_and_the_clamp() {
        let values: Vec<f32> = (0..12).map(|i| i as f32 - 6.0).collect();
        let tensor = Tensor::from_vec(values, (1, 3, 2, 2), &Device::Cpu).unwrap();
        let epilogue = BiasActivation { bias: vec![7.0, 0.0, 1.0], activation: Activation::Relu6 };
        let found = epilogue.apply(tensor).unwrap().flatten_all().unwrap().to_vec1::<f32>();
        let expected = [1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0, 1.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(found.unwrap(), expected);
    }
}
