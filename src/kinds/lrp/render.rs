//! `lrp.render`: maps beside their images, or over them.

use std::collections::BTreeMap;

use chart::tiles::{Grid, Row};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::images::{Channels, Images, Planes, check_maps, columns, layout, matched};
use super::models::{bound_cells, label};
use super::pixels::{heat, overlaid, picture};
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
    /// Draw each map over its image in grey, the more opaque the larger the relevance; needs `data`.
    #[serde(default)]
    pub overlay: bool,
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
    const ABOUT: &'static str = "Heat maps beside their images, or over them.\n\n\
        One row an image, one column for each table of maps, named by its matrix cell. Maps are summed over channels \
        and scaled by their largest magnitude: red is positive, blue negative, white zero. Where `data` is bound, the \
        images stand in the first column, from their smallest value (black) to their largest (white). With `overlay: true` \
        each map lies over its image in grey instead of over white: nothing of a pixel shows where relevance is largest, \
        all of it where there is none.";
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
        if params.overlay && !context.inputs.contains_key("data") {
            return Err(Complaint::param("overlay", "there are no images to draw the maps over")
                .hint("bind the port `data` to them, or leave `overlay` out"));
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
            let under = match &data {
                Some(images) if params.overlay => Some((images, matched(&shown, &images.ids, "images")?)),
                _ => None,
            };
            for (number, place) in matched(&shown, &maps.ids, "maps")?.into_iter().enumerate() {
                let plane = &maps.planes[place];
                rows[number].tiles.push(match &under {
                    Some((images, places)) => overlaid(plane, images.of(places[number]), layout)?,
                    None => heat(plane, layout)?,
                });
            }
        }
        let grid = Grid { title: params.title.clone(), columns, rows, width: f64::from(params.tile), ratio };
        let path = io.create("figure", "svg");
        crate::fs::write_atomic(&path, grid.svg().as_bytes())?;
        io.put("figure", path, Facts::Opaque);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::run_tables;
    use crate::table::{Frame, Tensor};

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

    /// The images of an SVG, decoded.
    fn tiles(svg: &[u8]) -> Vec<image::RgbImage> {
        let svg = String::from_utf8(svg.to_vec()).unwrap();
        let data = svg.split("data:image/png;base64,").skip(1).map(|rest| rest.split('"').next().unwrap());
        let decoded = data.map(|text| STANDARD.decode(text).unwrap());
        decoded.map(|png| image::load_from_memory(&png).unwrap().to_rgb8()).collect()
    }

    #[test]
    fn an_overlay_lies_over_the_image_of_the_same_id() {
        let (mut maps, mut data) = (Frame::new(), Frame::new());
        maps.push_strings("id", &["a", "b"]).unwrap();
        let values = vec![0.0, 1.0, 0.0, 0.0, -0.5, 1.0];
        maps.push_tensor_f32("relevance", Tensor { row_shape: vec![1, 1, 3], values }).unwrap();
        data.push_strings("id", &["b", "a"]).unwrap();
        let values = vec![0.0, 1.0, 0.5, 1.0, 1.0, 0.0];
        data.push_tensor_f32("input", Tensor { row_shape: vec![1, 1, 3], values }).unwrap();
        let inputs = [("maps", maps.clone(), &[][..]), ("data", data, &[][..])];
        let run = run_tables(&Render, json!({"overlay": true}), &inputs).unwrap();
        let tiles = tiles(&run.bytes("figure"));
        let pixels = |tile: usize| [0, 1, 2].map(|x| tiles[tile].get_pixel(x, 0).0);
        // Image and overlay of `a`, then of `b`: red where relevance is largest, the image where there is none,
        // half blue over white.
        assert_eq!(tiles.len(), 4);
        assert_eq!(pixels(0), [[255; 3], [255; 3], [0; 3]]);
        assert_eq!(pixels(1), [[255; 3], [178, 24, 43], [0; 3]]);
        assert_eq!(pixels(2), [[0; 3], [255; 3], [128; 3]]);
        assert_eq!(pixels(3), [[0; 3], [144, 179, 214], [178, 24, 43]]);
        let without = run_tables(&Render, json!({"overlay": true}), &[("maps", maps, &[])]);
        let error = without.map(|_| ()).unwrap_err();
        assert!(error.contains("no images to draw the maps over") && error.contains("`data`"), "{error}");
    }
}
