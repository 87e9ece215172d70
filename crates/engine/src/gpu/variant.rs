//! Which of our kernels run: what is fast on one adapter is slow on another, or missing there.

use core::fmt;

use model::DType;

use crate::choice::Candidates;

/// One choice of kernels. Those with and without subgroups give the same bits; others need not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Variant {
    /// How matrix products are spread over the device.
    pub linear: LinearKernels,
    /// In what numbers quantised weights are multiplied.
    pub arithmetic: Arithmetic,
    /// Whether lanes hand sums to each other without memory and barriers.
    pub subgroups: bool,
}

/// How matrix products are spread over the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinearKernels {
    /// Several lanes per row: a GPU has more lanes than a small matrix has rows.
    Parallel,
    /// One invocation per row: a software adapter pays for barriers and for lanes that read apart.
    Serial,
}

/// In what numbers quantised weights are multiplied. Weights that are floats are always multiplied in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// f32.
    Float,
    /// Numbers that take less, which what enters is turned into before.
    Prepared(Numbers),
}

/// What columns are prepared as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Numbers {
    /// f16, eight products at a time, which are added up in f32.
    Halves,
    /// 16 bits in two bytes, for dot products of bytes.
    Integers,
}

impl LinearKernels {
    const fn other(self) -> Self {
        match self {
            Self::Parallel => Self::Serial,
            Self::Serial => Self::Parallel,
        }
    }
}

impl Arithmetic {
    /// What it is for weights of this storage type.
    pub const fn of(self, dtype: DType) -> Self {
        match dtype {
            DType::F32 | DType::F16 | DType::BF16 => Self::Float,
            _ => self,
        }
    }
}

/// What an adapter has besides the least that every one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offers {
    /// Lanes of its smallest subgroup; 0 where it has none.
    pub subgroup_lanes: u32,
    /// f16 in shaders.
    pub halves: bool,
    /// Dot products of packed bytes.
    pub packed_dot: bool,
    /// Whether it is software.
    pub is_software: bool,
}

/// Fewer lanes save no barrier.
const MIN_SUBGROUP_LANES: u32 = 8;

impl Offers {
    /// What usually suits it.
    pub const fn usual(self) -> Variant {
        Variant {
            linear: match self.is_software {
                true => LinearKernels::Serial,
                false => LinearKernels::Parallel,
            },
            arithmetic: Arithmetic::Float,
            subgroups: self.subgroup_lanes >= MIN_SUBGROUP_LANES,
        }
    }

    /// Variants that may run there, the usual one first; all with subgroups where there are some.
    pub fn variants(self) -> Vec<Variant> {
        let of = |linear| {
            self.arithmetics().map(move |arithmetic| Variant {
                linear,
                arithmetic,
                ..self.usual()
            })
        };
        let linear = self.usual().linear;
        of(linear).chain(of(linear.other())).collect()
    }

    /// What a phone compares. No arithmetic but f32 was faster on a software adapter (BENCHMARKS).
    pub fn candidates(self) -> Candidates<Variant> {
        let usual = self.usual();
        let without_subgroups = Variant::plain(usual.linear);
        let mut compared = vec![usual];
        if !self.is_software {
            compared.extend(usual.subgroups.then_some(without_subgroups));
            compared.extend(self.arithmetics().skip(1).map(|arithmetic| Variant {
                arithmetic,
                ..usual
            }));
        }
        let mut otherwise = vec![without_subgroups, Variant::plain(usual.linear.other())];
        otherwise.retain(|variant| !compared.contains(variant));
        Candidates {
            compared,
            otherwise,
        }
    }

    fn arithmetics(self) -> impl Iterator<Item = Arithmetic> {
        let integers = self.packed_dot.then_some(Numbers::Integers);
        let halves = self.halves.then_some(Numbers::Halves);
        let prepared = [integers, halves].into_iter().flatten();
        [Arithmetic::Float]
            .into_iter()
            .chain(prepared.map(Arithmetic::Prepared))
    }
}

impl Variant {
    /// Kernels that every adapter can run.
    pub const fn plain(linear: LinearKernels) -> Self {
        Self {
            linear,
            arithmetic: Arithmetic::Float,
            subgroups: false,
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.linear)?;
        match self.arithmetic {
            Arithmetic::Float => {}
            Arithmetic::Prepared(Numbers::Halves) => f.write_str(", halves")?,
            Arithmetic::Prepared(Numbers::Integers) => f.write_str(", integers")?,
        }
        if self.subgroups {
            f.write_str(", subgroups")?;
        }
        Ok(())
    }
}

impl fmt::Display for LinearKernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parallel => "kernels for hardware",
            Self::Serial => "kernels without barriers",
        })
    }
}
