//! A network run by candle's own operations: slow, plain, and the oracle of the engine.

use candle_core::{Device, Result, Tensor};

use super::network::{Activation, Convolution, Input, LEAK, Network, Operation, Resize, Window};

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
                // Padding is zeros: what is lifted above them never loses to it.
                let lift = input.flatten_all()?.min(0)?.to_scalar::<f32>()?.min(0.0);
                let lift = f64::from(lift);
                let lifted = padded(&(input - lift)?, *window)?;
                (lifted.max_pool2d_with_stride(window.side, window.stride)? + lift)?
            }
            Operation::AveragePool => input.mean_keepdim((2, 3))?,
            Operation::Concat(others) => {
                let mut parts = vec![input];
                parts.extend(others.iter().map(|&other| &values[other]));
                Tensor::cat(&parts, 1)?
            }
            Operation::Add(other) => (input + &values[*other])?,
            Operation::Resize(resize) => resized(*resize, input)?,
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
    let residual = |last| {
        let added = convolution.residual.filter(|residual| residual.last == last);
        added.map(|residual| &values[residual.value])
    };
    if let Some(value) = residual(false) {
        sum = (sum + value)?;
    }
    sum = match convolution.activation {
        Activation::Identity => sum,
        Activation::Relu => sum.relu()?,
        Activation::Relu6 => sum.clamp(0f32, 6f32)?,
        Activation::LeakyRelu => sum.maximum(&(&sum * f64::from(LEAK))?)?,
        Activation::Silu => sum.silu()?,
    };
    match residual(true) {
        Some(value) => sum + value,
        None => Ok(sum),
    }
}

/// `R X R^T`, with a row of shares in `R` for each output pixel.
fn resized(resize: Resize, input: &Tensor) -> Result<Tensor> {
    let length = input.dim(2)?;
    let mut shares = vec![0f32; resize.side * length];
    for (at, row) in shares.chunks_exact_mut(length).enumerate() {
        let (first, second, share) = resize.sources(length, at);
        row[first] += 1.0 - share;
        row[second] += share;
    }
    let shares = Tensor::from_vec(shares, (resize.side, length), &Device::Cpu)?;
    let rows = shares.broadcast_matmul(input)?;
    rows.contiguous()?.broadcast_matmul(&shares.t()?.contiguous()?)
}
