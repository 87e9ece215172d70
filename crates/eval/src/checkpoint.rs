//! Tensors of a `pytorch_model.bin`: a zip archive whose pickle says which tensor lies where in which of its files. Everything is stored
//! as it is, so a tensor is a range of bytes, as in a safetensors file.

use std::{collections::BTreeMap, ops::Range};

use model::{DType, ModelError, hugging_face::safetensors::Tensor};
use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipArchive};

use crate::{
    disk::Disk,
    error::Error,
    pickle::{self, Value},
};

/// Longest pickle that is read: it names tensors, it does not hold them.
const MAX_PICKLE_BYTES: u64 = 1 << 28;

/// Where each file of the archive lies, by its name without the folder that all of them are in.
type Places = BTreeMap<String, Range<u64>>;

/// Tensors by name. Those of integers, which no model here reads, are left out.
///
/// # Errors
/// No zip archive (before PyTorch 1.6 checkpoints were none), one that is compressed, a pickle that says something else than `torch.save`
/// writes, or a tensor whose rows do not lie one after another.
pub fn tensors(disk: &mut Disk) -> Result<BTreeMap<String, Tensor>, Error> {
    let places = places(disk)?;
    let place = places
        .get("data.pkl")
        .ok_or_else(|| ModelError::corrupt("it has no data.pkl".to_owned()))?;
    let length = place.end.saturating_sub(place.start);
    if length > MAX_PICKLE_BYTES {
        return Err(ModelError::corrupt(format!("its pickle claims {length} bytes")).into());
    }
    let pickle = pickle::parse(&disk.read(place.clone())?)?;
    let Value::Pairs(entries) = pickle else {
        return Err(ModelError::corrupt("its pickle is no dictionary".to_owned()).into());
    };
    let mut tensors = BTreeMap::new();
    for (name, value) in entries.iter() {
        let Value::Text(name) = name else { continue };
        if let Some(tensor) = tensor(name, value, &places)? {
            tensors.insert(name.to_string(), tensor);
        }
    }
    Ok(tensors)
}

fn places(disk: &Disk) -> Result<Places, Error> {
    let no_zip = |error: rawzip::Error| {
        ModelError::corrupt(format!(
            "{error}; checkpoints from before PyTorch 1.6 have to be saved again"
        ))
    };
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let archive = ZipArchive::from_file(disk.handle()?, &mut buffer).map_err(no_zip)?;
    let mut places = Places::new();
    let mut entries = archive.entries(&mut buffer);
    while let Some(entry) = entries.next_entry().map_err(no_zip)? {
        let name = String::from_utf8_lossy(entry.file_path().as_ref()).into_owned();
        if entry.compression_method() != CompressionMethod::STORE {
            return Err(ModelError::corrupt(format!("{name} in it is compressed")).into());
        }
        let entry = archive.get_entry(entry.wayfinder()).map_err(no_zip)?;
        let inner = name.split_once('/').map_or(&*name, |(_, inner)| inner);
        let (start, end) = entry.compressed_data_range();
        places.insert(inner.to_owned(), start..end);
    }
    Ok(places)
}

/// A tensor of floating point numbers; `None` is something else.
fn tensor(name: &str, value: &Value, places: &Places) -> Result<Option<Tensor>, ModelError> {
    let Value::Called(call) = value else {
        return Ok(None);
    };
    let (Value::Global(called), Value::Items(arguments)) = &**call else {
        return Ok(None);
    };
    match (&**called, arguments.as_slice()) {
        ("torch._utils _rebuild_parameter", [inner, ..]) => tensor(name, inner, places),
        ("torch._utils _rebuild_tensor_v2", [storage, offset, shape, stride, ..]) => {
            let Some((dtype, key)) = self::storage(storage) else {
                return Ok(None);
            };
            let placed = || {
                let (shape, stride) = (sizes(shape)?, sizes(stride)?);
                let Value::Integer(offset) = offset else {
                    return None;
                };
                is_contiguous(&shape, &stride).then_some(())?;
                let place = places.get(&format!("data/{key}"))?;
                let offset = u64::try_from(*offset)
                    .ok()?
                    .checked_mul(dtype.row_bytes(1)?)?;
                let tensor = Tensor::at(dtype, &shape, place.start.checked_add(offset)?)?;
                (tensor.range.end <= place.end).then_some(tensor)
            };
            let detail = || format!("its tensor {name} is not one piece of the file");
            placed()
                .map(Some)
                .ok_or_else(|| ModelError::corrupt(detail()))
        }
        _ => Ok(None),
    }
}

/// Type and key, of floating point numbers.
fn storage(value: &Value) -> Option<(DType, &str)> {
    let Value::Persistent(id) = value else {
        return None;
    };
    let Value::Items(parts) = &**id else {
        return None;
    };
    let [Value::Text(what), Value::Global(kind), Value::Text(key), ..] = parts.as_slice() else {
        return None;
    };
    let dtype = match &**kind {
        "torch FloatStorage" => DType::F32,
        "torch HalfStorage" => DType::F16,
        "torch BFloat16Storage" => DType::BF16,
        _ => return None,
    };
    (&**what == "storage").then_some((dtype, &**key))
}

fn sizes(value: &Value) -> Option<Vec<u64>> {
    let Value::Items(items) = value else {
        return None;
    };
    let size = |item: &Value| match item {
        Value::Integer(size) => u64::try_from(*size).ok(),
        _ => None,
    };
    items.iter().map(size).collect()
}

/// Whether the last dimension's elements lie beside each other, and so on outwards.
fn is_contiguous(shape: &[u64], stride: &[u64]) -> bool {
    let mut expected = Some(1_u64);
    let dimensions = shape.iter().zip(stride).rev();
    shape.len() == stride.len()
        && dimensions.into_iter().all(|(size, stride)| {
            let fits = *size == 1 || Some(*stride) == expected;
            expected = expected.and_then(|expected| expected.checked_mul(*size));
            fits
        })
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]
mod tests {
    use std::path::Path;

    use super::*;

    fn fixture(name: &str) -> Disk {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/checkpoint");
        Disk::open(&folder.join(name)).unwrap()
    }

    #[test]
    fn tensors_that_pythons_own_pickle_wrote_are_found() {
        let whole = |name| {
            let mut disk = fixture(name);
            disk.read(0..disk.bytes).unwrap()
        };
        let expected: BTreeMap<String, (String, u32, u32, Vec<f32>)> =
            serde_json::from_slice(&whole("expected.json")).unwrap();
        let file = whole("pytorch_model.bin");
        let tensors = tensors(&mut fixture("pytorch_model.bin")).unwrap();
        assert!(tensors.keys().eq(expected.keys()), "{tensors:?}");
        for (name, (dtype, rows, cols, values)) in expected {
            let tensor = &tensors[&name];
            assert_eq!(format!("{:?}", tensor.dtype), dtype);
            assert_eq!((tensor.rows, tensor.cols), (rows, cols));
            let bytes = &file[tensor.range.start as usize..tensor.range.end as usize];
            let element = bytes.len() / values.len();
            let found: Vec<f32> = bytes
                .chunks(element)
                .map(|bytes| match tensor.dtype {
                    DType::F32 => f32::from_le_bytes(bytes.try_into().unwrap()),
                    DType::F16 => half::f16::from_le_bytes(bytes.try_into().unwrap()).to_f32(),
                    _ => half::bf16::from_le_bytes(bytes.try_into().unwrap()).to_f32(),
                })
                .collect();
            assert_eq!(found, values, "{name}");
        }
    }

    #[test]
    fn what_is_not_one_piece_is_refused() {
        let refused = tensors(&mut fixture("transposed.bin")).unwrap_err();
        assert!(refused.to_string().contains("turned"), "{refused}");
        let no_zip = tensors(&mut fixture("expected.json")).unwrap_err();
        assert_eq!(no_zip.code(), "model.corrupt");
    }

    #[test]
    fn a_pickle_that_is_cut_off_or_changed_is_an_error_or_another_value() {
        let mut disk = fixture("pytorch_model.bin");
        let places = places(&disk).unwrap();
        let good = disk.read(places["data.pkl"].clone()).unwrap();
        for length in 0..good.len() {
            pickle::parse(&good[..length]).unwrap_err();
        }
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                if let Ok(Value::Pairs(entries)) = pickle::parse(&bad) {
                    for (_, value) in entries.iter() {
                        drop(tensor("", value, &places));
                    }
                }
            }
        }
    }
}
