//! The page: how much room titles, labels and legend take, and where panels lie.

use super::{Scene, View, legend};
use crate::canvas::width_of;
use crate::items;
use crate::scale::Axis;

/// Height of tick labels in pixels.
pub const LABEL: f64 = 11.0;
/// Longer labels are cut.
pub const LONGEST: usize = 24;
/// Between panels.
const GAP: f64 = 30.0;

/// Sizes in pixels.
pub struct Page {
    /// Of the whole.
    pub width: f64,
    /// Of the whole.
    pub height: f64,
    /// Where the first panel begins.
    pub left: f64,
    /// Where the first panel begins.
    pub top: f64,
    /// Where the last panel ends.
    pub right: f64,
    /// Where the last panel ends.
    pub bottom: f64,
    /// Panels beside one another.
    pub across: usize,
    /// Panels on the page.
    pub panels: usize,
    /// Labels of the x axis read upwards, for they would overlap.
    pub upright: bool,
    /// Height above each panel for its title.
    head: f64,
}

impl Page {
    /// Divides the page for a scene.
    pub fn new(scene: &Scene) -> Self {
        let figure = scene.figure;
        let (panels, across) = (scene.panels.titles.len(), scene.panels.across);
        let down = panels.div_ceil(across);
        let size = |wanted: Option<f64>, one: f64, each: f64, around: f64, n: usize| {
            wanted.unwrap_or(if n == 1 { one } else { (n as f64 * each + around).min(4000.0) })
        };
        let width = size(figure.width, 640.0, 230.0, 180.0, across);
        let height = size(figure.height, 400.0, 190.0, 90.0, down);
        let labels = |axis: &Axis| {
            let texts = axis.marks().into_iter().map(|(_, text)| text.chars().count().min(LONGEST));
            texts.max().unwrap_or(0) as f64 * LABEL * 0.6
        };
        let left = labels(&scene.y) + 34.0;
        let right = width - legend::width(scene) - 16.0;
        let head = if panels > 1 { 20.0 } else { 0.0 };
        let top = if figure.title.is_some() { 40.0 } else { 16.0 } + head;
        let panel = ((right - left) / across as f64 - GAP).max(20.0);
        let wide: f64 = scene.x.marks().iter().map(|(_, text)| width_of(text, LABEL) + 10.0).sum();
        let upright = matches!(scene.x, Axis::Band(_)) && wide > panel + GAP;
        let below = if upright { labels(&scene.x) + 10.0 } else { 20.0 };
        let note = if items::missing(&scene.marks) > 0 { 12.0 } else { 0.0 };
        let bottom = height - below - 26.0 - note;
        Page { width, height, left, top, right, bottom, across, panels, upright, head }
    }

    /// The middle of all panels.
    pub fn middle(&self) -> f64 {
        (self.left + self.right) / 2.0
    }

    /// Where a panel lies.
    pub fn view<'a>(&self, scene: &'a Scene, panel: usize) -> View<'a> {
        let down = self.panels.div_ceil(self.across) as f64;
        let across = self.across as f64;
        let gap = if self.panels > 1 { GAP } else { 0.0 };
        let width = ((self.right - self.left - gap * (across - 1.0)) / across).max(20.0);
        let height = ((self.bottom - self.top - (8.0 + self.head) * (down - 1.0)) / down).max(20.0);
        let (column, row) = ((panel % self.across) as f64, (panel / self.across) as f64);
        View {
            x: &scene.x,
            y: &scene.y,
            colors: &scene.colors,
            paint: None,
            left: self.left + column * (width + gap),
            top: self.top + row * (height + 8.0 + self.head),
            width,
            height,
        }
    }
}
