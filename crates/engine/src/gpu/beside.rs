//! Rows that wait until the four that lie beside each other have arrived.

use std::collections::BTreeMap;

use super::repack::RowLayout;

/// Rows that lie beside each other: a vector of the GPU's is the same word of each.
pub const ROWS_TOGETHER: u32 = 4;

/// Of one piece of a weight.
#[derive(Default)]
pub struct Waiting {
    /// By number of the group.
    groups: BTreeMap<u32, Group>,
}

/// Four rows, or fewer at the end.
struct Group {
    /// Word by word, of the four rows beside each other.
    quants: Vec<u32>,
    scales: Vec<u32>,
    /// A bit for each row that arrived.
    arrived: u8,
}

impl Waiting {
    /// Takes the words of a row; once its group of `rows` is whole, appends the group's to `quants` and `scales` and says so.
    pub fn put(
        &mut self,
        layout: &RowLayout,
        (row, rows): (u32, u32),
        words: [&[u32]; 2],
        quants: &mut Vec<u32>,
        scales: &mut Vec<u32>,
    ) -> bool {
        let (number, place) = (row / ROWS_TOGETHER, (row % ROWS_TOGETHER) as usize);
        let group = self
            .groups
            .entry(number)
            .or_insert_with(|| Group::new(layout));
        for (beside, words) in [&mut group.quants, &mut group.scales]
            .into_iter()
            .zip(words)
        {
            let places = beside
                .iter_mut()
                .skip(place)
                .step_by(ROWS_TOGETHER as usize);
            places.zip(words).for_each(|(place, word)| *place = *word);
        }
        group.arrived |= 1 << place;
        let whole = group.arrived.count_ones() == rows;
        if whole && let Some(group) = self.groups.remove(&number) {
            quants.extend(group.quants);
            scales.extend(group.scales);
        }
        whole
    }

    /// Whether no row waits for its neighbours.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

impl Group {
    fn new(layout: &RowLayout) -> Self {
        let zeros = |words: u32| vec![0; (ROWS_TOGETHER * words) as usize];
        Self {
            quants: zeros(layout.quant_words),
            scales: zeros(layout.scale_words),
            arrived: 0,
        }
    }
}
