//! Pictures in a grid with titles, as one SVG document.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Units between tiles.
const GAP: f64 = 4.0;
/// Height of a line of text.
const LINE: f64 = 16.0;
/// Height of letters.
const LETTERS: f64 = 11.0;
/// Width of a letter, about.
const LETTER: f64 = 6.6;

/// Pictures in rows and columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grid {
    /// Above all; may be empty.
    pub title: String,
    /// Titles of the columns, whose words are set one below the other.
    pub columns: Vec<String>,
    /// The rows from top to bottom.
    pub rows: Vec<Row>,
    /// Width of a tile.
    pub width: f64,
    /// Height of a tile ÷ its width.
    pub ratio: f64,
}

/// Pictures side by side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Beside the row.
    pub title: String,
    /// PNG files.
    pub tiles: Vec<Vec<u8>>,
}

impl Grid {
    /// The drawing. Pixels keep hard edges.
    pub fn svg(&self) -> String {
        let letters = self.rows.iter().map(|row| row.title.chars().count()).max().unwrap_or(0);
        let left = GAP + letters as f64 * LETTER + GAP;
        let lines = self.columns.iter().map(|c| c.split_whitespace().count()).max().unwrap_or(0);
        let head = if self.title.is_empty() { 0.0 } else { LINE * 1.5 };
        let top = GAP + head + lines as f64 * LINE;
        let (across, down) = (self.width + GAP, self.width * self.ratio + GAP);
        let width = left + self.columns.len() as f64 * across;
        let height = top + self.rows.len() as f64 * down;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.1}\" height=\"{height:.1}\" viewBox=\"0 0 \
             {width:.1} {height:.1}\" font-family=\"DejaVu Sans, sans-serif\" font-size=\"{LETTERS}\">\n<rect \
             width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        if !self.title.is_empty() {
            text(&mut svg, (width / 2.0, GAP + LINE), "middle", &self.title);
        }
        for (column, title) in self.columns.iter().enumerate() {
            let middle = left + column as f64 * across + self.width / 2.0;
            for (line, word) in title.split_whitespace().enumerate() {
                text(&mut svg, (middle, GAP + head + line as f64 * LINE + LETTERS), "middle", word);
            }
        }
        for (index, row) in self.rows.iter().enumerate() {
            let y = top + index as f64 * down;
            text(&mut svg, (left - GAP, y + (down - GAP) / 2.0 + LETTERS / 3.0), "end", &row.title);
            for (column, png) in row.tiles.iter().enumerate() {
                let x = left + column as f64 * across;
                let _ = writeln!(
                    svg,
                    "<image x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" preserveAspectRatio=\"none\" \
                     style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{}\"/>",
                    self.width,
                    down - GAP,
                    STANDARD.encode(png)
                );
            }
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// Adds a line of text; control characters are left out, XML does not take them.
fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    let mut safe = String::with_capacity(words.len());
    for letter in words.chars().filter(|c| !c.is_control()) {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            other => safe.push(other),
        }
    }
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{safe}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drawing_is_svg_of_the_right_size() {
        let row = Row { title: "7".to_owned(), tiles: vec![vec![1, 2, 3], vec![4]] };
        let columns = vec!["image".to_owned(), "seed=0 <a>".to_owned()];
        let grid = Grid { title: "A & B".to_owned(), columns, rows: vec![row], width: 50.0, ratio: 2.0 };
        let svg = grid.svg();
        let tree = resvg::usvg::Tree::from_str(&svg, &resvg::usvg::Options::default()).unwrap();
        assert!((tree.size().height() - (4.0 + 24.0 + 32.0 + 104.0)).abs() < 0.2, "{:?}", tree.size());
        assert!(svg.contains("base64,AQID\"") && svg.contains("&lt;a&gt;") && svg.contains("A &amp; B"));
    }
}
