//! Key-value pairs of a header.

use std::collections::BTreeMap;

use super::reader::{End, Reader};
use crate::error::ModelError;

/// Elements of one array, at most: vocabularies have a few hundred thousand.
const MAX_ARRAY: u64 = 4 << 20;
/// Arrays within arrays, at most.
const MAX_DEPTH: u32 = 4;

/// A value this engine looks at. Others are read past.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Any integer type.
    Integer(i128),
    /// f32 or f64.
    Float(f64),
    /// One byte.
    Bool(bool),
    /// UTF-8.
    Text(String),
    /// Array of strings.
    Texts(Vec<String>),
    /// Array of 32-bit integers.
    Integers(Vec<i32>),
    /// Array of f32.
    Floats(Vec<f32>),
    /// An array of another type.
    Skipped,
}

/// All pairs of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    fields: BTreeMap<String, Value>,
}

impl Metadata {
    pub(super) fn read(reader: &mut Reader, count: u64) -> Result<Self, End> {
        let mut fields = BTreeMap::new();
        for _ in 0..count {
            let key = reader.string()?;
            let kind = reader.u32()?;
            fields.insert(key, value(reader, kind)?);
        }
        Ok(Self { fields })
    }

    /// A field.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.fields.get(key)
    }

    /// A non-negative integer.
    pub fn u32(&self, key: &str) -> Option<u32> {
        match self.get(key)? {
            Value::Integer(number) => u32::try_from(*number).ok(),
            _ => None,
        }
    }

    /// A non-negative integer.
    pub fn u64(&self, key: &str) -> Option<u64> {
        match self.get(key)? {
            Value::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// A float.
    pub fn f32(&self, key: &str) -> Option<f32> {
        match self.get(key)? {
            Value::Float(number) => Some(*number as f32),
            _ => None,
        }
    }

    /// A flag.
    pub fn bool(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    /// A string.
    pub fn str(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// An array of strings.
    pub fn str_array(&self, key: &str) -> Option<&[String]> {
        match self.get(key)? {
            Value::Texts(texts) => Some(texts),
            _ => None,
        }
    }

    /// An array of 32-bit integers.
    pub fn i32_array(&self, key: &str) -> Option<&[i32]> {
        match self.get(key)? {
            Value::Integers(numbers) => Some(numbers),
            _ => None,
        }
    }

    /// An array of floats.
    pub fn f32_array(&self, key: &str) -> Option<&[f32]> {
        match self.get(key)? {
            Value::Floats(numbers) => Some(numbers),
            _ => None,
        }
    }
}

fn value(reader: &mut Reader, kind: u32) -> Result<Value, End> {
    Ok(match kind {
        0 => Value::Integer(u8::from_le_bytes(reader.array()?).into()),
        1 => Value::Integer(i8::from_le_bytes(reader.array()?).into()),
        2 => Value::Integer(u16::from_le_bytes(reader.array()?).into()),
        3 => Value::Integer(i16::from_le_bytes(reader.array()?).into()),
        4 => Value::Integer(reader.u32()?.into()),
        5 => Value::Integer(i32::from_le_bytes(reader.array()?).into()),
        6 => Value::Float(f32::from_le_bytes(reader.array()?).into()),
        7 => Value::Bool(reader.array()? != [0]),
        8 => Value::Text(reader.string()?),
        9 => array(reader, MAX_DEPTH)?,
        10 => Value::Integer(reader.u64()?.into()),
        11 => Value::Integer(i64::from_le_bytes(reader.array()?).into()),
        12 => Value::Float(f64::from_le_bytes(reader.array()?)),
        _ => return Err(unknown(kind)),
    })
}

fn array(reader: &mut Reader, depth: u32) -> Result<Value, End> {
    let kind = reader.u32()?;
    let count = reader.count("elements of an array", MAX_ARRAY)?;
    match kind {
        8 => {
            let texts: Result<_, End> = (0..count).map(|_| reader.string()).collect();
            Ok(Value::Texts(texts?))
        }
        5 => {
            let numbers: Result<_, End> = (0..count)
                .map(|_| reader.array().map(i32::from_le_bytes))
                .collect();
            Ok(Value::Integers(numbers?))
        }
        6 => {
            let numbers: Result<_, End> = (0..count)
                .map(|_| reader.array().map(f32::from_le_bytes))
                .collect();
            Ok(Value::Floats(numbers?))
        }
        9 => {
            let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
            (0..count).try_for_each(|_| array(reader, depth).map(drop))?;
            Ok(Value::Skipped)
        }
        _ => {
            let element_bytes = match kind {
                0 | 1 | 7 => 1,
                2 | 3 => 2,
                4 => 4,
                10..=12 => 8,
                _ => return Err(unknown(kind)),
            };
            reader.take(count * element_bytes)?;
            Ok(Value::Skipped)
        }
    }
}

fn too_deep() -> End {
    let detail = format!("arrays within arrays, more than {MAX_DEPTH} deep");
    ModelError::Corrupt { detail }.into()
}

fn unknown(kind: u32) -> End {
    let detail = format!("a metadata value of unknown type {kind}");
    ModelError::Corrupt { detail }.into()
}
