// Writes a model in SmolLM2-135M's shape as ONNX, as the exporters that transformers.js takes its files from do: products on dynamically
// quantised inputs (MatMulInteger, "quantized") or of 4 bits in blocks of 32 (MatMulNBits, "q4"), fused attention with its cache
// (GroupQueryAttention). WEIGHTS ARE RANDOM: it is for measuring time only. Field numbers are those of onnx.proto.
import { createWriteStream } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

const SHAPE = { layers: 30, hidden: 576, heads: 9, keyHeads: 3, headWidth: 64, inner: 1536, vocabulary: 49152, context: 1024 };
const FLOAT = 1, UINT8 = 2, INT8 = 3, INT32 = 6, INT64 = 7;
const MICROSOFT = "com.microsoft";
/** As exporters quantise: one scale per tensor; small, so that random layers stay finite. */
const SCALE = 0.001;
/** Weights that share a scale in 4 bits. */
const BLOCK = 32;

function varint(number) {
  const bytes = [];
  for (let rest = BigInt.asUintN(64, BigInt(number)); ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 127n) | 128);
  }
}
const integer = (field, value) => Buffer.concat([varint(field << 3), varint(value)]);
const bytes = (field, value) => Buffer.concat([varint((field << 3) | 2), varint(value.length), value]);
const text = (field, value) => bytes(field, Buffer.from(value));
const float = (field, value) => {
  const buffer = Buffer.alloc(4);
  buffer.writeFloatLE(value);
  return Buffer.concat([varint((field << 3) | 5), buffer]);
};

const tensor = (name, type, dims, data) => Buffer.concat([...dims.map((dim) => integer(1, dim)), integer(2, type), text(8, name), bytes(9, data)]);
const floats = (...values) => Buffer.from(new Float32Array(values).buffer);
const constants = (count, value) => Buffer.from(new Float32Array(count).fill(value).buffer);
const longs = (...values) => Buffer.from(new BigInt64Array(values.map(BigInt)).buffer);

function attribute([name, value]) {
  if (Number.isInteger(value)) return Buffer.concat([text(1, name), integer(3, value), integer(20, 2)]);
  return Buffer.concat([text(1, name), float(2, value), integer(20, 1)]);
}

function value(name, type, dims) {
  const dim = (dim) => bytes(1, typeof dim === "string" ? text(2, dim) : integer(1, dim));
  const shape = Buffer.concat(dims.map(dim));
  return Buffer.concat([text(1, name), bytes(2, bytes(1, Buffer.concat([integer(1, type), bytes(2, shape)])))]);
}

/** Collects nodes and weights. A method returns the name of what it makes. */
class Graph {
  nodes = [];
  weights = [];
  #made = 0;

  constructor(kind) {
    this.kind = kind;
  }

  node(type, inputs, attributes = {}, { domain = "", outputs = [`${type}_${this.#made++}`] } = {}) {
    const ends = [...inputs.map((input) => text(1, input)), ...outputs.map((output) => text(2, output))];
    const details = [text(3, outputs[0]), text(4, type), ...Object.entries(attributes).map((entry) => bytes(5, attribute(entry))), text(7, domain)];
    this.nodes.push(Buffer.concat([...ends, ...details]));
    return outputs[0];
  }

  weight(name, type, dims, data) {
    this.weights.push(tensor(name, type, dims, data));
    return name;
  }

  /** What the products of one input share. */
  entry(input) {
    if (this.kind === "q4") return [input];
    const outputs = ["q", "scale", "zero"].map((part) => `${input}_${part}`);
    this.node("DynamicQuantizeLinear", [input], {}, { outputs });
    return outputs;
  }

  linear(entry, name, rows, columns) {
    return this.kind === "q4" ? this.#blocks(entry, name, rows, columns) : this.#integers(entry, name, rows, columns);
  }

  #blocks([input], name, rows, columns) {
    const count = (rows * columns) / BLOCK;
    const weight = this.weight(`${name}_q`, UINT8, [rows, columns / BLOCK, BLOCK / 2], random((count * BLOCK) / 2));
    const scales = this.weight(`${name}_scales`, FLOAT, [count], constants(count, SCALE));
    const attributes = { K: columns, N: rows, bits: 4, block_size: BLOCK, accuracy_level: 4 };
    return this.node("MatMulNBits", [input, weight, scales], attributes, { domain: MICROSOFT });
  }

  #integers([q, scale, zero], name, rows, columns) {
    const weight = this.weight(`${name}_q`, INT8, [columns, rows], random(rows * columns));
    const product = this.node("MatMulInteger", [q, weight, zero, "weight_zero"]);
    const scales = this.node("Mul", [scale, "weight_scale"]);
    return this.node("Mul", [this.node("Cast", [product], { to: FLOAT }), scales]);
  }

  ones(name) {
    return this.weight(name, FLOAT, [SHAPE.hidden], constants(SHAPE.hidden, 1));
  }

  norm(input, name) {
    return this.node("SimplifiedLayerNormalization", [input, this.ones(name)], { axis: -1, epsilon: 1e-5 });
  }

  /** Returns sum and norm. */
  addAndNorm(stream, input, name) {
    const weight = this.ones(name);
    const outputs = [`${name}_norm`, "", "", `${name}_sum`];
    this.node("SkipSimplifiedLayerNormalization", [stream, input, weight], { epsilon: 1e-5 }, { domain: MICROSOFT, outputs });
    return [outputs[3], outputs[0]];
  }
}

/** Numbers of a linear congruential generator, as signed bytes. */
let state = 1;
function random(count) {
  const data = Buffer.alloc(count);
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state >>> 24;
  }
  return data;
}

function rotations(part) {
  const half = SHAPE.headWidth / 2;
  const of = (_, i) => part(Math.floor(i / half) / 1e4 ** ((i % half) / half));
  return Buffer.from(Float32Array.from({ length: SHAPE.context * half }, of).buffer);
}

function graph(kind) {
  const { layers, hidden, heads, keyHeads, headWidth, inner, vocabulary, context } = SHAPE;
  const all = new Graph(kind);
  all.weight("weight_scale", FLOAT, [], floats(SCALE));
  all.weight("weight_zero", INT8, [], Buffer.from([0]));
  all.weight("one", INT64, [1], longs(1));
  all.weight("index_one", INT64, [], longs(1));
  all.weight("cos", FLOAT, [context, headWidth / 2], rotations(Math.cos));
  all.weight("sin", FLOAT, [context, headWidth / 2], rotations(Math.sin));
  all.weight("embedding", INT8, [vocabulary, hidden], random(vocabulary * hidden));

  const length = all.node("ReduceSum", ["attention_mask", "one"], { keepdims: 0 });
  const lastPosition = all.node("Cast", [all.node("Sub", [length, "one"])], { to: INT32 });
  const total = all.node("Gather", [all.node("Shape", ["attention_mask"]), "index_one"], { axis: 0 });
  const totalLength = all.node("Cast", [total], { to: INT32 });

  const ids = all.node("Gather", ["embedding", "input_ids"]);
  let stream = all.node("DequantizeLinear", [ids, "weight_scale", "weight_zero"]);
  let normed = all.norm(stream, "norm_0");
  const caches = [];
  for (let layer = 0; layer < layers; layer++) {
    const name = `layer_${layer}`;
    const entry = all.entry(normed);
    const [q, k, v] = [["q", heads], ["k", keyHeads], ["v", keyHeads]].map(([part, count]) => all.linear(entry, `${name}_${part}`, count * headWidth, hidden));
    const past = ["key", "value"].map((part) => `past_key_values.${layer}.${part}`);
    const present = ["key", "value"].map((part) => `present.${layer}.${part}`);
    const inputs = [q, k, v, ...past, lastPosition, totalLength, "cos", "sin"];
    const attributes = { num_heads: heads, kv_num_heads: keyHeads, do_rotary: 1 };
    const attended = all.node("GroupQueryAttention", inputs, attributes, { domain: MICROSOFT, outputs: [`${name}_attended`, ...present] });
    const out = all.linear(all.entry(attended), `${name}_o`, hidden, heads * headWidth);
    [stream, normed] = all.addAndNorm(stream, out, `${name}_post`);
    const middle = all.entry(normed);
    const gate = all.linear(middle, `${name}_gate`, inner, hidden);
    const up = all.linear(middle, `${name}_up`, inner, hidden);
    const active = all.node("Mul", [all.node("Mul", [gate, all.node("Sigmoid", [gate])]), up]);
    const down = all.linear(all.entry(active), `${name}_down`, hidden, inner);
    [stream, normed] = all.addAndNorm(stream, down, `${name}_next`);
    caches.push(...past.map((past, i) => ({ past, present: present[i] })));
  }
  const logits = all.linear(all.entry(normed), "head", vocabulary, hidden);
  all.node("Identity", [logits], {}, { outputs: ["logits"] });

  const cache = (name, columns) => value(name, FLOAT, ["batch_size", keyHeads, columns, headWidth]);
  return [
    ...all.nodes.map((node) => bytes(1, node)),
    text(2, "smollm2-shape-random-weights"),
    ...all.weights.map((weight) => bytes(5, weight)),
    bytes(11, value("input_ids", INT64, ["batch_size", "columns"])),
    bytes(11, value("attention_mask", INT64, ["batch_size", "total"])),
    ...caches.map(({ past }) => bytes(11, cache(past, "past"))),
    bytes(12, value("logits", FLOAT, ["batch_size", "columns", vocabulary])),
    ...caches.map(({ present }) => bytes(12, cache(present, "total"))),
  ];
}

const opset = (domain, version) => bytes(8, Buffer.concat([text(1, domain), integer(2, version)]));

/** Writes config.json and onnx/model_KIND.onnx, where transformers.js looks for them. */
export async function writeOnnxModel(folder, kind) {
  const { layers, hidden, heads, keyHeads, headWidth, inner, vocabulary, context } = SHAPE;
  await mkdir(join(folder, "onnx"), { recursive: true });
  const config = {
    model_type: "llama", architectures: ["LlamaForCausalLM"], hidden_size: hidden, num_hidden_layers: layers, num_attention_heads: heads,
    num_key_value_heads: keyHeads, head_dim: headWidth, intermediate_size: inner, vocab_size: vocabulary, max_position_embeddings: context,
    bos_token_id: 1, eos_token_id: vocabulary, pad_token_id: 2, tie_word_embeddings: true,
  };
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  const parts = graph(kind);
  const file = createWriteStream(join(folder, "onnx", `model_${kind}.onnx`));
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  for (const part of [integer(1, 8), Buffer.concat([varint((7 << 3) | 2), varint(length)]), ...parts, opset("", 17), opset(MICROSOFT, 1)]) file.write(part);
  await new Promise((resolve, reject) => file.on("error", reject).end(resolve));
}
