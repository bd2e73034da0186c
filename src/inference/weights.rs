//! Weights: a safetensors file as named tensors in 32-bit floats.

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use safetensors::{Dtype, SafeTensors};

use super::InferenceError;

/// A safetensors file whose tensors are converted to `f32` one by one.
///
/// Converting on demand keeps the peak memory of loading at the file plus the
/// network, not at twice the network.
pub(super) struct Weights<'a> {
    /// Absent where only the shapes matter.
    tensors: Option<SafeTensors<'a>>,
    digest: String,
}

impl<'a> Weights<'a> {
    /// Reads the header of a safetensors file and digests the whole.
    ///
    /// # Errors
    /// [`InferenceError::Weights`] when the bytes are no such file.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, InferenceError> {
        let tensors =
            SafeTensors::deserialize(bytes).map_err(|source| InferenceError::Weights { source })?;
        Ok(Self { tensors: Some(tensors), digest: blake3::hash(bytes).to_hex().to_string() })
    }

    /// Weights that are all zero and have every shape that is asked for.
    pub(super) fn blank() -> Self {
        Self { tensors: None, digest: String::new() }
    }

    /// BLAKE3 of the file in hexadecimal.
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    /// The shape of a tensor, if the file has it.
    pub(super) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let tensor = self.tensors.as_ref()?.tensor(name).ok()?;
        Some(tensor.shape().to_vec())
    }

    /// Gives the elements of one tensor in row-major order.
    ///
    /// # Errors
    /// [`InferenceError::MissingTensor`], [`InferenceError::TensorShape`] or
    /// [`InferenceError::TensorType`].
    pub(super) fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, InferenceError> {
        let Some(tensors) = &self.tensors else {
            return Ok(vec![0.0; shape.iter().product()]);
        };
        let view = tensors
            .tensor(name)
            .map_err(|_| InferenceError::MissingTensor { name: name.to_owned() })?;
        if view.shape() != shape {
            return Err(InferenceError::TensorShape {
                name: name.to_owned(),
                expected: shape.to_vec(),
                found: view.shape().to_vec(),
            });
        }
        match view.dtype() {
            Dtype::F16 => Ok(from_halves(view.data())),
            Dtype::F32 => Ok(view.data().chunks_exact(4).map(single_value).collect()),
            other => Err(InferenceError::TensorType {
                name: name.to_owned(),
                found: format!("{other:?}"),
            }),
        }
    }
}

/// By whole slices, since the conversion of single halves asks for the processor's features.
fn from_halves(bytes: &[u8]) -> Vec<f32> {
    let bits: Vec<u16> =
        bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let mut values = vec![0.0; bits.len()];
    bits.reinterpret_cast::<f16>().convert_to_f32_slice(&mut values);
    values
}

fn single_value(bytes: &[u8]) -> f32 {
    f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dtype: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!(
            r#"{{"a.weight":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{}]}}}}"#,
            data.len()
        );
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    #[test]
    fn half_floats_are_widened() {
        let data: Vec<u8> =
            [1.5f32, -2.0].iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect();
        let bytes = file("F16", "[2]", &data);
        let weights = Weights::parse(&bytes).unwrap();
        assert_eq!(weights.values("a.weight", &[2]).unwrap(), [1.5, -2.0]);
    }

    #[test]
    fn a_file_of_another_network_is_refused_by_name_shape_and_type() {
        let bytes = file("F16", "[2]", &[0; 4]);
        let weights = Weights::parse(&bytes).unwrap();
        let missing = weights.values("b.weight", &[2]).unwrap_err();
        assert!(matches!(missing, InferenceError::MissingTensor { .. }), "{missing}");
        let shape = weights.values("a.weight", &[1, 2]).unwrap_err();
        assert!(matches!(shape, InferenceError::TensorShape { .. }), "{shape}");
        let bytes = file("I16", "[2]", &[0; 4]);
        let kind = Weights::parse(&bytes).unwrap().values("a.weight", &[2]).unwrap_err();
        assert!(matches!(kind, InferenceError::TensorType { .. }), "{kind}");
    }

    #[test]
    fn bytes_that_are_no_safetensors_file_are_refused() {
        for bytes in [&b""[..], b"12345678", &[255; 64]] {
            assert!(Weights::parse(bytes).is_err());
        }
    }
}
