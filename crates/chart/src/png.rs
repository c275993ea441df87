//! Pixels from SVG, with the fonts that this crate carries.

use std::sync::{Arc, OnceLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use crate::Error;

/// No picture is larger than this on either side.
const MOST_PIXELS: f32 = 20_000.0;

/// Rasterises an SVG document, `scale` pixels for each of its units, as PNG.
///
/// Text is set in DejaVu Sans whatever fonts the machine has, so that pictures are the same everywhere.
///
/// # Errors
/// If the document cannot be read or the picture would be too large.
pub fn png(svg: &str, scale: f32) -> Result<Vec<u8>, Error> {
    static FONTS: OnceLock<Arc<fontdb::Database>> = OnceLock::new();
    let fontdb = FONTS.get_or_init(|| Arc::new(fonts())).clone();
    // Links to pictures on the machine are not followed.
    let mut options = Options { fontdb, font_family: "DejaVu Sans".to_owned(), ..Options::default() };
    options.image_href_resolver.resolve_string = Box::new(|_, _| None);
    let tree = Tree::from_str(svg, &options).map_err(|e| Error(format!("the SVG cannot be read: {e}")))?;
    let (width, height) = (tree.size().width() * scale, tree.size().height() * scale);
    let fits = |size: f32| (1.0..=MOST_PIXELS).contains(&size);
    if !(fits(width) && fits(height)) {
        return Err(Error(format!(
            "a picture of {width} × {height} pixels cannot be made; choose another size"
        )));
    }
    let mut pixels = Pixmap::new(width.ceil() as u32, height.ceil() as u32)
        .ok_or_else(|| Error("there is not enough memory for the picture".to_owned()))?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    pixels.encode_png().map_err(|e| Error(format!("the picture cannot be written as PNG: {e}")))
}

fn fonts() -> fontdb::Database {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.load_font_data(dejavu::sans::bold().to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    fonts
}
