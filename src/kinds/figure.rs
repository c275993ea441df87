//! `figure`: a chart of a table.

use std::collections::BTreeMap;

use chart::{Chart, Column, Data, columns_read, png, svg};
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::stage::{
    Complaint, Facts, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads,
};
use crate::table::{Frame, gather, gather_facts};

/// Pixels of a PNG for each unit of the SVG.
const PNG_SCALE: f32 = 2.0;

/// A chart of a table.
pub struct Figure;

/// The picture's format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Scalable, text stays text.
    #[default]
    Svg,
    /// Pixels.
    Png,
}

/// Parameters of `figure`: a chart, and the picture's format.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Params {
    /// The picture's format.
    format: Format,
    /// A named chart (`chart: line`) or a subset of Vega-Lite (`mark:`, `layer:`).
    #[serde(flatten)]
    chart: Chart,
}

impl<'de> Deserialize<'de> for Params {
    // By hand: serde cannot flatten a type that refuses unknown fields.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        let format = value.as_object_mut().and_then(|fields| fields.remove("format"));
        let format =
            format.map(Format::deserialize).transpose().map_err(D::Error::custom)?.unwrap_or_default();
        Ok(Params { format, chart: Chart::deserialize(value).map_err(D::Error::custom)? })
    }
}

impl Kind for Figure {
    type Params = Params;
    const NAME: &'static str = "figure";
    const REVISION: u32 = 2;
    const ABOUT: &'static str = "A chart of a table as SVG or PNG.\n\n\
        A chart is named (`chart: line`, with `x`, `y`, `color`, …) or written in a subset of Vega-Lite \
        (`mark`, `encoding`, `layer`). Tiles between two columns of numbers fill an even grid, and other marks can lie over \
        them; a row that lacks a layer's columns is not drawn by that layer. The cells of a gathered matrix are drawn together, their axes are \
        columns. Only the columns that the chart names are read.";
    const EXAMPLE: &'static str = "\
curves:
  uses: figure
  in: { table: \"train[*].history\" }
  with: { chart: line, x: epoch, y: loss, color: seed }
";

    fn ports(params: Option<&Params>) -> Ports {
        let extension = match params.map(|p| p.format) {
            Some(Format::Png) => "png",
            _ => "svg",
        };
        Ports {
            inputs: vec![Port::new("table", PortType::Table, "the rows to draw").many()],
            outputs: vec![Port::new("figure", PortType::Figure, "the picture").extension(extension)],
            ..Ports::default()
        }
    }

    fn reads(params: &Params, _context: &InferContext) -> BTreeMap<String, Reads> {
        let columns = columns_read(&params.chart).unwrap_or_default();
        BTreeMap::from([("table".to_owned(), Reads::columns(columns))])
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        let wrong = |message: String| Complaint { message, at: None, within: None, hint: None };
        let columns = columns_read(&params.chart).map_err(|e| wrong(e.0))?;
        let inputs = context.inputs.get("table").map(Vec::as_slice).unwrap_or_default();
        let Some(table) = gather_facts(inputs).map_err(|e| Complaint::port("table", e))? else {
            return Ok(Outputs::new());
        };
        if let Some(missing) = columns.iter().find(|c| table.column(c).is_none()) {
            let hint = crate::spec::suggest::hint(missing, table.names());
            return Err(wrong(format!("the table has no column `{missing}` to draw")).hint(hint));
        }
        Ok(Outputs::new())
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let frame = gather(io.many("table"), None)?;
        let columns = columns_read(&params.chart).map_err(|e| Failure::new(e.0))?;
        let mut data = Data::default();
        for name in columns {
            let column = column(&frame, &name)?;
            data.columns.push((name, column));
        }
        let drawing = svg(&params.chart, &data).map_err(|e| Failure::new(e.0))?;
        let (extension, bytes) = match params.format {
            Format::Svg => ("svg", drawing.into_bytes()),
            Format::Png => ("png", png(&drawing, PNG_SCALE).map_err(|e| Failure::new(e.0))?),
        };
        let path = io.create("figure", extension);
        crate::fs::write_atomic(&path, &bytes)?;
        io.put("figure", path, Facts::Opaque);
        Ok(())
    }
}

/// A column of numbers where it can be one, else of text.
fn column(frame: &Frame, name: &str) -> Result<Column, Failure> {
    match frame.f64s(name) {
        Ok(numbers) => Ok(Column::Number(numbers)),
        Err(_) => frame.strings(name).map(Column::Text),
    }
}
