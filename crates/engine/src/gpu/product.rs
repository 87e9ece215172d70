//! The text of a kernel of matrix products: what enters, which weights it meets, what leaves.

use model::{Activation, DType};

use super::{
    kernels::{
        Access::{self, Read, Write},
        activation_text, each_column, rows_text, weight_text,
    },
    variant::Arithmetic,
};

/// Runs of rows that one dispatch computes, at most: as many as storage buffers are left for.
pub const MAX_PARTS: usize = 3;
/// Lanes of a workgroup.
const GROUP_LANES: u32 = 64;
/// Rows that lie beside each other, and that a team of lanes computes.
const TEAM_ROWS: u32 = 4;

/// One variant of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Product {
    /// Storage type of each run of rows.
    pub parts: [Option<DType>; MAX_PARTS],
    /// Of those.
    pub arithmetic: Arithmetic,
    /// Columns at most: 1 or 8.
    pub columns: u32,
    /// That share four rows.
    pub lanes: u32,
    /// Whether an RMS norm comes before; never of what is prepared.
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

/// Lanes that share rows of so many elements: as many as have four times eight elements each, so that a small matrix keeps a GPU
/// busy and a short row few lanes idle.
pub const fn lanes(cols: u32) -> u32 {
    match cols / (4 * 8) {
        GROUP_LANES.. => GROUP_LANES,
        32.. => 32,
        _ => 16,
    }
}

/// Rows of a part that a workgroup computes.
pub const fn rows_per_group(lanes: u32) -> u32 {
    GROUP_LANES / lanes * TEAM_ROWS
}

impl Product {
    /// Storage buffers from binding 1 on, and how WGSL declares each.
    pub fn bindings(self) -> impl Iterator<Item = (Access, String)> {
        let read = |what: &str| Some((Read, what.to_owned()));
        let write = |what: &str| Some((Write, what.to_owned()));
        let residual = self.then == Then::Residual;
        let words = (0..self.dtypes().count())
            .map(|part| Some((Read, format!("words{part}: array<vec4<u32>>"))));
        let others = [
            read(match self.arithmetic {
                Arithmetic::Float => "x: array<vec4<f32>>",
                Arithmetic::Prepared(_) => "x: array<vec4<u32>>",
            }),
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
    pub fn source(self, has_subgroups: bool) -> String {
        let bindings = (1..).zip(self.bindings()).map(|(binding, (access, what))| {
            let access = match access {
                Read => "read",
                Write => "read_write",
            };
            format!("@group(1) @binding({binding}) var<storage, {access}> {what};\n")
        });
        let gated = matches!(self.then, Then::Gate(_));
        let rounds = self.norm || self.then == Then::Residual;
        let activation = match self.then {
            Then::Activate(function) | Then::Gate(function) => activation_text(function),
            Then::Store | Then::Residual => include_str!("wgsl/none.wgsl"),
        };
        let parts = [
            format!(
                "const COLUMNS = {}u;\nconst LANES = {}u;\nconst GATED = {gated};\n",
                self.columns, self.lanes
            ),
            include_str!("wgsl/matrix.wgsl").to_owned(),
            rows_text(self.arithmetic).to_owned(),
            bindings.collect(),
            include_str!("wgsl/product_shape.wgsl").to_owned(),
            include_str!("wgsl/rounding.wgsl").to_owned(),
            if rounds {
                include_str!("wgsl/product_rounding.wgsl").to_owned()
            } else {
                String::new()
            },
            (0..).zip(self.dtypes()).map(of_part).collect(),
            self.first8(),
            self.second8(),
            self.part_of(),
            match (self.arithmetic, self.norm) {
                (Arithmetic::Float, true) => include_str!("wgsl/product_norm.wgsl"),
                (Arithmetic::Float, false) => concat!(
                    include_str!("wgsl/product_plain.wgsl"),
                    include_str!("wgsl/product_without_norm.wgsl")
                ),
                (Arithmetic::Prepared(_), _) => concat!(
                    include_str!("wgsl/prepared.wgsl"),
                    include_str!("wgsl/prepared8.wgsl"),
                    include_str!("wgsl/product_prepared.wgsl"),
                    include_str!("wgsl/product_without_norm.wgsl")
                ),
            }
            .to_owned(),
            activation.to_owned(),
            match self.then {
                Then::Store | Then::Activate(_) => include_str!("wgsl/product_store.wgsl"),
                Then::Gate(_) => include_str!("wgsl/product_gate.wgsl"),
                Then::Residual => include_str!("wgsl/product_residual.wgsl"),
            }
            .to_owned(),
            each_column(include_str!("wgsl/product.wgsl"), self.columns),
            match has_subgroups {
                true => include_str!("wgsl/team_runs_subgroups.wgsl"),
                false => include_str!("wgsl/team_runs.wgsl"),
            }
            .to_owned(),
            include_str!("wgsl/team_sums.wgsl").to_owned(),
        ];
        parts.concat()
    }

    fn dtypes(self) -> impl Iterator<Item = DType> {
        self.parts.into_iter().flatten()
    }

    /// Eight elements of four rows of a part.
    fn first8(self) -> String {
        let later = 1..self.rows_apart();
        let of_part = |part| {
            format!("    if part == {part}u {{\n        return rows8_{part}(rows4, i);\n    }}\n")
        };
        let later: String = later.map(of_part).collect();
        format!(
            "fn first8(part: u32, rows4: u32, i: u32) -> Rows8 {{\n{later}    return rows8_0(rows4, i);\n}}\n"
        )
    }

    /// The same of the rows that are gated.
    fn second8(self) -> String {
        let rows = match self.then {
            Then::Gate(_) => "rows8_1(rows4, i)",
            _ => "Rows8()",
        };
        format!("fn second8(rows4: u32, i: u32) -> Rows8 {{\n    return {rows};\n}}\n")
    }

    /// Parts whose rows have workgroups of their own.
    fn rows_apart(self) -> usize {
        match self.then {
            Then::Gate(_) => 1,
            _ => self.dtypes().count(),
        }
    }

    /// The part whose rows a workgroup computes.
    fn part_of(self) -> String {
        let begun = (1..self.rows_apart())
            .map(|part| format!(" + select(0u, 1u, group >= product.parts[{part}].first_group)"));
        let begun: String = begun.collect();
        format!("fn part_of(group: u32) -> u32 {{\n    return 0u{begun};\n}}\n")
    }
}

/// How to read a weight of this storage type, under names that no other part has.
fn of_part((part, dtype): (usize, DType)) -> String {
    let mut text = weight_text(dtype).to_owned();
    for function in ["rows8", "quants8", "pairs", "four"] {
        text = text.replace(&format!("{function}("), &format!("{function}_{part}("));
    }
    text.replace("words[", &format!("words{part}["))
        .replace("matrix.", &format!("product.parts[{part}]."))
}
