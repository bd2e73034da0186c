//! A network run by candle's own operations: slow, plain, and the oracle of the engine.

use candle_core::{Device, Result, Tensor};

use super::network::{Activation, Convolution, Input, Network, Operation, ValueId, Window};

/// Every value of the network for one image of interleaved bytes, the input's first.
///
/// Values are `[1, channels, side, side]`.
pub(super) fn values(network: &Network, pixels: &[u8]) -> Result<Vec<Tensor>> {
    let mut values = vec![normalised(&network.input, pixels)?];
    for layer in &network.layers {
        let input: &Tensor = &values[layer.input];
        let output = match &layer.operation {
            Operation::Convolution(convolution) => convolve(convolution, input, &values)?,
            Operation::MaxPool(window) => {
                // Inputs of a maximum are not negative here, so that zeros never win.
                padded(input, *window)?.max_pool2d_with_stride(window.side, window.stride)?
            }
            Operation::AveragePool => input.mean_keepdim((2, 3))?,
        };
        values.push(output);
    }
    Ok(values)
}

fn normalised(input: &Input, pixels: &[u8]) -> Result<Tensor> {
    let side = input.side_px;
    let mut planes = vec![0f32; 3 * side * side];
    for (channel, plane) in planes.chunks_exact_mut(side * side).enumerate() {
        for (value, rgb) in plane.iter_mut().zip(pixels.chunks_exact(3)) {
            *value = (f32::from(rgb[channel]) - input.mean[channel]) * input.scale[channel];
        }
    }
    Tensor::from_vec(planes, (1, 3, side, side), &Device::Cpu)
}

fn padded(input: &Tensor, window: Window) -> Result<Tensor> {
    let (before, after) = window.missing(input.dim(2)?);
    input.pad_with_zeros(2, before, after)?.pad_with_zeros(3, before, after)
}

fn convolve(convolution: &Convolution, input: &Tensor, values: &[Tensor]) -> Result<Tensor> {
    let Convolution { inputs, outputs, window, .. } = *convolution;
    let (groups, depth) = if convolution.depthwise { (inputs, 1) } else { (1, inputs) };
    let shape = (outputs, depth, window.side, window.side);
    let kernel = Tensor::from_slice(&convolution.kernel, shape, &Device::Cpu)?;
    let bias = Tensor::from_slice(&convolution.bias, (1, outputs, 1, 1), &Device::Cpu)?;
    let mut sum = padded(input, window)?.conv2d(&kernel, 0, window.stride, 1, groups)?;
    sum = sum.broadcast_add(&bias)?;
    if let Some(residual) = convolution.residual {
        let residual: ValueId = residual;
        sum = (sum + &values[residual])?;
    }
    match convolution.activation {
        Activation::Identity => Ok(sum),
        Activation::Relu => sum.relu(),
        Activation::Relu6 => sum.clamp(0f32, 6f32),
    }
}
