//! What unquoted text stands for: the core schema of YAML 1.2 (§10.3.2).

use super::Yaml;

/// The value of unquoted text: nothing, a truth value, a number, or else the text itself.
///
/// # Errors
/// A number that cannot be held: too large, infinite or not a number.
pub(super) fn plain(text: &str) -> Result<Yaml, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Yaml::Null,
        "true" | "True" | "TRUE" => Yaml::Bool(true),
        "false" | "False" | "FALSE" => Yaml::Bool(false),
        // Most texts begin with a letter, and no number does.
        _ if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
            Yaml::Str(text.to_owned())
        }
        _ => match number(text)? {
            Some(number) => number,
            None => Yaml::Str(text.to_owned()),
        },
    })
}

fn number(text: &str) -> Result<Option<Yaml>, String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
                return Ok(None);
            }
            let read = i64::from_str_radix(digits, radix);
            return read.map(|n| Some(Yaml::Int(n))).map_err(|_| format!("the number {text} is too large"));
        }
    }
    if unsigned.bytes().all(|b| b.is_ascii_digit()) && !unsigned.is_empty() {
        let read = text.parse().map(|n| Some(Yaml::Int(n)));
        return read.map_err(|_| format!("the number {text} is too large"));
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err("infinity and NaN are not allowed here".to_owned());
    }
    // Rust reads the words `inf` and `nan` too; YAML does not.
    if !unsigned.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b)) {
        return Ok(None);
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Some(Yaml::Float(value))),
        Ok(_) => Err("infinity and NaN are not allowed here".to_owned()),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquoted_text_is_read_by_the_core_schema() {
        let read = |text: &str| format!("{:?}", plain(text));
        for (text, value) in [
            ("", "Null"),
            ("~", "Null"),
            ("NULL", "Null"),
            ("True", "Bool(true)"),
            ("yes", "Str(\"yes\")"),
            ("12", "Int(12)"),
            ("-7", "Int(-7)"),
            ("+7", "Int(7)"),
            ("0x1F", "Int(31)"),
            ("0o17", "Int(15)"),
            ("007", "Int(7)"),
            ("1_000", "Str(\"1_000\")"),
            ("1e-3", "Float(0.001)"),
            ("-.5", "Float(-0.5)"),
            ("1.", "Float(1.0)"),
            ("1.2.3", "Str(\"1.2.3\")"),
            ("2020-01-01", "Str(\"2020-01-01\")"),
            ("inf", "Str(\"inf\")"),
            ("-", "Str(\"-\")"),
        ] {
            assert_eq!(read(text), format!("Ok({value})"), "{text}");
        }
        for text in [".inf", "-.INF", ".nan", "1e999", "9223372036854775808"] {
            assert!(plain(text).is_err(), "{text}");
        }
    }
}
