//! Where the time of an image goes.

use std::time::Duration;

use super::InferenceError;
use super::cnn::Cnn;
use super::cpu::{Output, Plan};
use super::summary::LayerSummary;
use crate::pixels::Pixels;

/// One step of a compiled network: a layer, or several that were fused.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StepTime {
    /// Name of the last layer that it computes.
    pub layer: String,
    /// What kind of step it is, such as `dense`, `depthwise` or `fused block`.
    pub kind: &'static str,
    /// Multiplications with an addition, counted as the layers define them: what Winograd's
    /// convolution saves is not taken off.
    pub multiply_adds: u64,
    /// Time on one thread.
    pub time: Duration,
}

impl Cnn {
    /// Times the steps of an embedding on one thread; the image is encoded once to warm up, and
    /// once to measure.
    ///
    /// # Errors
    /// [`InferenceError::InputSize`] when the image has another size than the network takes.
    pub fn profile(&self, image: &Pixels) -> Result<Vec<StepTime>, InferenceError> {
        self.model().check_size(image)?;
        let layers = self.model().layers()?;
        let last = self.plan().last_layer(Output::Features);
        Ok(steps(self.plan(), &layers, image, last))
    }
}

/// Times the steps of a plan as far as a layer.
pub(super) fn steps(
    plan: &Plan,
    layers: &[LayerSummary],
    image: &Pixels,
    last: usize,
) -> Vec<StepTime> {
    let mut begin = 0;
    let steps = plan.profile(image.rgb(), last).into_iter().map(|(last, kind, time)| {
        let computed = &layers[begin..=last];
        begin = last + 1;
        StepTime {
            layer: layers[last].name.clone(),
            kind,
            multiply_adds: computed.iter().map(|layer| layer.multiply_adds).sum(),
            time,
        }
    });
    steps.collect()
}
