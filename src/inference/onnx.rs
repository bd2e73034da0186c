//! ONNX files, as far as the convolutions in them go: kernels and biases in the order in which
//! they run.
//!
//! The messages are those of `onnx.proto3`, with the fields that are read. Whatever else a file
//! says is skipped: which network it is, its convolutions tell by their number and their shapes.

use std::collections::HashMap;

use prost::Message;

use super::InferenceError;
use super::models::yolox::{Convolutions, Wanted};

/// The element type of a tensor of 32-bit floats.
const FLOAT: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    tensors: Vec<Tensor>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    inputs: Vec<String>,
    #[prost(string, tag = "4")]
    operation: String,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    shape: Vec<i64>,
    #[prost(int32, tag = "2")]
    element: i32,
    #[prost(float, repeated, tag = "4")]
    floats: Vec<f32>,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw: Vec<u8>,
}

/// Whether bytes look like an ONNX file rather than a safetensors file, which begins with the
/// length of its header and then `{`.
pub(super) fn is_onnx(bytes: &[u8]) -> bool {
    // The first field of an ONNX file is its version, a small number.
    matches!(bytes, [0x08, 1..=0x7f, ..]) && bytes.get(8) != Some(&b'{')
}

/// The convolutions of an ONNX file.
pub(super) struct OnnxConvolutions {
    tensors: HashMap<String, Tensor>,
    /// Names of kernel and bias of each convolution that is left.
    left: std::vec::IntoIter<(String, String)>,
}

impl OnnxConvolutions {
    /// Reads a file.
    ///
    /// # Errors
    /// [`InferenceError::Onnx`] when the bytes are no such file;
    /// [`InferenceError::OnnxNetwork`] when a convolution has no kernel or no bias.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, InferenceError> {
        let model = Model::decode(bytes).map_err(|source| InferenceError::Onnx { source })?;
        let graph = model.graph.unwrap_or_default();
        let mut left = Vec::new();
        for node in graph.nodes.into_iter().filter(|node| node.operation == "Conv") {
            let Ok([_, kernel, bias]) = <[String; 3]>::try_from(node.inputs) else {
                return Err(wrong("a convolution has no kernel or no bias".to_owned()));
            };
            left.push((kernel, bias));
        }
        let tensors = graph.tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor));
        Ok(Self { tensors: tensors.collect(), left: left.into_iter() })
    }

    /// Checks that there is nothing more.
    ///
    /// # Errors
    /// [`InferenceError::OnnxNetwork`] when the file has further convolutions.
    pub(super) fn finish(self) -> Result<(), InferenceError> {
        match self.left.len() {
            0 => Ok(()),
            more => Err(wrong(format!("it has {more} convolutions too many"))),
        }
    }

    /// Output channels of the first convolution that is left.
    pub(super) fn first_outputs(&self) -> Option<usize> {
        let (kernel, _) = self.left.as_slice().first()?;
        usize::try_from(*self.tensors.get(kernel)?.shape.first()?).ok()
    }

    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, InferenceError> {
        let tensor = self
            .tensors
            .get(name)
            .ok_or_else(|| InferenceError::MissingTensor { name: name.to_owned() })?;
        if tensor.element != FLOAT {
            let found = format!("{} of ONNX", tensor.element);
            return Err(InferenceError::TensorType { name: name.to_owned(), found });
        }
        let found: Vec<usize> =
            tensor.shape.iter().map(|&side| usize::try_from(side).unwrap_or(0)).collect();
        if found != shape {
            let (name, expected) = (name.to_owned(), shape.to_vec());
            return Err(InferenceError::TensorShape { name, expected, found });
        }
        let values: Vec<f32> = if tensor.floats.is_empty() {
            let fours = tensor.raw.chunks_exact(4);
            fours.map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
        } else {
            tensor.floats.clone()
        };
        let expected: usize = shape.iter().product();
        if values.len() != expected {
            let found = values.len();
            return Err(wrong(format!("tensor {name:?} has {found} elements, not {expected}")));
        }
        Ok(values)
    }
}

/// One after the other: exported files have numbers for names.
impl Convolutions for OnnxConvolutions {
    fn take(&mut self, wanted: &Wanted<'_>) -> Result<(Vec<f32>, Vec<f32>), InferenceError> {
        let Some((kernel, bias)) = self.left.next() else {
            return Err(wrong(format!("it ends before the convolution {:?}", wanted.name)));
        };
        let values = self.values(&kernel, &wanted.shape)?;
        Ok((values, self.values(&bias, &wanted.shape[..1])?))
    }
}

fn wrong(reason: String) -> InferenceError {
    InferenceError::OnnxNetwork { reason }
}
