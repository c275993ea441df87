//! Charts drawn from data as they come: ordinary, missing, huge, hostile.

use chart::{Chart, Column, Data, columns_read, png, svg};
use proptest::prelude::*;
use serde_json::{Value, json};

fn chart(spec: Value) -> Chart {
    serde_json::from_value(spec).unwrap()
}

/// What reading or drawing says is wrong.
fn complaint(spec: Value, data: &Data) -> String {
    match serde_json::from_value::<Chart>(spec) {
        Ok(chart) => svg(&chart, data).unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

fn number(name: &str, values: &[f64]) -> (String, Column) {
    (name.to_owned(), Column::Number(values.to_vec()))
}

fn text(name: &str, values: &[&str]) -> (String, Column) {
    (name.to_owned(), Column::Text(values.iter().map(|v| (*v).to_owned()).collect()))
}

/// Two numbers, a text and half-widths.
fn table() -> Data {
    Data {
        columns: vec![
            number("a", &[1.0, 2.0, 3.0, 4.0]),
            number("b", &[10.0, 30.0, 20.0, 40.0]),
            text("t", &["u", "v", "u", "v"]),
            number("e", &[1.0, 2.0, 1.0, 2.0]),
        ],
    }
}

fn count(svg: &str, what: &str) -> usize {
    svg.matches(what).count()
}

/// One of each form, on the columns of [`table`].
fn specs() -> Vec<Value> {
    let q = |field: &str| json!({ "field": field, "type": "quantitative" });
    let t = json!({ "field": "t", "type": "nominal" });
    vec![
        json!({ "chart": "line", "x": "a", "y": "b", "color": "t", "error": "e" }),
        json!({ "chart": "line", "x": "a", "y": "b", "aggregate": "median", "log_x": true, "log_y": true }),
        json!({ "chart": "scatter", "x": "a", "y": "b", "color": "e", "facet": "t", "error": "e" }),
        json!({ "chart": "bar", "x": "t", "y": "b", "color": "a", "log_y": true }),
        json!({ "chart": "bar", "x": "a", "y": "b", "error": "e" }),
        json!({ "chart": "histogram", "x": "b", "color": "t", "bins": 7 }),
        json!({ "chart": "heatmap", "x": "t", "y": "a", "color": "b" }),
        json!({ "chart": "box", "x": "t", "y": "b", "color": "t", "log_y": true }),
        json!({ "mark": "point", "encoding": { "x": q("a"), "y": q("b"), "row": t, "column": t } }),
        json!({ "mark": { "type": "line", "point": true }, "encoding": { "x": q("a"), "y": q("b"), "color": q("e") } }),
        json!({ "mark": "bar", "encoding": { "y": t, "x": { "aggregate": "count" }, "color": t } }),
        json!({ "mark": "bar", "encoding": { "x": t, "y": { "field": "b", "aggregate": "max" }, "color": t, "xOffset": t } }),
        json!({ "mark": "area", "encoding": { "x": q("a"), "y": q("b"), "color": t } }),
        json!({ "mark": "rect", "encoding": { "x": { "field": "a", "bin": true }, "y": { "field": "b", "bin": { "maxbins": 5 } }, "color": { "aggregate": "count" } } }),
        json!({ "layer": [
            { "mark": "rect", "encoding": { "x": q("a"), "y": q("b"), "color": q("e") } },
            { "mark": { "type": "line", "color": "#0a0B0c" },
              "encoding": { "x": q("b"), "y": q("a"), "order": { "field": "e" }, "detail": t } },
        ] }),
        json!({ "mark": "tick", "encoding": { "x": q("a"), "y": t } }),
        json!({ "mark": "boxplot", "encoding": { "x": q("b"), "y": t } }),
        json!({ "encoding": { "x": q("a"), "y": { "field": "b", "scale": { "type": "log" } } },
                "layer": [{ "mark": "line" }, { "mark": "rule", "encoding": { "y": { "datum": 25 } } }] }),
    ]
}

#[test]
fn every_form_is_drawn_and_rasterised() {
    for spec in specs() {
        let drawn = svg(&chart(spec.clone()), &table()).unwrap();
        let shapes = count(&drawn, "<circle") + count(&drawn, "<polyline") + count(&drawn, "<polygon");
        assert!(shapes + count(&drawn, "<rect") > 4, "{spec}");
        assert!(png(&drawn, 1.0).unwrap().starts_with(b"\x89PNG"), "{spec}");
        assert_eq!(drawn, svg(&chart(spec), &table()).unwrap());
    }
}

#[test]
fn a_chart_survives_being_written_and_read() {
    for spec in specs() {
        let read = chart(spec);
        assert_eq!(chart(serde_json::to_value(&read).unwrap()), read);
    }
}

#[test]
fn the_schema_knows_short_forms() {
    let schema = serde_json::to_value(schemars::schema_for!(Chart)).unwrap();
    assert_eq!(schema["$defs"]["Bin"]["anyOf"][0]["type"], "boolean");
    assert_eq!(schema["$defs"]["Mark"]["anyOf"][0]["$ref"], "#/$defs/MarkName");
}

/// A stage kind reads its own parameters beside those of the chart.
#[test]
fn a_chart_can_lie_flat_among_other_parameters() {
    #[derive(Debug, serde::Deserialize, serde::Serialize)]
    struct Params {
        format: String,
        #[serde(flatten)]
        chart: Chart,
    }
    let written = json!({ "format": "png", "chart": "line", "x": "a", "y": "b" });
    let read: Params = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(read.chart, chart(json!({ "chart": "line", "x": "a", "y": "b" })));
    assert_eq!(serde_json::to_value(&read).unwrap(), written);
    let wrong = json!({ "format": "png", "chart": "line", "x": "a", "y": "b", "colour": "t" });
    assert!(serde_json::from_value::<Params>(wrong).unwrap_err().to_string().contains("`colour`"));
}

#[test]
fn columns_are_those_that_are_drawn() {
    let read = |spec| columns_read(&chart(spec)).unwrap();
    let spec = json!({ "chart": "scatter", "x": "a", "y": "b", "color": "t", "facet": "t", "error": "e" });
    assert_eq!(read(spec), ["a", "b", "e", "t"]);
    let spec = json!({ "mark": "bar", "encoding": { "x": { "field": "t" }, "y": { "aggregate": "count" } } });
    assert_eq!(read(spec), ["t"]);
}

#[test]
fn marks_stand_for_rows() {
    let scatter = svg(&chart(json!({ "chart": "scatter", "x": "a", "y": "b" })), &table()).unwrap();
    assert_eq!(count(&scatter, "<circle"), 4);
    // The page and one bar for each text, at the mean of its rows: 15 and 35 of an axis that ends at 40.
    let bars = svg(&chart(json!({ "chart": "bar", "x": "t", "y": "b" })), &table()).unwrap();
    let heights: Vec<f64> = bars
        .lines()
        .filter(|l| l.starts_with("<rect"))
        .skip(1)
        .map(|l| l.split("height=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(heights.len(), 2);
    assert!((heights[0] / heights[1] - 15.0 / 35.0).abs() < 2e-3, "{heights:?}");
}

#[test]
fn a_rule_stands_once_in_every_panel() {
    let spec = |layers: Value| {
        let encoding = json!({ "x": { "field": "a" }, "y": { "field": "b" }, "column": { "field": "t" } });
        let drawn = svg(&chart(json!({ "encoding": encoding, "layer": layers })), &table()).unwrap();
        count(&drawn, "<polyline")
    };
    let point = json!({ "mark": "point" });
    let rule = json!({ "mark": "rule", "encoding": { "y": { "datum": 25 } } });
    assert_eq!(spec(json!([point, rule])), spec(json!([point])) + 2);
}

#[test]
fn missing_values_are_counted() {
    let data = Data {
        columns: vec![number("a", &[1.0, f64::NAN, 3.0, f64::INFINITY]), number("b", &[1.0, 2.0, 3.0, 4.0])],
    };
    let drawn = svg(&chart(json!({ "chart": "scatter", "x": "a", "y": "b" })), &data).unwrap();
    assert_eq!(count(&drawn, "<circle"), 2);
    assert!(drawn.contains("2 rows with missing values left out"));
    let data = Data { columns: vec![number("a", &[1.0, 2.0]), number("b", &[0.0, 10.0])] };
    let drawn = svg(&chart(json!({ "chart": "scatter", "x": "a", "y": "b", "log_y": true })), &data).unwrap();
    assert!(drawn.contains("1 row with missing values left out"));
}

#[test]
fn a_path_lies_over_tiles_of_numbers() {
    // A grid of 3 × 3, and a square that is walked around once; each row belongs to one layer.
    let nan = f64::NAN;
    let grid = |of: fn(usize) -> f64| (0..9).map(of).chain([nan; 5]).collect::<Vec<f64>>();
    let path = |values: [f64; 5]| [nan; 9].into_iter().chain(values).collect::<Vec<f64>>();
    let data = Data {
        columns: vec![
            // Once 2 is a little more than 2, as sums of tenths are.
            number("x", &grid(|k| (k % 3) as f64 + if k == 5 { 1e-12 } else { 0.0 })),
            number("y", &grid(|k| (k / 3) as f64)),
            number("z", &grid(|k| k as f64)),
            number("px", &path([0.0, 2.0, 2.0, 0.0, 0.0])),
            number("py", &path([0.0, 0.0, 2.0, 2.0, 0.0])),
            number("at", &path([0.0, 1.0, 2.0, 3.0, 4.0])),
            number("part", &path([0.0, 0.0, 0.0, 1.0, 1.0])),
        ],
    };
    let q = |field: &str| json!({ "field": field, "type": "quantitative" });
    let f = |field: &str| json!({ "field": field });
    let line = |more: Value| {
        let mut encoding = json!({ "x": q("px"), "y": q("py"), "order": f("at") });
        encoding.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "mark": { "type": "line", "color": "#ffffff" }, "encoding": encoding })
    };
    let tiles = json!({ "mark": "rect", "encoding": { "x": q("x"), "y": q("y"), "color": q("z") } });
    let drawn = svg(&chart(json!({ "layer": [tiles, line(json!({}))] })), &data).unwrap();
    assert!(!drawn.contains("left out"), "every row belongs to a layer");
    let walks = |svg: &str| -> Vec<usize> {
        let lines = svg.split("<polyline").skip(1).map(|p| p.split("/>").next().unwrap());
        let white = lines.filter(|p| p.contains("stroke=\"#FFFFFF\""));
        let points =
            |p: &str| p.split("points=\"").nth(1).unwrap().split('"').next().unwrap().trim().to_owned();
        white.map(|p| points(p).split(' ').count()).collect()
    };
    assert_eq!(walks(&drawn), [5]);
    let parted =
        svg(&chart(json!({ "layer": [tiles, line(json!({ "detail": f("part") }))] })), &data).unwrap();
    assert_eq!(walks(&parted), [3, 2]);
    // Nine tiles that touch: each reaches to where the next begins.
    let number = |text: &str, name: &str| -> f64 {
        text.split(&format!(" {name}=\"")).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
    };
    let rects = drawn.split("<rect").skip(1).map(|r| (number(r, "x"), number(r, "width")));
    let mut tiles: Vec<(f64, f64)> = rects.filter(|(x, width)| *x > 0.0 && *width > 500.0).collect();
    assert_eq!(tiles.len(), 9);
    tiles.sort_by(|a, b| a.0.total_cmp(&b.0));
    for pair in tiles.chunks(3).collect::<Vec<_>>().windows(2) {
        assert!((pair[0][0].0 + pair[0][0].1 - pair[1][0].0).abs() <= 4.0, "{tiles:?}");
    }
}

#[test]
fn hostile_text_stays_text() {
    let name = "<script>alert('x')</script>&\"\u{0}\u{202e}]]>";
    let data = Data { columns: vec![number(name, &[1.0, 2.0]), text("t", &[name, "\u{fffe}é漢"])] };
    let spec = json!({ "chart": "bar", "x": "t", "y": name, "color": "t", "facet": "t", "title": name });
    let drawn = svg(&chart(spec), &data).unwrap();
    assert!(!drawn.contains("<script") && !drawn.contains(['\0', '\u{202e}', '\u{fffe}']));
    png(&drawn, 1.0).unwrap();
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let says = |spec: Value, words: &[&str]| {
        let said = complaint(spec, &table());
        assert!(words.iter().all(|w| said.contains(w)), "{said}");
    };
    let xy = json!({ "x": { "field": "a" }, "y": { "field": "b" } });
    says(json!({ "mark": "point", "encoding": xy, "transform": [] }), &["`transform`", "`encoding`"]);
    says(json!({ "mark": "geoshape", "encoding": xy }), &["geoshape", "boxplot"]);
    says(json!({ "mark": { "type": "line", "interpolate": "step" }, "encoding": xy }), &["`interpolate`"]);
    says(json!({ "mark": "point", "encoding": { "x": { "field": "a", "sort": "y" } } }), &["`sort`"]);
    says(json!({ "mark": "point", "encoding": { "shape": { "field": "a" } } }), &["`shape`", "`color`"]);
    says(
        json!({ "mark": "point", "encoding": { "x": { "field": "a", "type": "temporal" } } }),
        &["temporal"],
    );
    says(
        json!({ "mark": "point", "encoding": { "x": { "field": "a", "scale": { "type": "sqrt" } } } }),
        &["sqrt"],
    );
    says(json!({ "chart": "pie", "x": "a" }), &["pie", "histogram"]);
    says(json!({ "chart": "line", "x": "a", "y": "b", "colour": "t" }), &["`colour`", "`color`"]);
    says(json!({ "chart": "histogram", "x": "a", "y": "b" }), &["no use for `y`"]);
    says(json!({ "chart": "line", "x": "a" }), &["needs `y`"]);
    says(json!({ "chart": "scatter", "x": "a", "y": "missing" }), &["`missing`", "`a`, `b`, `t`, `e`"]);
    says(json!({ "chart": "histogram", "x": "t" }), &["`t` holds text"]);
    says(json!({ "chart": "line", "x": "a", "y": "b", "width": 1e9 }), &["`width`"]);
    says(json!({ "y": "b" }), &["`chart`", "`mark`"]);
    says(json!({ "mark": { "type": "line", "color": "red" }, "encoding": xy }), &["`red`", "#rrggbb"]);
    says(json!({ "mark": { "type": "line", "color": "#12345é" }, "encoding": xy }), &["#rrggbb"]);
    let with = |name: &str, channel: Value| {
        let mut all = xy.clone();
        all.as_object_mut().unwrap().insert(name.to_owned(), channel);
        all
    };
    let dotted = with("color", json!({ "field": "t" }));
    says(json!({ "mark": { "type": "point", "color": "#000000" }, "encoding": dotted }), &["`mark.color`"]);
    says(
        json!({ "mark": "point", "encoding": with("order", json!({ "field": "a" })) }),
        &["`order`", "lines"],
    );
    says(json!({ "mark": "line", "encoding": with("order", json!({ "field": "t" })) }), &["`t` holds text"]);
    says(
        json!({ "mark": "line", "encoding": with("detail", json!({ "datum": 1 })) }),
        &["`detail`", "`field`"],
    );
}

/// Numbers as results bring them, and worse.
fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -100.0..100.0f64,
        1 => any::<f64>(),
        1 => prop::sample::select(vec![
            0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, f64::MAX, f64::MIN,
            f64::MIN_POSITIVE, 5e-324, 1e-300, 1e15, 1e15 + 2.0,
        ]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_numbers_break_a_chart(
        rows in prop::collection::vec((any_number(), any_number(), ".{0,3}", any_number()), 0..12),
    ) {
        let data = Data { columns: vec![
            ("a".to_owned(), Column::Number(rows.iter().map(|r| r.0).collect())),
            ("b".to_owned(), Column::Number(rows.iter().map(|r| r.1).collect())),
            ("t".to_owned(), Column::Text(rows.iter().map(|r| r.2.clone()).collect())),
            ("e".to_owned(), Column::Number(rows.iter().map(|r| r.3).collect())),
        ] };
        for spec in specs() {
            match svg(&chart(spec.clone()), &data) {
                Ok(drawn) => prop_assert!(!drawn.contains("NaN") && drawn.trim_end().ends_with("</svg>"), "{spec}"),
                // A grid of every text by every text can have more panels than a page.
                Err(error) => prop_assert!(error.to_string().contains("panels"), "{spec}: {error}"),
            }
        }
    }
}
