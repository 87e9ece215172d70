@group(1) @binding(0) var<uniform> matrix: Matrix;
@group(1) @binding(1) var<storage, read> words: array<vec4<u32>>;
