//! A page to draw on: plotters' SVG backend with tenths of pixels and text that cannot break out.

use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    FontDesc, FontFamily, FontStyle, FontTransform, RGBAColor, RGBColor, ShapeStyle, TextStyle,
};

use crate::Error;

/// Red, green, blue.
pub type Rgb = (u8, u8, u8);

/// Text.
pub const INK: Rgb = (0x22, 0x22, 0x22);
/// Less important text and axes.
pub const GREY: Rgb = (0x66, 0x66, 0x66);
/// Grid lines.
pub const LIGHT: Rgb = (0xE4, 0xE4, 0xE4);

/// Units of the backend, which knows whole numbers only, for one pixel.
const UNITS: f64 = 10.0;

/// The page.
pub struct Canvas<'a> {
    backend: SVGBackend<'a>,
}

/// A colour with opacity and line width.
#[derive(Clone, Copy)]
pub struct Pen {
    color: Rgb,
    alpha: f64,
    width: f64,
}

/// A pen of one colour.
pub fn pen(color: Rgb) -> Pen {
    Pen { color, alpha: 1.0, width: 1.0 }
}

impl Pen {
    /// With lines of this many pixels.
    pub fn width(self, width: f64) -> Self {
        Pen { width, ..self }
    }

    /// Letting through what lies below: 0 all, 1 nothing.
    pub fn alpha(self, alpha: f64) -> Self {
        Pen { alpha, ..self }
    }

    fn style(self) -> ShapeStyle {
        let (r, g, b) = self.color;
        let stroke_width = (self.width * UNITS) as u32;
        ShapeStyle { color: RGBAColor(r, g, b, self.alpha), filled: true, stroke_width }
    }
}

/// How a text stands at its point.
#[derive(Clone, Copy)]
pub struct Text {
    /// Height in pixels.
    pub size: f64,
    /// Its colour.
    pub color: Rgb,
    /// Which side of it lies at the point.
    pub side: HPos,
    /// Which height of it lies at the point.
    pub height: VPos,
    /// Reads upwards.
    pub upwards: bool,
    /// Is bold.
    pub bold: bool,
}

/// A text of `size` pixels that is centred on its point.
pub fn text(size: f64) -> Text {
    Text { size, color: INK, side: HPos::Center, height: VPos::Center, upwards: false, bold: false }
}

/// About how wide a text is: the mean width of letters and figures of DejaVu Sans.
pub fn width_of(content: &str, size: f64) -> f64 {
    content.chars().count() as f64 * size * 0.6
}

/// At most `most` characters, without what SVG cannot hold or would break the line.
pub fn shown(content: &str, most: usize) -> String {
    let clean = content.chars().map(|c| if allowed(c) { c } else { ' ' });
    let short: String = clean.take(most + 1).collect();
    if short.chars().count() <= most {
        return short;
    }
    let kept: String = short.chars().take(most.saturating_sub(1)).collect();
    kept + "…"
}

/// Characters of XML 1.0 that are no controls and do not turn the reading direction.
fn allowed(c: char) -> bool {
    let turning = matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    !c.is_control() && !matches!(c, '\u{FFFE}' | '\u{FFFF}') && !turning
}

fn units(v: f64) -> i32 {
    // A cast of floats saturates; the bound keeps sums of coordinates inside i32.
    (v * UNITS).round().clamp(-1e8, 1e8) as i32
}

type Point = (f64, f64);

fn point((x, y): Point) -> (i32, i32) {
    (units(x), units(y))
}

/// Draws on a white page of `width` × `height` pixels and returns the SVG document.
///
/// # Errors
/// Those of `draw`.
pub fn page(
    width: f64,
    height: f64,
    draw: impl FnOnce(&mut Canvas) -> Result<(), Error>,
) -> Result<String, Error> {
    let (w, h) = (units(width).max(1), units(height).max(1));
    let mut out = String::new();
    {
        let mut canvas = Canvas { backend: SVGBackend::with_string(&mut out, (w as u32, h as u32)) };
        canvas.rect((0.0, 0.0), (width, height), pen((255, 255, 255)))?;
        draw(&mut canvas)?;
        canvas.backend.present().map_err(failed)?;
    }
    let (inside, outside) =
        (format!("width=\"{w}\" height=\"{h}\""), format!("width=\"{width:.0}\" height=\"{height:.0}\""));
    Ok(out.replacen(&inside, &outside, 1))
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error(format!("the chart could not be drawn: {error}"))
}

impl Canvas<'_> {
    /// A straight line.
    pub fn line(&mut self, from: Point, to: Point, pen: Pen) -> Result<(), Error> {
        self.path(&[from, to], pen)
    }

    /// A line through points.
    pub fn path(&mut self, points: &[Point], pen: Pen) -> Result<(), Error> {
        self.backend.draw_path(points.iter().copied().map(point), &pen.style()).map_err(failed)
    }

    /// A filled polygon.
    pub fn polygon(&mut self, points: &[Point], pen: Pen) -> Result<(), Error> {
        self.backend.fill_polygon(points.iter().copied().map(point), &pen.style()).map_err(failed)
    }

    /// A filled rectangle between two corners.
    pub fn rect(&mut self, a: Point, b: Point, pen: Pen) -> Result<(), Error> {
        let low = point((a.0.min(b.0), a.1.min(b.1)));
        let high = point((a.0.max(b.0), a.1.max(b.1)));
        self.backend.draw_rect(low, high, &pen.style(), true).map_err(failed)
    }

    /// The outline of a rectangle.
    pub fn frame(&mut self, a: Point, b: Point, pen: Pen) -> Result<(), Error> {
        self.path(&[a, (b.0, a.1), b, (a.0, b.1), a], pen)
    }

    /// A filled dot.
    pub fn dot(&mut self, at: Point, radius: f64, pen: Pen) -> Result<(), Error> {
        self.backend.draw_circle(point(at), (radius * UNITS) as u32, &pen.style(), true).map_err(failed)
    }

    /// A text; what it says is made harmless and cut after `most` characters.
    pub fn text(&mut self, content: &str, at: Point, style: Text, most: usize) -> Result<(), Error> {
        let (r, g, b) = style.color;
        let weight = if style.bold { FontStyle::Bold } else { FontStyle::Normal };
        // The backend divides the size by 1.24.
        let font = FontDesc::new(FontFamily::SansSerif, style.size * UNITS * 1.24, weight);
        let turn = if style.upwards { FontTransform::Rotate270 } else { FontTransform::None };
        let color = RGBColor(r, g, b);
        let font =
            TextStyle::from(font.transform(turn)).color(&color).pos(Pos::new(style.side, style.height));
        self.backend.draw_text(&shown(content, most), &font, point(at)).map_err(failed)
    }
}
