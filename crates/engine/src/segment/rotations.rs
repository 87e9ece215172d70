//! Angles of the rotary position embedding (RoFormer, arXiv 2104.09864), computed in double precision.

use model::{Frequencies, WeightId};

use super::misuse;
use crate::EngineError;

/// One table of angles for all ops that rotate alike.
#[derive(Default)]
pub struct Rotations(Vec<Rotation>);

/// cos and sin of every pair, for the columns of one call.
pub struct Rotation {
    frequencies: Frequencies,
    /// Radians per position, of each pair.
    speeds: Vec<f64>,
    /// columns x rotary_dim: cos and sin of each pair.
    cos_sin: Vec<f32>,
}

impl Rotations {
    /// Makes room for calls of at most `max_columns` columns.
    pub fn add(&mut self, frequencies: Frequencies, max_columns: usize) {
        if self.of(frequencies).is_none() {
            self.0.push(Rotation::new(frequencies, max_columns));
        }
    }

    /// The table for these frequencies.
    pub fn of(&self, frequencies: Frequencies) -> Option<&Rotation> {
        self.0.iter().find(|table| table.frequencies == frequencies)
    }

    /// Divides frequencies by the factors of a weight that just arrived, if it is one of those.
    ///
    /// # Errors
    /// A factor that is not above 0.
    pub fn put_factors(&mut self, weight: WeightId, bytes: &[u8]) -> Result<(), EngineError> {
        let divided = |table: &&mut Rotation| table.frequencies.factors == Some(weight);
        for table in self.0.iter_mut().filter(divided) {
            let speeds = table.speeds.iter_mut().zip(speeds(table.frequencies));
            for ((speed, undivided), factor) in speeds.zip(bytes.as_chunks().0) {
                let factor = f32::from_le_bytes(*factor);
                if !(factor.is_finite() && factor > 0.0) {
                    return Err(misuse(format!("a frequency divided by {factor}")));
                }
                *speed = undivided / f64::from(factor);
            }
        }
        Ok(())
    }

    /// Computes the angles of `columns` columns from absolute position `position` on.
    pub fn prepare(&mut self, position: usize, columns: usize) {
        for table in &mut self.0 {
            table.prepare(position, columns);
        }
    }

    /// All tables.
    pub fn iter(&self) -> impl Iterator<Item = &Rotation> {
        self.0.iter()
    }

    /// Index of the table for these frequencies.
    pub fn index(&self, frequencies: Frequencies) -> Option<usize> {
        let same = |table: &Rotation| table.frequencies == frequencies;
        self.0.iter().position(same)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let held = |table: &Rotation| {
            table.speeds.capacity() * size_of::<f64>() + table.cos_sin.capacity() * size_of::<f32>()
        };
        self.0.iter().map(held).sum()
    }
}

impl Rotation {
    fn new(frequencies: Frequencies, max_columns: usize) -> Self {
        Self {
            frequencies,
            speeds: speeds(frequencies).collect(),
            cos_sin: Vec::with_capacity(max_columns * frequencies.rotary_dim as usize),
        }
    }

    fn prepare(&mut self, position: usize, columns: usize) {
        self.cos_sin.clear();
        for position in (position..).take(columns) {
            for speed in &self.speeds {
                let (sin, cos) = libm::sincos(position as f64 * speed);
                self.cos_sin.extend([cos as f32, sin as f32]);
            }
        }
    }

    /// Elements per head that are rotated.
    pub const fn rotary_dim(&self) -> u32 {
        self.frequencies.rotary_dim
    }

    /// Of the columns prepared: columns x rotary_dim, cos and sin alternating.
    pub fn cos_sin(&self) -> &[f32] {
        &self.cos_sin
    }
}

/// Before they are divided by factors.
fn speeds(frequencies: Frequencies) -> impl Iterator<Item = f64> {
    let Frequencies {
        rotary_dim,
        base,
        scale,
        ..
    } = frequencies;
    let exponent = move |pair: u32| -2.0 * f64::from(pair) / f64::from(rotary_dim);
    (0..rotary_dim / 2)
        .map(move |pair| f64::from(scale) * libm::pow(f64::from(base), exponent(pair)))
}
