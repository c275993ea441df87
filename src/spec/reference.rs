//! References between stages: `stage`, `stage.port`, `stage[seed=0].port`, `stage[*].port`.

use std::fmt;

/// Which cells of a matrix stage are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cells {
    /// The cell that agrees with the referring cell on every shared axis.
    Same,
    /// Every cell, gathered; the axes arrive as columns.
    All,
    /// The cells with these axis values; an axis with `*` is gathered.
    Where(Vec<(String, Option<String>)>),
}

/// A reference to an output of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The stage's name.
    pub stage: String,
    /// Which cells.
    pub cells: Cells,
    /// The output port; `None` means its only one.
    pub port: Option<String>,
}

impl Reference {
    /// Parses a reference.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            Err(format!(
                "`{text}` is not a reference: {why}; write stage, stage.port, stage[axis=value].port or stage[*].port"
            ))
        };
        let (stage, rest) = match text.find(['[', '.']) {
            Some(end) => text.split_at(end),
            None => (text, ""),
        };
        // `stage/inner` is a stage of a kind that stands for several.
        if !stage.split('/').all(is_name) {
            return wrong("a stage's name has letters, digits, `_` and `-`");
        }
        let (cells, rest) = match rest.strip_prefix('[') {
            None => (Cells::Same, rest),
            Some(inner) => {
                let Some((inner, rest)) = inner.split_once(']') else {
                    return wrong("`]` is missing");
                };
                (cells(inner).map_or_else(|why| wrong(why).map(|_: Reference| Cells::All), Ok)?, rest)
            }
        };
        let port = match rest.strip_prefix('.') {
            None if rest.is_empty() => None,
            Some(port) if !port.is_empty() => Some(port.to_owned()),
            _ => return wrong("a port follows a `.`"),
        };
        Ok(Reference { stage: stage.to_owned(), cells, port })
    }
}

fn cells(inner: &str) -> Result<Cells, &'static str> {
    if inner.trim() == "*" {
        return Ok(Cells::All);
    }
    let mut axes = Vec::new();
    for part in inner.split(',') {
        let (axis, value) = part.split_once('=').ok_or("an axis is chosen as `axis=value`")?;
        let value = value.trim();
        axes.push((axis.trim().to_owned(), (value != "*").then(|| value.to_owned())));
    }
    Ok(Cells::Where(axes))
}

/// Stage, port and axis names: letters, digits, `_`, `-`; not beginning with `-`.
pub fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stage)?;
        match &self.cells {
            Cells::Same => {}
            Cells::All => f.write_str("[*]")?,
            Cells::Where(axes) => {
                let shown: Vec<String> =
                    axes.iter().map(|(a, v)| format!("{a}={}", v.as_deref().unwrap_or("*"))).collect();
                write!(f, "[{}]", shown.join(","))?;
            }
        }
        match &self.port {
            Some(port) => write!(f, ".{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_parses_and_prints_back() {
        for text in ["net", "net.model", "net[*]", "net[seed=0].model", "net[seed=*,lr=0.1].model", "o/s1"] {
            match Reference::parse(text) {
                Ok(reference) => assert_eq!(reference.to_string(), text),
                Err(message) => assert!(text == "o/s1" && message.contains("letters"), "{message}"),
            }
        }
    }

    #[test]
    fn broken_references_say_why() {
        for (text, why) in [
            ("net[", "`]`"),
            ("net.", "port"),
            ("", "letters"),
            ("net[seed]", "axis=value"),
            ("a b", "letters"),
        ] {
            let message = Reference::parse(text).unwrap_err();
            assert!(message.contains(why), "{text}: {message}");
        }
    }
}
