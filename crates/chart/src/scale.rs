//! Scales: from values to a share of an axis, and from values to colours.

use crate::items::{Key, Place};
use crate::ticks;

/// An axis.
#[derive(Clone, Debug)]
pub enum Axis {
    /// Numbers, lo < hi.
    Linear(f64, f64, Vec<f64>),
    /// Numbers above 0, lo < hi, equal factors.
    Log(f64, f64, Vec<f64>),
    /// One band for each key, in order.
    Band(Vec<Key>),
}

impl Axis {
    /// A continuous axis for `values` (finite; above 0 if `log`); `zero` if it must include 0, `exact` if
    /// the ends shall not move to round numbers.
    pub fn continuous(values: impl Iterator<Item = f64>, log: bool, zero: bool, exact: bool) -> Axis {
        let (mut lo, mut hi) = values.fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
        if lo > hi {
            (lo, hi) = if log { (1.0, 10.0) } else { (0.0, 1.0) };
        }
        if log {
            if zero {
                // Bars begin at the power of ten below, so that the shortest has a height.
                lo = 10f64.powf((lo.log10() - 1e-9).floor()).max(f64::MIN_POSITIVE);
            }
            if lo >= hi {
                (lo, hi) = ((lo / 2.0).max(f64::MIN_POSITIVE), (hi * 2.0).min(f64::MAX));
            }
            return Axis::Log(lo, hi, ticks::logarithmic(lo, hi));
        }
        if zero {
            (lo, hi) = (lo.min(0.0), hi.max(0.0));
        }
        if lo == hi {
            let half = if lo == 0.0 { 0.5 } else { lo.abs() / 10.0 };
            (lo, hi) = ((lo - half).max(f64::MIN), (hi + half).min(f64::MAX));
        }
        let mut marks = ticks::linear(lo, hi, 6);
        match (marks.first().copied(), marks.last().copied()) {
            (Some(first), Some(last)) if !exact => (lo, hi) = (lo.min(first), hi.max(last)),
            (Some(_), _) => marks.retain(|v| (lo..=hi).contains(v)),
            _ => marks = vec![lo, hi],
        }
        Axis::Linear(lo, hi, marks)
    }

    /// Where a number lies, 0 to 1.
    pub fn at(&self, v: f64) -> f64 {
        let share = match self {
            // Halved first: the difference of the ends may exceed every double.
            Axis::Linear(lo, hi, _) => (v / 2.0 - lo / 2.0) / (hi / 2.0 - lo / 2.0),
            Axis::Log(..) if v <= 0.0 => 0.0,
            Axis::Log(lo, hi, _) => (v.ln() - lo.ln()) / (hi.ln() - lo.ln()),
            Axis::Band(keys) => {
                let place = keys.iter().position(|k| *k == Key::of(v)).unwrap_or(0);
                (place as f64 + 0.5) / keys.len().max(1) as f64
            }
        };
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.5 }
    }

    /// From where to where a place reaches, 0 to 1; the same twice for a point.
    pub fn reach(&self, place: &Place) -> (f64, f64) {
        match (self, place) {
            (Axis::Band(keys), Place::Category(key)) => {
                let n = keys.len().max(1) as f64;
                let i = keys.binary_search(key).unwrap_or(0) as f64;
                (i / n, (i + 1.0) / n)
            }
            (_, Place::At(v)) => (self.at(*v), self.at(*v)),
            (_, Place::Span(a, b)) => (self.at(*a), self.at(*b)),
            (_, Place::Category(_)) => (0.0, 1.0),
        }
    }

    /// The middle of a place.
    pub fn middle(&self, place: &Place) -> f64 {
        let (a, b) = self.reach(place);
        (a + b) / 2.0
    }

    /// Where bars begin: at 0, or at the low end where there is no 0.
    pub fn base(&self) -> f64 {
        if matches!(self, Axis::Linear(..)) { self.at(0.0) } else { 0.0 }
    }

    /// Shares of the axis and what is written there.
    pub fn marks(&self) -> Vec<(f64, String)> {
        match self {
            Axis::Linear(_, _, marks) => {
                let texts = ticks::labels(marks);
                marks.iter().map(|v| self.at(*v)).zip(texts).collect()
            }
            Axis::Log(_, _, marks) => marks.iter().map(|v| (self.at(*v), ticks::number(*v))).collect(),
            Axis::Band(keys) => {
                let n = keys.len().max(1) as f64;
                keys.iter().enumerate().map(|(i, k)| ((i as f64 + 0.5) / n, k.text())).collect()
            }
        }
    }
}

/// The colours of Okabe and Ito (2008), told apart by people of every colour vision; yellow, too light
/// on white, is left out.
pub const PALETTE: [(u8, u8, u8); 7] = [
    (0x00, 0x72, 0xB2),
    (0xD5, 0x5E, 0x00),
    (0x00, 0x9E, 0x73),
    (0xCC, 0x79, 0xA7),
    (0xE6, 0x9F, 0x00),
    (0x56, 0xB4, 0xE9),
    (0x55, 0x55, 0x55),
];

/// From dark to light, of even steps in lightness: five points of the colour map viridis.
const RAMP: [(u8, u8, u8); 5] =
    [(0x44, 0x01, 0x54), (0x3B, 0x52, 0x8B), (0x21, 0x91, 0x8C), (0x5E, 0xC9, 0x62), (0xFD, 0xE7, 0x25)];

/// How values become colours.
#[derive(Clone, Debug)]
pub enum Colors {
    /// One for all.
    One,
    /// One for each key, in order; repeated when there are more keys than colours.
    Each(Vec<Key>),
    /// Along a ramp.
    Ramp(Axis),
}

impl Colors {
    /// The colour of a key.
    pub fn of(&self, key: Option<&Key>) -> (u8, u8, u8) {
        match (self, key) {
            (Colors::Each(keys), Some(key)) => PALETTE[keys.binary_search(key).unwrap_or(0) % PALETTE.len()],
            (Colors::Ramp(axis), Some(key)) => ramp(axis.at(key.number().unwrap_or(f64::NAN))),
            _ => PALETTE[0],
        }
    }
}

/// The colour at a share of the ramp.
pub fn ramp(share: f64) -> (u8, u8, u8) {
    let place = share.clamp(0.0, 1.0) * (RAMP.len() - 1) as f64;
    let i = (place as usize).min(RAMP.len() - 2);
    let part = place - i as f64;
    let mix = |a: u8, b: u8| (f64::from(a) * (1.0 - part) + f64::from(b) * part).round() as u8;
    let ((r0, g0, b0), (r1, g1, b1)) = (RAMP[i], RAMP[i + 1]);
    (mix(r0, r1), mix(g0, g1), mix(b0, b1))
}
