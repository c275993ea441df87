//! The subset of Vega-Lite that is drawn. What is outside it is refused by name.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Error;
use crate::figure::{self, Aggregate, Facet, Figure, Role, Shape, Share};

/// A view: one mark, or layers of marks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VegaLite {
    /// Not read
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Not read: the data are those of the input
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// Not read
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Stands above the chart
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    /// Of the whole figure, in pixels
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<f64>,
    /// Of the whole figure, in pixels
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<f64>,
    /// How rows are drawn
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    /// What marks stand for; layers take over what they do not say themselves
    #[serde(default)]
    pub encoding: Encoding,
    /// Marks over one another
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layer: Vec<Layer>,
}

/// A mark of several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// How rows are drawn
    pub mark: Mark,
    /// What marks stand for
    #[serde(default)]
    pub encoding: Encoding,
}

/// A title, alone or as an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "String")]
pub struct Title(pub String);

impl From<Title> for String {
    fn from(title: Title) -> String {
        title.0
    }
}

impl TryFrom<Value> for Title {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Object {
            text: String,
        }
        match value {
            Value::String(text) => Ok(Title(text)),
            other => Object::deserialize(other).map(|o| Title(o.text)).map_err(|e| format!("title: {e}")),
        }
    }
}

impl JsonSchema for Title {
    fn schema_name() -> Cow<'static, str> {
        "Title".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let object = json!({ "type": "object", "properties": { "text": { "type": "string" } },
            "required": ["text"], "additionalProperties": false });
        json_schema!({ "description": "Stands above the chart", "anyOf": [{ "type": "string" }, object] })
    }
}

/// A mark, by its name or as an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Mark {
    /// How rows are drawn
    #[serde(rename = "type")]
    pub name: MarkName,
    /// Dots on lines
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub point: bool,
    /// One colour for all, as #rrggbb
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}

/// Red, green and blue of `#rrggbb`.
fn rgb(color: &str) -> Option<(u8, u8, u8)> {
    let digits =
        color.strip_prefix('#').filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let value = u32::from_str_radix(digits, 16).ok()?;
    let [_, r, g, b] = value.to_be_bytes();
    Some((r, g, b))
}

impl TryFrom<Value> for Mark {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Object {
            #[serde(rename = "type")]
            name: MarkName,
            #[serde(default)]
            point: bool,
            #[serde(default)]
            color: Option<String>,
        }
        let read = match value {
            Value::String(_) => {
                MarkName::deserialize(value).map(|name| Mark { name, point: false, color: None })
            }
            other => {
                Object::deserialize(other).map(|o| Mark { name: o.name, point: o.point, color: o.color })
            }
        };
        let mark = read.map_err(|e| format!("mark: {e}"))?;
        match mark.color.as_deref().filter(|c| rgb(c).is_none()) {
            Some(color) => Err(format!("mark: `color` is `{color}`, and is written as #rrggbb")),
            None => Ok(mark),
        }
    }
}

impl JsonSchema for Mark {
    fn schema_name() -> Cow<'static, str> {
        "Mark".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<MarkName>();
        let object = json!({ "type": "object",
            "properties": {
                "type": name,
                "point": { "type": "boolean", "description": "Dots on lines" },
                "color": { "type": "string", "pattern": "^#[0-9a-fA-F]{6}$", "description": "One colour for all" },
            },
            "required": ["type"], "additionalProperties": false });
        json_schema!({ "description": "How rows are drawn", "anyOf": [name, object] })
    }
}

/// The marks that are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MarkName {
    /// A dot
    Point,
    /// A line in the order of x
    Line,
    /// A bar from zero
    Bar,
    /// A line with the space below filled
    Area,
    /// A tile
    Rect,
    /// A short stroke
    Tick,
    /// A line across
    Rule,
    /// Median, quartiles, whiskers, outliers
    Boxplot,
}

/// What a mark stands for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Encoding {
    /// From left to right
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<Channel>,
    /// From bottom to top
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<Channel>,
    /// Colour, and what divides lines
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<Channel>,
    /// Divides lines beside the colour
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Channel>,
    /// Lines go through rows in the order of this field, instead of that of x
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Channel>,
    /// Bars side by side; of the same field as `color`
    #[serde(rename = "xOffset", default, skip_serializing_if = "Option::is_none")]
    pub x_offset: Option<Channel>,
    /// Panels from top to bottom
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<Channel>,
    /// Panels from left to right
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<Channel>,
}

/// Where a position or colour comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// The column
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The same number for all rows
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datum: Option<f64>,
    /// What its values are; as the column is, if not said
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<FieldType>,
    /// One value for all rows that share the other channels
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregate: Option<Aggregate>,
    /// Into bins
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bin: Option<Bin>,
    /// The axis
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// Title of axis or legend
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// What values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// Numbers on a continuous axis
    Quantitative,
    /// Categories
    Nominal,
    /// Categories in an order
    Ordinal,
}

/// Whether and how to divide into bins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Bin(pub Option<usize>);

impl From<Bin> for Value {
    fn from(bin: Bin) -> Value {
        bin.0.map_or(Value::Bool(false), |n| json!({ "maxbins": n }))
    }
}

impl TryFrom<Value> for Bin {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Object {
            maxbins: usize,
        }
        match value {
            Value::Bool(wanted) => Ok(Bin(wanted.then_some(10))),
            other => {
                Object::deserialize(other).map(|o| Bin(Some(o.maxbins))).map_err(|e| format!("bin: {e}"))
            }
        }
    }
}

impl JsonSchema for Bin {
    fn schema_name() -> Cow<'static, str> {
        "Bin".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let object = json!({ "type": "object", "properties": { "maxbins": { "type": "integer", "minimum": 1 } },
            "required": ["maxbins"], "additionalProperties": false });
        json_schema!({ "description": "Into bins", "anyOf": [{ "type": "boolean" }, object] })
    }
}

/// An axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Its kind
    #[serde(rename = "type")]
    pub kind: ScaleType,
}

/// Kinds of axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScaleType {
    /// Equal steps
    Linear,
    /// Equal factors
    Log,
}

impl Channel {
    fn figure(&self) -> figure::Channel {
        let role = match self.kind {
            None => Role::Auto,
            Some(FieldType::Quantitative) => Role::Number,
            Some(FieldType::Nominal | FieldType::Ordinal) => Role::Category,
        };
        figure::Channel {
            field: self.field.clone().filter(|_| self.aggregate != Some(Aggregate::Count)),
            role,
            aggregate: self.aggregate,
            bins: self.bin.as_ref().and_then(|b| b.0),
            log: self.scale.is_some_and(|s| s.kind == ScaleType::Log),
            title: self.title.clone(),
            datum: self.datum,
        }
    }

    /// The field of a channel that can only divide rows.
    fn divides(&self, name: &str) -> Result<String, Error> {
        let plain = Channel { field: self.field.clone(), kind: self.kind, ..Channel::default() };
        match &self.field {
            Some(field) if *self == plain && self.kind != Some(FieldType::Quantitative) => Ok(field.clone()),
            _ => Err(Error(format!(
                "`{name}` takes a `field` (and `type: nominal` or `ordinal`) and nothing else"
            ))),
        }
    }
}

impl VegaLite {
    /// The figure.
    ///
    /// # Errors
    /// If something is missing or does not go together.
    pub fn figure(&self) -> Result<Figure, Error> {
        let shared = &self.encoding;
        let layers = match (&self.mark, self.layer.as_slice()) {
            (Some(mark), []) => vec![layer(mark, shared, &Encoding::default())?],
            (None, [_, ..]) if shared.detail.is_some() || shared.order.is_some() => {
                return Err(Error("`detail` and `order` belong inside the layer of a line".to_owned()));
            }
            (None, layers) => {
                layers.iter().map(|l| layer(&l.mark, &l.encoding, shared)).collect::<Result<_, _>>()?
            }
            (Some(_), _) => return Err(Error("`mark` and `layer` do not go together".to_owned())),
        };
        let divides =
            |name, channel: &Option<Channel>| channel.as_ref().map(|c: &Channel| c.divides(name)).transpose();
        let (row, column) = (divides("row", &shared.row)?, divides("column", &shared.column)?);
        if self.layer.iter().any(|l| l.encoding.row.is_some() || l.encoding.column.is_some()) {
            return Err(Error("`row` and `column` belong beside `layer`, not inside it".to_owned()));
        }
        let none = row.is_none() && column.is_none();
        Figure {
            title: self.title.clone().map(|t| t.0),
            width: self.width,
            height: self.height,
            facet: if none { Facet::None } else { Facet::Grid { row, column } },
            layers,
        }
        .check()
    }
}

fn layer(mark: &Mark, own: &Encoding, shared: &Encoding) -> Result<figure::Layer, Error> {
    let channel = |own: &Option<Channel>, shared: &Option<Channel>| {
        own.as_ref().or(shared.as_ref()).map(Channel::figure)
    };
    let shape = match mark.name {
        MarkName::Point => Shape::Point,
        MarkName::Line => Shape::Line,
        MarkName::Bar => Shape::Bar,
        MarkName::Area => Shape::Area,
        MarkName::Rect => Shape::Rect,
        MarkName::Tick => Shape::Tick,
        MarkName::Rule => Shape::Rule,
        MarkName::Boxplot => Shape::Box,
    };
    if mark.point && !matches!(shape, Shape::Line | Shape::Area) {
        return Err(Error("`mark.point` belongs to lines and areas".to_owned()));
    }
    let color = channel(&own.color, &shared.color);
    let share = match own.x_offset.as_ref().or(shared.x_offset.as_ref()) {
        Some(offset) => {
            let field = Some(offset.divides("xOffset")?);
            if !matches!(shape, Shape::Bar | Shape::Box) || color.as_ref().map(|c| &c.field) != Some(&field) {
                return Err(Error(
                    "`xOffset` stands bars side by side, and takes the same field as `color`".to_owned(),
                ));
            }
            Share::Group
        }
        None if matches!(shape, Shape::Bar | Shape::Area) => Share::Stack,
        None if shape == Shape::Box => Share::Group,
        None => Share::Overlay,
    };
    let (x, y) = (channel(&own.x, &shared.x), channel(&own.y, &shared.y));
    let field = |name, own: &Option<Channel>| own.as_ref().map(|c| c.divides(name)).transpose();
    Ok(figure::Layer {
        shape,
        x,
        y,
        color,
        detail: field("detail", &own.detail)?,
        order: field("order", &own.order)?,
        paint: mark.color.as_deref().and_then(rgb),
        error: None,
        share,
        points: mark.point,
    })
}
