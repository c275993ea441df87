//! A chart as it is written in a workflow.

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::Error;
use crate::figure::Figure;
use crate::named::Named;
use crate::vegalite::VegaLite;

/// A chart: by name (`chart: line`), or in a subset of Vega-Lite (`mark:` or `layer:`).
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Chart {
    /// A named chart.
    Named(Box<Named>),
    /// A subset of Vega-Lite.
    VegaLite(Box<VegaLite>),
}

impl<'de> Deserialize<'de> for Chart {
    /// Reads by hand what serde calls untagged, so that an error speaks of the form that was meant.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let has = |key: &str| value.get(key).is_some();
        if has("chart") {
            return Named::deserialize(&value).map(|c| Chart::Named(c.into())).map_err(D::Error::custom);
        }
        if has("mark") || has("layer") || has("encoding") {
            let read = VegaLite::deserialize(&value).map(|c| Chart::VegaLite(c.into()));
            return read.map_err(|e| D::Error::custom(format!("in this subset of Vega-Lite: {e}")));
        }
        Err(D::Error::custom(
            "a chart needs `chart` (line, scatter, bar, …), or `mark` or `layer` of Vega-Lite",
        ))
    }
}

/// The figure of a chart.
///
/// # Errors
/// If the chart is wrong in itself.
pub fn figure(chart: &Chart) -> Result<Figure, Error> {
    match chart {
        Chart::Named(named) => named.figure(),
        Chart::VegaLite(vega) => vega.figure(),
    }
}
