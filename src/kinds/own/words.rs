//! The placeholders of a command: `${in.port}`, `${out.port}`, `${with.name}`, replaced by shell words.

/// May this be the name of a port or parameter?
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The placeholders of `text` in order: `("in", "table")`. Whatever else stands behind a `$` is the shell's.
pub fn placeholders(text: &str) -> impl Iterator<Item = (&str, &str)> {
    found(text).map(|(_, _, side, name)| (side, name))
}

/// A placeholder that stands inside quotes, if one does: the quotes of its value would end them.
pub fn quoted(text: &str) -> Option<&str> {
    let beside = |c: Option<char>| matches!(c, Some('"' | '\''));
    found(text)
        .find(|(begin, end, ..)| {
            beside(text[..*begin].chars().next_back()) || beside(text[*end..].chars().next())
        })
        .map(|(begin, end, ..)| &text[begin..end])
}

/// `text` with every placeholder replaced by the words that `value` gives for it, each quoted.
pub fn fill(text: &str, value: impl Fn(&str, &str) -> Vec<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = 0;
    for (begin, end, side, name) in found(text) {
        out.push_str(&text[rest..begin]);
        let words: Vec<String> = value(side, name).iter().map(|word| quote(word)).collect();
        out.push_str(&words.join(" "));
        rest = end;
    }
    out.push_str(&text[rest..]);
    out
}

/// Begin, end, side and name of every placeholder.
fn found(text: &str) -> impl Iterator<Item = (usize, usize, &str, &str)> {
    text.match_indices("${").filter_map(move |(begin, _)| {
        let inside = &text[begin + 2..];
        let length = inside.find('}')?;
        let (side, name) = inside[..length].split_once('.')?;
        let ours = matches!(side, "in" | "out" | "with") && is_name(name);
        ours.then_some((begin, begin + 2 + length + 1, side, name))
    })
}

/// A text as one word of a POSIX shell.
fn quote(text: &str) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '=' | ':' | ',' | '+');
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_words_and_the_rest_is_the_shells() {
        let run = "f ${in.a} --n=${with.n} ${HOME} ${x%.y} ${with.none} > ${out.b}";
        let filled = fill(run, |side, name| match (side, name) {
            ("in", "a") => vec!["x y".to_owned(), "$(rm)".to_owned()],
            ("with", "n") => vec!["it's".to_owned()],
            ("out", "b") => vec!["/tmp/b.csv".to_owned()],
            _ => Vec::new(),
        });
        assert_eq!(filled, r"f 'x y' '$(rm)' --n='it'\''s' ${HOME} ${x%.y}  > /tmp/b.csv");
        assert_eq!(placeholders(run).count(), 4);
    }

    #[test]
    fn a_quoted_word_is_what_the_shell_reads() {
        for text in ["", " ", "a'b\"c", "$HOME `x` \\ \n é", "-n", "*"] {
            let run = format!("printf %s {}", quote(text));
            let output = std::process::Command::new("/bin/sh").args(["-c", &run]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{run}");
        }
    }

    #[test]
    fn a_placeholder_in_quotes_is_seen() {
        assert_eq!(quoted("f \"${in.a}\""), Some("${in.a}"));
        assert_eq!(quoted("f --x='${with.n}'"), Some("${with.n}"));
        assert_eq!(quoted("f '$x' ${in.a} \"$y\""), None);
    }
}
