//! `ingest.images`

use std::path::Path;

use image::imageops::FilterType;
use image::{DynamicImage, ImageReader, Limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ID, complaint};
use crate::kinds::artefacts::put_table;
use crate::kinds::chunks::by_chunks;
use crate::stage::{
    Column, Complaint, Digest, Facts, Failure, FileForm, FileIn, FileParam, InferContext, Io, Kind, Outputs,
    Port, PortType, Ports, TableFacts,
};
use crate::table::{self, Frame, Tensor};

/// A picture may have this many pixels on a side …
const LARGEST_SIDE: u32 = 1 << 15;
/// … and take this many bytes when decoded.
const LARGEST_PICTURE: u64 = 1 << 30;

/// `ingest.images`: pictures become a table with a tensor column.
pub struct Images;

/// Channels of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// One channel: luma.
    Gray,
    /// Three channels; transparency is dropped.
    #[default]
    Rgb,
}

impl Color {
    fn channels(self) -> usize {
        match self {
            Color::Gray => 1,
            Color::Rgb => 3,
        }
    }
}

/// The range of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// 0 to 1.
    #[default]
    Unit,
    /// 0 to 255.
    Raw,
}

/// Parameters of `ingest.images`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// A folder with png and jpeg files at any depth, or a glob such as `faces/*.png`.
    pub path: String,
    /// Height and width to resize to (triangle filter, aspect not kept). Left out, all pictures must
    /// have the same size.
    #[serde(default)]
    pub size: Option<[u32; 2]>,
    /// The channels of the tensor.
    #[serde(default)]
    pub color: Color,
    /// The range of its values.
    #[serde(default)]
    pub scale: Scale,
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    ["png", "jpg", "jpeg"].contains(&extension.as_str())
}

fn open(path: &Path) -> Result<ImageReader<std::io::BufReader<std::fs::File>>, Failure> {
    let damaged = |e| Failure::new(format!("cannot read {}: {e}", path.display()));
    let mut reader = ImageReader::open(path).map_err(damaged)?;
    reader = reader.with_guessed_format().map_err(damaged)?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    limits.max_alloc = Some(LARGEST_PICTURE);
    reader.limits(limits);
    Ok(reader)
}

fn damaged(name: &str, error: image::ImageError) -> Failure {
    Failure::new(format!("picture {name} cannot be decoded: {error}"))
}

/// Height and width that all pictures will have.
///
/// # Errors
/// If a picture has another size than the first, and none is asked for.
fn size(params: &Params, files: &[FileIn]) -> Result<[u32; 2], Failure> {
    if let Some(size) = params.size {
        return Ok(size);
    }
    let own = |file: &FileIn| {
        let found = open(&file.path)?.into_dimensions().map_err(|e| damaged(&file.name, e))?;
        Ok::<_, Failure>([found.1, found.0])
    };
    let Some((first, others)) = files.split_first() else { return Ok([0, 0]) };
    let expected = own(first)?;
    for file in others {
        let found = own(file)?;
        if found != expected {
            return Err(Failure::new(format!(
                "picture {} is {} × {}, {} is {} × {} (height × width)",
                file.name, found[0], found[1], first.name, expected[0], expected[1]
            ))
            .hint("state the `size` to resize all pictures to"));
        }
    }
    Ok(expected)
}

/// The digest of a file's bytes.
fn digest(path: &Path) -> Result<Digest, Failure> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_mmap(path).map_err(|e| Failure::new(format!("cannot read {}: {e}", path.display())))?;
    Ok(hasher.finalize().into())
}

/// Appends the values of one picture, channel by channel.
fn decode(params: &Params, file: &FileIn, values: &mut Vec<f32>) -> Result<(), Failure> {
    let picture = open(&file.path)?.decode().map_err(|e| damaged(&file.name, e))?;
    let picture = match params.size {
        Some([height, width]) if (picture.height(), picture.width()) != (height, width) => {
            picture.resize_exact(width, height, FilterType::Triangle)
        }
        _ => picture,
    };
    let bytes = match params.color {
        Color::Gray => DynamicImage::into_luma8(picture).into_raw(),
        Color::Rgb => DynamicImage::into_rgb8(picture).into_raw(),
    };
    let channels = params.color.channels();
    let divisor = match params.scale {
        Scale::Unit => 255.0,
        Scale::Raw => 1.0,
    };
    for channel in 0..channels {
        let plane = bytes.iter().skip(channel).step_by(channels);
        values.extend(plane.map(|v| f32::from(*v) / divisor));
    }
    Ok(())
}

/// The label of every file: from the table at `labels`, else the name of its folder.
fn labels(io: &Io, files: &[FileIn]) -> Result<Vec<String>, Failure> {
    let Some(bound) = io.optional("labels") else {
        return Ok(files
            .iter()
            .map(|f| {
                let folder = Path::new(&f.name).parent().and_then(Path::file_name);
                folder.unwrap_or_default().to_string_lossy().into_owned()
            })
            .collect());
    };
    let table = table::read(bound, Some(&["file", "label"]))?;
    let (named, labels) = (table.strings("file")?, table.strings("label")?);
    let known: std::collections::HashMap<&str, &String> =
        named.iter().map(String::as_str).zip(&labels).collect();
    files
        .iter()
        .map(|file| {
            let found = known.get(file.name.as_str()).or_else(|| known.get(base(&file.name)));
            found.map(|label| (*label).clone()).ok_or_else(|| {
                Failure::new(format!("the table at `labels` has no row for {}", file.name))
                    .hint("its column `file` holds names or paths as in the column `id`")
            })
        })
        .collect()
}

fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The index of every label among the sorted distinct labels.
fn classes(labels: &[String]) -> Vec<i64> {
    let mut sorted: Vec<&String> = labels.iter().collect();
    sorted.sort();
    sorted.dedup();
    labels.iter().map(|l| sorted.partition_point(|s| *s < l) as i64).collect()
}

impl Kind for Images {
    type Params = Params;

    const NAME: &'static str = "ingest.images";
    const REVISION: u32 = 1;
    const ROW_WISE: Option<&'static str> = Some("path");
    const ABOUT: &'static str = "\
Reads png and jpeg files as a table, one row a picture, in the order of their names.

Columns: `id` (path below the folder), `file` (its last part), `label` (the folder's name, or what the \
table at `labels` says), `class` (the label's place among the sorted labels, from 0) and `image`, a \
tensor of 32-bit floats with the channels first: channels × height × width. Files of other kinds in the \
folder are passed over; a picture that cannot be decoded is an error with its name.";
    const EXAMPLE: &'static str = "\
faces:
  uses: ingest.images
  with: { path: data/faces, size: [32, 32], color: gray }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![
                Port::new(
                    "labels",
                    PortType::Table,
                    "A table with columns `file` and `label`, instead of folder names.",
                )
                .optional(),
            ],
            outputs: vec![Port::new("table", PortType::Table, "One row a picture.")],
            ..Ports::default()
        }
    }

    fn files(params: &Params) -> Vec<FileParam> {
        vec![FileParam {
            param: "path".to_owned(),
            path: params.path.clone(),
            form: FileForm::Any,
            names_matter: true,
        }]
    }

    fn reads(
        _params: &Params,
        _context: &InferContext,
    ) -> std::collections::BTreeMap<String, crate::stage::Reads> {
        let labels = crate::stage::Reads::columns(["file", "label"]);
        std::collections::BTreeMap::from([("labels".to_owned(), labels)])
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        if let Some(table) = context.input("labels").table() {
            for name in ["file", "label"] {
                if table.column(name).is_none() {
                    let text = format!("the table at `labels` has no column `{name}`");
                    let hint = table::column_hint(name, &table.names());
                    return Err(Complaint::port("labels", text).hint(hint));
                }
            }
        }
        if params.size.is_some_and(|s| s.contains(&0) || s.iter().any(|s| *s > LARGEST_SIDE)) {
            let text = format!("height and width lie between 1 and {LARGEST_SIDE}");
            return Err(Complaint::param("size", text));
        }
        let paths = context.files.get("path");
        let pictures = paths.map(|p| p.iter().filter(|p| is_picture(p)).collect::<Vec<_>>());
        let size = match (params.size, &pictures) {
            (_, Some(pictures)) if pictures.is_empty() => {
                return Err(Complaint::param("path", "there is no png or jpeg file"));
            }
            (Some([height, width]), _) => [height, width],
            (None, None) => return Ok(Outputs::new()),
            (None, Some(pictures)) => {
                let name = pictures[0].display().to_string();
                let size = open(pictures[0])
                    .and_then(|reader| reader.into_dimensions().map_err(|e| damaged(&name, e)))
                    .map_err(|f| complaint("path", f))?;
                [size.1, size.0]
            }
        };
        let shape = vec![params.color.channels(), size[0] as usize, size[1] as usize];
        let columns = vec![
            Column::new(ID, "string"),
            Column::new("file", "string"),
            Column::new("label", "string"),
            Column::new("class", "int64"),
            Column::new("image", "tensor(float32)").with_shape(shape),
        ];
        let rows = pictures.map(|p| p.len() as u64);
        let facts = Facts::Table(TableFacts { rows, columns });
        Ok(Outputs::from([("table".to_owned(), facts)]))
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let files: Vec<FileIn> = io.files("path").iter().filter(|f| is_picture(&f.path)).cloned().collect();
        if files.is_empty() {
            return Err(Failure::new(format!("`{}` holds no png or jpeg file", params.path)));
        }
        let [height, width] = size(params, &files)?;
        let row_shape = vec![params.color.channels(), height as usize, width as usize];
        let contents = files.iter().map(|file| digest(&file.path)).collect::<Result<Vec<_>, _>>()?;
        let images = by_chunks(io, &contents, |rows| {
            let mut values = Vec::new();
            for file in &files[rows] {
                io.check_cancelled()?;
                decode(params, file, &mut values)?;
            }
            let mut frame = Frame::new();
            frame.push_tensor_f32("image", Tensor { row_shape: row_shape.clone(), values })?;
            Ok(frame)
        })?;
        let labels = labels(io, &files)?;
        let names: Vec<&str> = files.iter().map(|f| f.name.as_str()).collect();
        let bases: Vec<&str> = names.iter().map(|n| base(n)).collect();
        let mut frame = Frame::new();
        frame.push_strings(ID, &names)?;
        frame.push_strings("file", &bases)?;
        frame.push_strings("label", &labels)?;
        frame.push_i64s("class", classes(&labels))?;
        frame.push_column_of(&images, "image")?;
        put_table(io, "table", frame)
    }
}

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, ImageFormat, Rgb};
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{run_files, run_tables};

    fn png(width: u32, height: u32) -> Vec<u8> {
        let picture = ImageBuffer::from_fn(width, height, |x, y| Rgb([255_u8, x as u8, y as u8]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn folders_are_labels_and_channels_come_first() {
        let picture = png(3, 2);
        let files: [(&str, &[u8]); 3] =
            [("p/dog/a.png", &picture), ("p/cat/b.PNG", &picture), ("p/notes.txt", b"x")];
        let with = json!({"path": "p", "scale": "raw"});
        let run = run_files(&Images, with, &files).unwrap();
        let frame = run.table("table");
        assert_eq!(frame.strings("id").unwrap(), ["cat/b.PNG", "dog/a.png"]);
        assert_eq!(frame.strings("label").unwrap(), ["cat", "dog"]);
        assert_eq!(frame.i64s("class").unwrap(), [0, 1]);
        let image = frame.tensor_f32("image").unwrap();
        assert_eq!(image.row_shape, [3, 2, 3]);
        assert_eq!(
            image.values[..18],
            [[255.0; 6], [0., 1., 2., 0., 1., 2.], [0., 0., 0., 1., 1., 1.]].concat()
        );
        assert_eq!(run.inferred("table"), frame.facts());
    }

    #[test]
    fn sizes_must_agree_unless_one_is_stated() {
        let (a, b) = (png(4, 4), png(6, 2));
        let files: [(&str, &[u8]); 2] = [("p/a.png", &a), ("p/b.png", &b)];
        let text = run_files(&Images, json!({"path": "p"}), &files).err().unwrap();
        assert!(text.starts_with("picture b.png is 2 × 6, a.png is 4 × 4"), "{text}");
        let with = json!({"path": "p", "size": [2, 2], "color": "gray"});
        let frame = run_files(&Images, with, &files).unwrap().table("table");
        let image = frame.tensor_f32("image").unwrap();
        assert_eq!(image.row_shape, [1, 2, 2]);
        assert!(image.values.iter().all(|v| (0.0..=1.0).contains(v)));
    }

    #[test]
    fn damaged_pictures_and_bombs_are_named() {
        let mut cut = png(40, 40);
        cut.truncate(60);
        let with = || json!({"path": "p", "size": [2, 2]});
        let text = run_files(&Images, with(), &[("p/a.png", &cut)]).err().unwrap();
        assert!(text.starts_with("picture a.png cannot be decoded"), "{text}");
        // A header of 100,000 × 100,000 pixels.
        let mut bomb = png(1, 1);
        bomb[16..24].copy_from_slice(&[0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0]);
        let text = run_files(&Images, with(), &[("p/a.png", &bomb)]).err().unwrap();
        assert!(text.starts_with("picture a.png cannot be decoded"), "{text}");
        let text = run_files(&Images, with(), &[("p/a.txt", b"")]).err().unwrap();
        assert!(text.starts_with("there is no png or jpeg file"), "{text}");
    }

    #[test]
    fn a_labels_table_needs_its_columns() {
        let mut labels = Frame::new();
        labels.push_strings("name", &["a.png"]).unwrap();
        let with = json!({"path": "p", "size": [2, 2]});
        let text = run_tables(&Images, with, &[("labels", labels, &[])]).err().unwrap();
        assert!(text.starts_with("the table at `labels` has no column `file`"), "{text}");
    }
}
