//! Burn's tensors, in the words that the graph's ops need. All are f32, and cheap to clone.

use core::ops::Range;

use burn_backend::{
    FloatDType, Shape, Slice, TensorData, TensorMetadata,
    ops::{FloatTensorOps, IntTensorOps},
    tensor::FloatTensor,
};
use burn_wgpu::{Wgpu, into_contiguous};
use cubecl::{Device, server::CopyDescriptor};

use crate::{EngineError, memory::zeroed};

/// On one device; any number of dimensions.
pub type Tensor = FloatTensor<Wgpu>;

/// All zero.
pub fn zeros<const D: usize>(device: &Device, shape: [usize; D]) -> Tensor {
    Wgpu::float_zeros(Shape::from(shape), device, FloatDType::F32)
}

/// `values` on the device; as many as `shape` says.
pub fn upload<const D: usize>(device: &Device, values: Vec<f32>, shape: [usize; D]) -> Tensor {
    Wgpu::float_from_data(TensorData::new(values, shape), device)
}

/// The same elements in another shape.
pub fn reshape<const D: usize>(tensor: Tensor, shape: [usize; D]) -> Tensor {
    Wgpu::float_reshape(tensor, Shape::from(shape))
}

/// The elements in these ranges, one for each of the first dimensions.
pub fn part<const D: usize>(tensor: &Tensor, ranges: [Range<usize>; D]) -> Tensor {
    Wgpu::float_slice(tensor.clone(), &ranges.map(Slice::from))
}

/// Replaces the elements in these ranges, in place: whoever calls this holds the only handle.
pub fn assign<const D: usize>(tensor: &mut Tensor, ranges: [Range<usize>; D], values: Tensor) {
    let only = core::mem::replace(tensor, values.clone());
    *tensor = Wgpu::float_slice_assign(only, &ranges.map(Slice::from), values);
}

/// Side by side along a dimension; nothing is copied where there is only one.
pub fn joined(mut tensors: Vec<Tensor>, dimension: usize) -> Option<Tensor> {
    match tensors.len() {
        0 | 1 => tensors.pop(),
        _ => Some(Wgpu::float_cat(tensors, dimension)),
    }
}

/// Rows of a rows x cols tensor, in the order of `indices`.
pub fn rows(tensor: &Tensor, indices: Vec<i32>) -> Tensor {
    let count = indices.len();
    let indices = Wgpu::int_from_data(TensorData::new(indices, [count]), &tensor.device());
    Wgpu::float_select(tensor.clone(), 0, indices)
}

/// Appends the elements of a tensor.
///
/// # Errors
/// [`EngineError::DeviceLost`]: a kernel of it failed, or the device is gone.
pub async fn read(tensor: Tensor, out: &mut Vec<f32>) -> Result<(), EngineError> {
    let tensor = into_contiguous(tensor);
    let shape = tensor.meta.shape().clone();
    let strides = tensor.meta.strides().clone();
    let elements = CopyDescriptor::new(tensor.handle.binding(), shape, strides, size_of::<f32>());
    let bytes = tensor.client.read_one_tensor_async(elements).await;
    let bytes = bytes.map_err(|error| EngineError::DeviceLost {
        detail: error.to_string(),
    })?;
    let (floats, _) = bytes.as_chunks();
    out.extend(floats.iter().map(|float| f32::from_le_bytes(*float)));
    Ok(())
}

/// Bytes of its elements.
pub fn bytes(tensor: &Tensor) -> u64 {
    (tensor.shape().num_elements() * size_of::<f32>()) as u64
}

/// `values` and then zeros, `len` in all.
///
/// # Errors
/// Out of memory.
pub fn padded(values: impl Iterator<Item = f32>, len: usize) -> Result<Vec<f32>, EngineError> {
    let mut all = zeroed(len)?;
    for (all, value) in all.iter_mut().zip(values) {
        *all = value;
    }
    Ok(all)
}
