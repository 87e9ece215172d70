//! Angles of the rotary position embedding (RoFormer, arXiv 2104.09864), computed in double precision.

/// One table of angles per rotary dimension and base in use.
#[derive(Default)]
pub struct Rotations(Vec<Rotation>);

/// cos and sin of every pair, for the columns of one call.
pub struct Rotation {
    /// Elements per head that are rotated.
    pub rotary_dim: u32,
    freq_base: f32,
    frequencies: Vec<f64>,
    /// columns x rotary_dim: cos and sin alternate as the pairs' elements do.
    cos_sin: Vec<f32>,
}

impl Rotations {
    /// Makes room for calls of at most `max_columns` columns.
    pub fn add(&mut self, rotary_dim: u32, freq_base: f32, max_columns: usize) {
        if self.of(rotary_dim, freq_base).is_none() {
            self.0
                .push(Rotation::new(rotary_dim, freq_base, max_columns));
        }
    }

    /// The table for this dimension and base.
    pub fn of(&self, rotary_dim: u32, freq_base: f32) -> Option<&Rotation> {
        let same = |table: &&Rotation| {
            table.rotary_dim == rotary_dim && table.freq_base.to_bits() == freq_base.to_bits()
        };
        self.0.iter().find(same)
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

    /// Index of the table for this dimension and base.
    pub fn index(&self, rotary_dim: u32, freq_base: f32) -> Option<usize> {
        let table = self.of(rotary_dim, freq_base)?;
        self.iter().position(|other| core::ptr::eq(other, table))
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let held = |table: &Rotation| {
            table.frequencies.capacity() * size_of::<f64>()
                + table.cos_sin.capacity() * size_of::<f32>()
        };
        self.0.iter().map(held).sum()
    }
}

impl Rotation {
    fn new(rotary_dim: u32, freq_base: f32, max_columns: usize) -> Self {
        let exponent = |pair: u32| -2.0 * f64::from(pair) / f64::from(rotary_dim);
        let frequencies = (0..rotary_dim / 2)
            .map(|pair| libm::pow(f64::from(freq_base), exponent(pair)))
            .collect();
        Self {
            rotary_dim,
            freq_base,
            frequencies,
            cos_sin: Vec::with_capacity(max_columns * rotary_dim as usize),
        }
    }

    fn prepare(&mut self, position: usize, columns: usize) {
        self.cos_sin.clear();
        for position in (position..).take(columns) {
            for frequency in &self.frequencies {
                let (sin, cos) = libm::sincos(position as f64 * frequency);
                self.cos_sin.extend([cos as f32, sin as f32]);
            }
        }
    }

    /// Of the columns prepared: columns x rotary_dim, cos and sin alternating.
    pub fn cos_sin(&self) -> &[f32] {
        &self.cos_sin
    }
}
