//! Parsed workflow files kept for the next run: parsing is half of the time that a run of a thousand
//! stages needs before it can start anything.
//!
//! The file is named by the digest of the text that it was parsed from and ends with a digest of
//! itself; anything odd about it means that the text is parsed again.

use std::path::Path;

use super::{Key, Node, Span, Yaml};
use crate::stage::Digest;

/// Smaller files parse faster than a kept tree is found.
const WORTH_KEEPING: usize = 32 << 10;
/// To be raised with every change of what a text is read as: what was kept before is then parsed again.
const FORM: u8 = 2;

/// The kept tree of `text`, if there is one that is whole.
pub(super) fn recall(folder: &Path, text: &[u8], source: u32) -> Option<Node> {
    if text.len() < WORTH_KEEPING {
        return None;
    }
    let bytes = std::fs::read(folder.join(Digest::of(text).hex())).ok()?;
    let (body, seal) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
    if Digest::of(body).bytes() != seal {
        return None;
    }
    let mut reader = Reader { bytes: body, source };
    let node = (reader.byte()? == FORM).then(|| reader.node())??;
    reader.bytes.is_empty().then_some(node)
}

/// Keeps the tree of `text`; that it cannot be kept harms nobody.
pub(super) fn keep(folder: &Path, text: &[u8], node: &Node) {
    if text.len() < WORTH_KEEPING || std::fs::create_dir_all(folder).is_err() {
        return;
    }
    // One tree a file is enough: older ones are of texts that were changed.
    for old in std::fs::read_dir(folder).into_iter().flatten().flatten().skip(16) {
        let _ = std::fs::remove_file(old.path());
    }
    let mut bytes = vec![FORM];
    write_node(node, &mut bytes);
    let seal = Digest::of(&bytes);
    bytes.extend(seal.bytes());
    let _ = crate::fs::write_atomic(folder.join(Digest::of(text).hex()), &bytes);
}

fn write_number(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    write_number(text.len() as u64, out);
    out.extend(text.as_bytes());
}

fn write_span(span: Span, out: &mut Vec<u8>) {
    [span.line, span.column, span.len].into_iter().for_each(|n| write_number(u64::from(n), out));
}

fn write_node(node: &Node, out: &mut Vec<u8>) {
    write_span(node.span, out);
    match &node.value {
        Yaml::Null => out.push(0),
        Yaml::Bool(value) => out.extend([1, u8::from(*value)]),
        Yaml::Int(value) => {
            out.push(2);
            out.extend(value.to_le_bytes());
        }
        Yaml::Float(value) => {
            out.push(3);
            out.extend(value.to_le_bytes());
        }
        Yaml::Str(text) => {
            out.push(4);
            write_text(text, out);
        }
        Yaml::Seq(items) => {
            out.push(5);
            write_number(items.len() as u64, out);
            items.iter().for_each(|item| write_node(item, out));
        }
        Yaml::Map(entries) => {
            out.push(6);
            write_number(entries.len() as u64, out);
            for (key, value) in entries {
                write_span(key.span, out);
                write_text(&key.name, out);
                write_node(value, out);
            }
        }
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    source: u32,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// How many items follow: never more than there are bytes left.
    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|n| *n <= self.bytes.len())
    }

    fn text(&mut self) -> Option<String> {
        let count = self.count()?;
        String::from_utf8(self.take(count)?.to_vec()).ok()
    }

    fn span(&mut self) -> Option<Span> {
        let mut next = || self.number().and_then(|n| u32::try_from(n).ok());
        let (line, column, len) = (next()?, next()?, next()?);
        Some(Span { source: self.source, line, column, len })
    }

    fn word(&mut self) -> Option<[u8; 8]> {
        self.take(8)?.try_into().ok()
    }

    fn node(&mut self) -> Option<Node> {
        let span = self.span()?;
        let value = match self.byte()? {
            0 => Yaml::Null,
            1 => Yaml::Bool(self.byte()? != 0),
            2 => Yaml::Int(i64::from_le_bytes(self.word()?)),
            3 => Yaml::Float(f64::from_le_bytes(self.word()?)),
            4 => Yaml::Str(self.text()?),
            5 => {
                let count = self.count()?;
                Yaml::Seq((0..count).map(|_| self.node()).collect::<Option<Vec<Node>>>()?)
            }
            6 => {
                let count = self.count()?;
                let mut entries = Vec::with_capacity(count);
                for _ in 0..count {
                    let key = Key { span: self.span()?, name: self.text()? };
                    entries.push((key, self.node()?));
                }
                Yaml::Map(entries)
            }
            _ => return None,
        };
        Some(Node { span, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_tree_is_the_parsed_one_and_a_damaged_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut text = "a: 1\nb: [x, 2.5, true, ~, -7]\nc:\n  d: \"é\"\n".to_owned();
        text.push_str(&"# filler\n".repeat(WORTH_KEEPING / 9 + 1));
        let node = super::super::parse(text.as_bytes(), 3).unwrap();
        keep(folder.path(), text.as_bytes(), &node);
        let back = recall(folder.path(), text.as_bytes(), 3).unwrap();
        assert_eq!(format!("{back:?}"), format!("{node:?}"));
        let file = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[10] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        assert!(recall(folder.path(), text.as_bytes(), 3).is_none());
    }
}
