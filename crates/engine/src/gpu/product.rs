//! The text of a kernel of matrix products: what enters, which weights it meets, what leaves.

use model::{Activation, DType};

use super::kernels::{
    Access::{self, Read, Write},
    activation_text, weight_text,
};

/// Runs of rows that one dispatch computes, at most: as many as storage buffers are left for.
pub const MAX_PARTS: usize = 3;

/// One variant of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Product {
    /// Storage type of each run of rows.
    pub parts: [Option<DType>; MAX_PARTS],
    /// Columns at most: 1 or 8.
    pub columns: u32,
    /// Whether an RMS norm comes before.
    pub norm: bool,
    /// What becomes of the products.
    pub then: Then,
}

/// What becomes of products before they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Then {
    /// They are written as they are.
    Store,
    /// They go through an activation.
    Activate(Activation),
    /// The first part goes through an activation and gates the second.
    Gate(Activation),
    /// They are added to the residual stream.
    Residual,
}

impl Then {
    /// Rows of the output that a workgroup computes.
    pub const fn rows_per_group(self) -> u32 {
        match self {
            Self::Gate(_) => 8,
            _ => 16,
        }
    }
}

impl Product {
    /// Storage buffers from binding 1 on, and how WGSL declares each.
    pub fn bindings(self) -> impl Iterator<Item = (Access, String)> {
        let read = |what: &str| Some((Read, what.to_owned()));
        let write = |what: &str| Some((Write, what.to_owned()));
        let residual = self.then == Then::Residual;
        let words =
            (0..self.dtypes().count()).map(|part| Some((Read, format!("words{part}: array<u32>"))));
        let others = [
            read("x: array<mat2x4<f32>>"),
            read("vectors: array<vec4<f32>>"),
            write("out: array<f32>"),
            (self.norm || residual)
                .then(|| write("maxima: array<atomic<u32>>"))
                .flatten(),
            residual.then(|| read("residual: array<f32>")).flatten(),
        ];
        words.chain(others).flatten()
    }

    /// The module, but for what all kernels share.
    pub fn source(self) -> String {
        let bindings = (1..).zip(self.bindings()).map(|(binding, (access, what))| {
            let access = match access {
                Read => "read",
                Write => "read_write",
            };
            format!("@group(1) @binding({binding}) var<storage, {access}> {what};\n")
        });
        let rows = self.then.rows_per_group() / 4;
        let rounds = self.norm || self.then == Then::Residual;
        let activation = match self.then {
            Then::Activate(function) | Then::Gate(function) => activation_text(function),
            Then::Store | Then::Residual => include_str!("wgsl/none.wgsl"),
        };
        let parts = [
            format!(
                "const COLUMNS = {}u;\nconst ROWS = {rows}u;\n",
                self.columns
            ),
            include_str!("wgsl/matrix.wgsl").to_owned(),
            bindings.collect(),
            include_str!("wgsl/product_shape.wgsl").to_owned(),
            include_str!("wgsl/rounding.wgsl").to_owned(),
            if rounds {
                include_str!("wgsl/product_rounding.wgsl").to_owned()
            } else {
                String::new()
            },
            (0..).zip(self.dtypes()).map(of_part).collect(),
            self.rows8(),
            self.part_of(),
            match self.norm {
                true => include_str!("wgsl/product_norm.wgsl").to_owned(),
                false => include_str!("wgsl/product_plain.wgsl").to_owned(),
            },
            activation.to_owned(),
            match self.then {
                Then::Store | Then::Activate(_) => include_str!("wgsl/product_store.wgsl"),
                Then::Gate(_) => include_str!("wgsl/product_gate.wgsl"),
                Then::Residual => include_str!("wgsl/product_residual.wgsl"),
            }
            .to_owned(),
            self.each_column(include_str!("wgsl/product.wgsl")),
        ];
        parts.concat()
    }

    fn dtypes(self) -> impl Iterator<Item = DType> {
        self.parts.into_iter().flatten()
    }

    /// Eight elements of each of the four rows that lanes share.
    fn rows8(self) -> String {
        let of_part = |part: usize| {
            let weight = |row| format!("weight8_{part}(min(row + {row}u, last), i)");
            let rows = [0, 1, 2, 3].map(weight).join(", ");
            format!(
                "    if part == {part}u {{\n        let last = product.parts[{part}].rows - 1u;\n        return Rows({rows});\n    }}\n"
            )
        };
        let body: String = match self.then {
            Then::Gate(_) => "    let next = min(row + 1u, product.parts[0].rows - 1u);
    let first = min(row, product.parts[0].rows - 1u);
    return Rows(weight8_0(first, i), weight8_0(next, i), weight8_1(first, i), weight8_1(next, i));\n"
                .to_owned(),
            _ => {
                let parts: String = (0..self.dtypes().count()).map(of_part).collect();
                parts + "    return Rows();\n"
            }
        };
        format!("fn rows8(part: u32, row: u32, i: u32) -> Rows {{\n{body}}}\n")
    }

    /// The part whose rows a workgroup computes.
    fn part_of(self) -> String {
        let later = match self.then {
            Then::Gate(_) => 1,
            _ => self.dtypes().count(),
        };
        let begun = (1..later)
            .map(|part| format!(" + select(0u, 1u, group >= product.parts[{part}].first_group)"));
        let begun: String = begun.collect();
        format!("fn part_of(group: u32) -> u32 {{\n    return 0u{begun};\n}}\n")
    }

    /// A line with # stands for one line per column.
    fn each_column(self, text: &str) -> String {
        let mut lines = String::new();
        for line in text.lines() {
            let copies = match line.contains('#') && !line.starts_with("//") {
                true => self.columns,
                false => 1,
            };
            for column in 0..copies {
                lines += &line.replace('#', &column.to_string());
                lines.push('\n');
            }
        }
        lines
    }
}

/// How to read a weight of this storage type, under names that no other part has.
fn of_part((part, dtype): (usize, DType)) -> String {
    let mut text = weight_text(dtype).to_owned();
    for function in ["weight8", "quants8", "nibbles", "signed_bytes", "pair"] {
        text = text.replace(&format!("{function}("), &format!("{function}_{part}("));
    }
    text.replace("words[", &format!("words{part}["))
        .replace("matrix.", &format!("product.parts[{part}]."))
}
