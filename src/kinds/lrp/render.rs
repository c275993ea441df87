//! `lrp.render`: maps beside their images.

use std::collections::BTreeMap;
use std::io::Cursor;

use chart::tiles::{Grid, Row};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use schemars::JsonSchema;
use science::maps::Layout;
use serde::{Deserialize, Serialize};

use super::images::{Channels, Images, Planes, check_maps, columns, layout, matched};
use super::models::{bound_cells, label};
use crate::stage::{
    Complaint, Facts, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads,
};

/// Most images of one picture.
const MOST: usize = 500;

/// Heat maps in a grid.
pub struct Render;

/// Parameters of `lrp.render`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// How many images, the first of the table.
    #[serde(default = "images")]
    pub images: usize,
    /// Draw these images instead, by their `id`.
    #[serde(default)]
    pub ids: Vec<String>,
    /// Width of a tile in the picture's units.
    #[serde(default = "tile")]
    pub tile: u32,
    /// Written above the picture.
    #[serde(default)]
    pub title: String,
    /// Column of images; if not given `input`, else the only tensor column.
    #[serde(default)]
    pub input: Option<String>,
    /// Which axis of an image holds the channels.
    #[serde(default)]
    pub channels: Channels,
}

fn images() -> usize {
    8
}

fn tile() -> u32 {
    96
}

impl Kind for Render {
    type Params = Params;
    const NAME: &'static str = "lrp.render";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Heat maps beside their images.\n\n\
        One row an image, one column for each table of maps, named by its matrix cell. Maps are summed over channels \
        and scaled by their largest magnitude: red is positive, blue negative, white zero. Where `data` is bound, the \
        images stand in the first column, from their smallest value (black) to their largest (white).";
    const EXAMPLE: &'static str = "\
heat:
  uses: lrp.render
  in: { maps: \"maps[*].table\", data: split.test }
  with: { images: 6 }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![
                Port::new("maps", PortType::Table, "maps of one or several models").many(),
                Port::new("data", PortType::Table, "the images").optional(),
            ],
            outputs: vec![Port::new("figure", PortType::Figure, "the picture")],
            ..Ports::default()
        }
    }

    fn reads(params: &Params, context: &InferContext) -> BTreeMap<String, Reads> {
        let mut reads = BTreeMap::from([("maps".to_owned(), Reads::columns(["id", "target", "relevance"]))]);
        if let Some(Ok((input, _))) =
            context.input("data").table().map(|t| columns(t, params.input.as_deref(), None))
        {
            reads.insert("data".to_owned(), Reads::columns(["id".to_owned(), input]));
        }
        reads
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        if params.images == 0 || params.images > MOST || params.ids.len() > MOST {
            return Err(Complaint::param("images", format!("there must be 1 to {MOST} images")));
        }
        if !(8..=1024).contains(&params.tile) {
            return Err(Complaint::param("tile", "a tile must be 8 to 1024 units wide"));
        }
        for maps in context.inputs.get("maps").into_iter().flatten() {
            maps.facts.table().map_or(Ok(()), check_maps)?;
        }
        if let Some(table) = context.input("data").table() {
            columns(table, params.input.as_deref(), None)?;
        }
        Ok(Outputs::new())
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let data = io
            .optional("data")
            .map(|data| Images::read(data, params.input.as_deref(), None, params.channels));
        let data = data.transpose()?;
        let mut ratio = 1.0;
        let mut columns = Vec::new();
        let mut rows: Vec<Row> = Vec::new();
        let cells = bound_cells(io.many("maps"));
        for (bound, cell) in io.many("maps").iter().zip(&cells) {
            io.check_cancelled()?;
            let own = |shape: &[usize]| match &data {
                Some(images) => Ok(images.layout),
                None => layout("relevance", shape, params.channels),
            };
            let (maps, layout) = Planes::read(bound, own)?;
            ratio = layout.height as f64 / layout.width as f64;
            if columns.is_empty() {
                let shown: Vec<String> = match &params.ids[..] {
                    [] => maps.ids.iter().take(params.images).cloned().collect(),
                    ids => ids.to_vec(),
                };
                rows = shown.iter().map(|id| Row { title: id.clone(), tiles: Vec::new() }).collect();
                if let Some(images) = &data {
                    columns.push("image".to_owned());
                    for (row, place) in rows.iter_mut().zip(matched(&shown, &images.ids, "images")?) {
                        row.tiles.push(picture(images.of(place), layout)?);
                    }
                }
            }
            columns.push(if cells.len() == 1 { "relevance".to_owned() } else { label(cell) });
            let shown: Vec<String> = rows.iter().map(|row| row.title.clone()).collect();
            for (row, place) in rows.iter_mut().zip(matched(&shown, &maps.ids, "maps")?) {
                row.tiles.push(heat(&maps.planes[place], layout)?);
            }
        }
        let grid = Grid { title: params.title.clone(), columns, rows, width: f64::from(params.tile), ratio };
        let path = io.create("figure", "svg");
        crate::fs::write_atomic(&path, grid.svg().as_bytes())?;
        io.put("figure", path, Facts::Opaque);
        Ok(())
    }
}

/// A map as PNG: white at zero, red to its largest magnitude, blue to the same below zero.
fn heat(plane: &[f32], layout: Layout) -> Result<Vec<u8>, Failure> {
    let largest = plane.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    let color = |v: &f32| {
        let share = if largest > 0.0 { v / largest } else { 0.0 };
        let faded = |full: f32| (255.0 + (full - 255.0) * share.abs()).round() as u8;
        let full = if share > 0.0 { [178.0, 24.0, 43.0] } else { [33.0, 102.0, 172.0] };
        full.map(faded)
    };
    png(plane.iter().flat_map(color).collect(), layout, ExtendedColorType::Rgb8)
}

/// An image as PNG: three channels as colours, others as the grey of their mean.
fn picture(image: &[f32], layout: Layout) -> Result<Vec<u8>, Failure> {
    let finite = || image.iter().copied().filter(|v| v.is_finite());
    let (low, high) = (finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max));
    let level = |v: f32| if high > low { ((v - low) / (high - low) * 255.0).round() as u8 } else { 127 };
    let value = |channel: usize, pixel: usize| image.get(layout.at(channel, pixel)).copied().unwrap_or(low);
    if layout.channels == 3 {
        let pixels = (0..layout.pixels()).flat_map(|p| [0, 1, 2].map(|c| level(value(c, p))));
        return png(pixels.collect(), layout, ExtendedColorType::Rgb8);
    }
    let grey = |p: usize| (0..layout.channels).map(|c| value(c, p)).sum::<f32>() / layout.channels as f32;
    png((0..layout.pixels()).map(|p| level(grey(p))).collect(), layout, ExtendedColorType::L8)
}

fn png(pixels: Vec<u8>, layout: Layout, color: ExtendedColorType) -> Result<Vec<u8>, Failure> {
    let mut bytes = Cursor::new(Vec::new());
    let wrong = |text: String| Failure::new(format!("a tile cannot be drawn: {text}"));
    let size = |n: usize| u32::try_from(n).map_err(|e| wrong(e.to_string()));
    PngEncoder::new(&mut bytes)
        .write_image(&pixels, size(layout.width)?, size(layout.height)?, color)
        .map_err(|e| wrong(e.to_string()))?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::run_tables;
    use crate::table::{Frame, Tensor};

    #[test]
    fn red_is_positive_and_white_is_zero() {
        let layout = Layout::of(&[1, 3], false).unwrap();
        let bytes = heat(&[2.0, 0.0, -1.0], layout).unwrap();
        let pixels = image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!(pixels.get_pixel(0, 0).0, [178, 24, 43]);
        assert_eq!(pixels.get_pixel(1, 0).0, [255, 255, 255]);
        assert_eq!(pixels.get_pixel(2, 0).0, [144, 179, 214]);
    }

    #[test]
    fn a_grid_has_a_row_for_each_image_and_a_column_for_each_model() {
        let mut maps = Frame::new();
        maps.push_strings("id", &["a", "b"]).unwrap();
        let values = vec![1.0, -1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0];
        maps.push_tensor_f32("relevance", Tensor { row_shape: vec![1, 2, 2], values: values.clone() })
            .unwrap();
        let mut data = Frame::new();
        data.push_strings("id", &["b", "a"]).unwrap();
        data.push_tensor_f32("input", Tensor { row_shape: vec![1, 2, 2], values }).unwrap();
        let axes = [[("seed", json!(0))], [("seed", json!(1))]];
        let inputs = [
            ("maps", maps.clone(), &axes[0][..]),
            ("maps", maps.clone(), &axes[1][..]),
            ("data", data, &[][..]),
        ];
        let run = run_tables(&Render, json!({"title": "Faces & <more>"}), &inputs).unwrap();
        let svg = String::from_utf8(run.bytes("figure")).unwrap();
        assert_eq!(svg.matches("data:image/png;base64,").count(), 6);
        assert!(svg.contains("seed=1") && svg.contains("Faces &amp; &lt;more&gt;"));
        let error =
            run_tables(&Render, json!({"ids": ["c"]}), &[("maps", maps, &[])]).map(|_| ()).unwrap_err();
        assert!(error.contains("no row with the id c"), "{error}");
    }
}
