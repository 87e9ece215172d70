//! As much of the GGUF header as these tests need, for files that are known to be right.

use std::collections::BTreeMap;

use model::{DType, Graph};
use text::Vocabulary;

use super::llama::{Shape, llama};

enum Field {
    Number(f64),
    Text(String),
    List(Vec<Field>),
}

struct Tensor {
    rows: u32,
    dtype: DType,
    offset: u64,
}

pub struct File {
    fields: BTreeMap<String, Field>,
    tensors: BTreeMap<String, Tensor>,
    data_start: u64,
}

impl File {
    pub fn parse(bytes: &[u8]) -> Self {
        let mut reader = Reader { bytes, at: 8 };
        let (tensors, fields) = (reader.u64(), reader.u64());
        let fields = (0..fields)
            .map(|_| (reader.string(), reader.field()))
            .collect();
        let tensors = (0..tensors)
            .map(|_| (reader.string(), reader.tensor()))
            .collect();
        Self {
            fields,
            tensors,
            data_start: (reader.at as u64).next_multiple_of(32),
        }
    }

    pub fn graph(&self) -> Graph {
        let number = |key: &str| self.number(&format!("llama.{key}")).unwrap();
        let tensor = |name: &str| self.tensors.get(name);
        let (hidden, heads) = (
            number("embedding_length") as u32,
            number("attention.head_count") as u32,
        );
        let mut graph = llama(Shape {
            hidden,
            feed_forward: number("feed_forward_length") as u32,
            heads,
            kv_heads: number("attention.head_count_kv") as u32,
            head_dim: hidden / heads,
            layers: number("block_count") as u32,
            vocabulary: tensor("token_embd.weight").unwrap().rows,
            embedding: tensor("token_embd.weight").unwrap().dtype,
            matrices: tensor("blk.0.ffn_up.weight").unwrap().dtype,
            tied: tensor("output.weight").is_none(),
            eps: number("attention.layer_norm_rms_epsilon") as f32,
            freq_base: number("rope.freq_base") as f32,
        });
        for weight in &mut graph.weights {
            let Tensor { dtype, offset, .. } = tensor(&weight.name).unwrap();
            let bytes = dtype.row_bytes(weight.cols).unwrap() * u64::from(weight.rows);
            weight.dtype = *dtype;
            weight.range = self.data_start + offset..self.data_start + offset + bytes;
        }
        graph
    }

    pub fn vocabulary(&self) -> Vocabulary {
        let field = |key: &str| self.fields.get(&format!("tokenizer.{key}"));
        let id = |key: &str| {
            self.number(&format!("tokenizer.ggml.{key}_token_id"))
                .map(|id| id as u32)
        };
        let text = |field: &Field| {
            if let Field::Text(text) = field {
                text.clone()
            } else {
                String::new()
            }
        };
        let list = |key: &str| {
            if let Some(Field::List(list)) = field(key) {
                list.as_slice()
            } else {
                &[]
            }
        };
        Vocabulary {
            model: field("ggml.model").map(text).unwrap(),
            pre: field("ggml.pre").map(text).unwrap(),
            tokens: list("ggml.tokens").iter().map(text).collect(),
            merges: list("ggml.merges").iter().map(text).collect(),
            token_types: list("ggml.token_type")
                .iter()
                .map(|field| field.number() as i32)
                .collect(),
            bos: id("bos"),
            eos: id("eos"),
            unk: id("unknown"),
            add_bos: self
                .number("tokenizer.ggml.add_bos_token")
                .map(|add| add != 0.0),
            chat_template: field("chat_template").map(text),
        }
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.fields.get(key).map(Field::number)
    }
}

impl Field {
    fn number(&self) -> f64 {
        if let Self::Number(number) = self {
            *number
        } else {
            f64::NAN
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, len: usize) -> &[u8] {
        self.at += len;
        &self.bytes[self.at - len..self.at]
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().unwrap())
    }

    fn string(&mut self) -> String {
        let len = self.u64() as usize;
        String::from_utf8(self.take(len).to_vec()).unwrap()
    }

    fn field(&mut self) -> Field {
        let kind = self.u32();
        self.value(kind)
    }

    fn value(&mut self, kind: u32) -> Field {
        match kind {
            4 | 5 => Field::Number(f64::from(self.u32())),
            6 => Field::Number(f64::from(f32::from_bits(self.u32()))),
            7 => Field::Number(f64::from(self.take(1)[0])),
            8 => Field::Text(self.string()),
            9 => {
                let (kind, len) = (self.u32(), self.u64());
                Field::List((0..len).map(|_| self.value(kind)).collect())
            }
            other => panic!("metadata type {other}"),
        }
    }

    fn tensor(&mut self) -> Tensor {
        let dims: Vec<u64> = (0..self.u32()).map(|_| self.u64()).collect();
        let rows = dims[1..].iter().product::<u64>() as u32;
        Tensor {
            rows,
            dtype: DType::from_gguf(self.u32()).unwrap(),
            offset: self.u64(),
        }
    }
}
