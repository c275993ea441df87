//! The parser's events → a tree with places; aliases are written out, within bounds.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use granit_parser::{Event, ScalarStyle, Tag};

use super::scalar::plain;
use super::{Diagnostic, Key, Node, Span, Yaml};

/// Deeper documents are refused: everything that walks a tree may call itself.
pub(super) const MAX_DEPTH: usize = 64;
/// What anchors and aliases copy has at most this many bytes for each of the file's, and `SMALL` more; never
/// more than `MOST`.
const MAX_GROWTH: usize = 32;
const SMALL: usize = 8 << 20;
const MOST: usize = 256 << 20;
/// Bytes of a node or of a key, about, its text apart.
const NODE_BYTES: usize = 64;

/// A mapping or list whose end has not come yet.
struct Open {
    span: Span,
    anchor: usize,
    inside: Inside,
    /// Levels below this one, so far.
    depth: usize,
}

enum Inside {
    List(Vec<Node>),
    Mapping(Vec<(Key, Node)>, Option<Key>),
}

/// What an anchor names, how many bytes that has, and in how many levels.
struct Named {
    node: Node,
    bytes: usize,
    depth: usize,
}

/// Takes events and has the document's root when they end.
pub(super) struct Tree {
    open: Vec<Open>,
    anchors: HashMap<usize, Named>,
    /// Bytes that anchors and aliases may still copy.
    spare: usize,
    documents: usize,
    root: Option<Node>,
}

impl Tree {
    /// An empty tree of a file of so many bytes.
    pub(super) fn new(file: usize) -> Self {
        let spare = file.saturating_mul(MAX_GROWTH).saturating_add(SMALL).min(MOST);
        Tree { open: Vec::new(), anchors: HashMap::new(), spare, documents: 0, root: None }
    }

    /// The whole document; an empty file is nothing at all.
    pub(super) fn finish(self, source: u32) -> Node {
        self.root.unwrap_or(Node { span: Span { source, line: 1, column: 1, len: 1 }, value: Yaml::Null })
    }

    /// The next event, which stands at `span`.
    pub(super) fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Diagnostic::at(span, "a second document begins here")
                        .hint("a workflow is one document: leave out `---`"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                if self.wants_key() {
                    // Some programs that rewrite files spell a merge out.
                    if text != "<<" || tag.as_deref().is_none_or(|tag| tag.original() != "!!merge") {
                        check_tag(tag.as_deref(), "str", span)?;
                    }
                    let key = Key { span, name: text.into_owned() };
                    if anchor > 0 {
                        self.name(anchor, &Node { span, value: Yaml::Str(key.name.clone()) }, 0)?;
                    }
                    self.key(key);
                    return Ok(());
                }
                let value = scalar(text, style, tag.as_deref(), span)?;
                self.place(Node { span, value }, anchor, 0)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.begin(span, anchor, tag.as_deref(), "seq", Inside::List(Vec::new()))?;
            }
            Event::MappingStart(_, anchor, tag) => {
                self.begin(span, anchor, tag.as_deref(), "map", Inside::Mapping(Vec::new(), None))?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { span, anchor, inside, depth }) = self.open.pop() {
                    let value = match inside {
                        Inside::List(items) => Yaml::Seq(items),
                        Inside::Mapping(entries, _) => Yaml::Map(merged(unique(entries)?)?),
                    };
                    self.place(Node { span, value }, anchor, depth + 1)?;
                }
            }
            Event::Alias(anchor) => self.alias(anchor, span)?,
            _ => {}
        }
        Ok(())
    }

    /// Whether the next node is a mapping's key.
    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { inside: Inside::Mapping(_, None), .. }))
    }

    fn key(&mut self, name: Key) {
        if let Some(Open { inside: Inside::Mapping(_, key), .. }) = self.open.last_mut() {
            *key = Some(name);
        }
    }

    fn begin(
        &mut self,
        span: Span,
        anchor: usize,
        tag: Option<&Tag>,
        kind: &str,
        inside: Inside,
    ) -> Result<(), Diagnostic> {
        check_tag(tag, kind, span)?;
        if self.wants_key() {
            return Err(Diagnostic::at(span, "a key is a text, not a list or mapping"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(span));
        }
        self.open.push(Open { span, anchor, inside, depth: 0 });
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Diagnostic> {
        let Some(bytes) = self.anchors.get(&anchor).map(|named| named.bytes) else {
            return Err(Diagnostic::at(span, "this alias stands inside what it names")
                .hint("write out what it stands for"));
        };
        self.spend(bytes, span)?;
        let named = &self.anchors[&anchor];
        let (mut node, depth) = (named.node.clone(), named.depth);
        node.span = span;
        if !self.wants_key() {
            return self.place(node, 0, depth);
        }
        match node.value {
            Yaml::Str(name) => {
                self.key(Key { span, name });
                Ok(())
            }
            _ => Err(Diagnostic::at(span, "a key is a text; this alias names something else")),
        }
    }

    /// Keeps a copy of what an anchor names.
    fn name(&mut self, anchor: usize, node: &Node, depth: usize) -> Result<(), Diagnostic> {
        let bytes = size(node);
        self.spend(bytes, node.span)?;
        self.anchors.insert(anchor, Named { node: node.clone(), bytes, depth });
        Ok(())
    }

    /// Notes that so many bytes are about to be copied.
    fn spend(&mut self, bytes: usize, span: Span) -> Result<(), Diagnostic> {
        self.spare = self.spare.checked_sub(bytes).ok_or_else(|| {
            Diagnostic::at(span, "the file's anchors and aliases copy far more than its size allows")
                .hint("write out what they stand for, or use `params`")
        })?;
        Ok(())
    }

    /// Puts a finished node, `depth` levels high, where it belongs.
    fn place(&mut self, node: Node, anchor: usize, depth: usize) -> Result<(), Diagnostic> {
        if self.open.len() + depth > MAX_DEPTH {
            return Err(too_deep(node.span));
        }
        if anchor > 0 {
            self.name(anchor, &node, depth)?;
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.depth = open.depth.max(depth);
        match &mut open.inside {
            Inside::List(items) => items.push(node),
            Inside::Mapping(entries, key) => {
                if let Some(key) = key.take() {
                    entries.push((key, node));
                }
            }
        }
        Ok(())
    }
}

fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::at(span, format!("this stands more than {MAX_DEPTH} levels deep"))
        .hint("is this a workflow file?")
}

/// A tag may only say what the node is anyway.
fn check_tag(tag: Option<&Tag>, kind: &str, span: Span) -> Result<(), Diagnostic> {
    match tag.filter(|tag| tag.core_suffix() != Some(kind) && tag.original() != "!") {
        Some(tag) => Err(unsupported(tag, span)),
        None => Ok(()),
    }
}

fn unsupported(tag: &Tag, span: Span) -> Diagnostic {
    Diagnostic::at(span, format!("unsupported tag `{}`", tag.original())).hint("leave it out")
}

/// Bytes that a copy of the node takes, about.
fn size(node: &Node) -> usize {
    NODE_BYTES
        + match &node.value {
            Yaml::Str(text) => text.len(),
            Yaml::Seq(items) => items.iter().map(size).sum(),
            Yaml::Map(entries) => {
                entries.iter().map(|(key, value)| NODE_BYTES + key.name.len() + size(value)).sum()
            }
            _ => 0,
        }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<Yaml, Diagnostic> {
    let wanted = match tag {
        None if style == ScalarStyle::Plain => None,
        None => Some("str"),
        Some(tag) if tag.original() == "!" => Some("str"),
        Some(tag) => Some(tag.core_suffix().ok_or_else(|| unsupported(tag, span))?),
    };
    if wanted == Some("str") {
        return Ok(Yaml::Str(text.into_owned()));
    }
    let value = plain(&text).map_err(|message| Diagnostic::at(span, message))?;
    Ok(match (wanted, value) {
        (None, value) => value,
        (Some("null"), Yaml::Null) => Yaml::Null,
        (Some("bool"), Yaml::Bool(value)) => Yaml::Bool(value),
        (Some("int"), Yaml::Int(value)) => Yaml::Int(value),
        (Some("float"), Yaml::Int(value)) => Yaml::Float(value as f64),
        (Some("float"), Yaml::Float(value)) => Yaml::Float(value),
        (Some(_), _) => {
            let name = tag.map(Tag::original).unwrap_or_default();
            return Err(Diagnostic::at(span, format!("`{text}` is no value of the tag `{name}`")));
        }
    })
}

/// The entries, if no key stands twice.
fn unique(entries: Vec<(Key, Node)>) -> Result<Vec<(Key, Node)>, Diagnostic> {
    let mut order: Vec<&Key> = entries.iter().map(|(key, _)| key).collect();
    // Stable, so that of two equal keys the later one is named.
    order.sort_by(|a, b| a.name.cmp(&b.name));
    match order.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(Diagnostic::at(pair[1].span, format!("the key `{}` stands twice", pair[1].name))
            .hint("rename one of the two")),
        None => Ok(entries),
    }
}

/// The entries with those that `<<` names put in, where they are not given.
fn merged(mut entries: Vec<(Key, Node)>) -> Result<Vec<(Key, Node)>, Diagnostic> {
    let Some(at) = entries.iter().position(|(key, _)| key.name == "<<") else {
        return Ok(entries);
    };
    let (_, given) = entries.remove(at);
    let Node { span, value } = given;
    let mappings = match value {
        Yaml::Seq(items) => items,
        value => vec![Node { span, value }],
    };
    let mut known: HashSet<String> = entries.iter().map(|(k, _)| k.name.clone()).collect();
    for mapping in mappings {
        let Yaml::Map(more) = mapping.value else {
            return Err(Diagnostic::at(mapping.span, "`<<` takes a mapping or a list of mappings"));
        };
        for (key, node) in more {
            if known.insert(key.name.clone()) {
                entries.push((key, node));
            }
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::MAX_DEPTH;

    fn read(text: &str) -> String {
        match parse(text.as_bytes(), 0) {
            Ok(node) => node.to_json().to_string(),
            Err(wrong) => {
                let span = wrong.span.unwrap_or_default();
                format!("{}:{} {}", span.line, span.column, wrong.message)
            }
        }
    }

    #[test]
    fn aliases_merges_and_tags_are_written_out() {
        let cases = [
            ("a: &x { b: 1 }\nc: *x\n", r#"{"a":{"b":1},"c":{"b":1}}"#),
            ("a: &k name\n*k : 2\n", r#"{"a":"name","name":2}"#),
            ("&k name: 1\nb: *k\n", r#"{"name":1,"b":"name"}"#),
            ("a: &x { b: 1, c: 2 }\nd:\n  <<: *x\n  c: 3\n", r#"{"a":{"b":1,"c":2},"d":{"c":3,"b":1}}"#),
            ("a: &x { b: 1 }\nd:\n  !!merge <<: *x\n", r#"{"a":{"b":1},"d":{"b":1}}"#),
            ("<<: [{ a: 1 }, { a: 2, c: 3 }]\nb: 2\n", r#"{"b":2,"a":1,"c":3}"#),
            ("a: !!str 12\nb: !!int \"3\"\nc: ! 4\nd: !!float 5\n", r#"{"a":"12","b":3,"c":"4","d":5.0}"#),
            ("1: a\ntrue: b\n", r#"{"1":"a","true":"b"}"#),
            ("a: |\n  x\n   y\nb: >-\n  x\n  y\nc: 'it''s'\n", r#"{"a":"x\n y\n","b":"x y","c":"it's"}"#),
            ("# nothing\n", "null"),
            ("%YAML 1.2\n---\na: 1\n...\n", r#"{"a":1}"#),
        ];
        for (text, wanted) in cases {
            assert_eq!(read(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_a_workflow_is_refused_with_its_place() {
        let cases = [
            ("a: 1\nb: 2\na: 3\n", "3:1 the key `a` stands twice"),
            ("a: 1\n---\nb: 2\n", "2:1 a second document begins here"),
            ("a: &x [*x]\n", "1:8 this alias stands inside what it names"),
            ("? [a]\n: 1\n", "1:3 a key is a text, not a list or mapping"),
            ("a: &x [1]\n*x : 2\n", "2:1 a key is a text; this alias names something else"),
            ("a: !mine 1\n", "1:10 unsupported tag `!mine`"),
            ("!mine a: 1\n", "1:7 unsupported tag `!mine`"),
            ("a: !!int x\n", "1:10 `x` is no value of the tag `!!int`"),
            ("<<: 3\n", "1:5 `<<` takes a mapping or a list of mappings"),
            ("a: .inf\n", "1:4 infinity and NaN are not allowed here"),
        ];
        for (text, wanted) in cases {
            assert_eq!(read(text), wanted, "{text}");
        }
    }

    /// Whatever walks a tree calls itself: neither brackets nor aliases of aliases may make it deep.
    #[test]
    fn no_tree_is_deeper_than_the_bound() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(!read(&nested(MAX_DEPTH)).contains("levels deep"));
        assert!(read(&nested(MAX_DEPTH + 1)).contains("levels deep"));
        let mut chain = "- &x0 [[[[[[[[a]]]]]]]]\n".to_owned();
        for i in 1..9 {
            chain.push_str(&format!("- &x{i} [[[[[[[[*x{}]]]]]]]]\n", i - 1));
        }
        assert!(read(&chain).contains("levels deep"), "{}", read(&chain));
    }

    /// A long text named once and used often, and names inside names: both would copy without end.
    #[test]
    fn what_is_copied_is_bounded_by_the_size_of_the_file() {
        let text = "x".repeat(1 << 19);
        let often = format!("- &a {text}\n{}", "- *a\n".repeat(100_000));
        assert!(read(&often).contains("copy far more than its size allows"));
        let key = format!("- &a {text}\n{}", "- { *a : 1 }\n".repeat(100_000));
        assert!(read(&key).contains("copy far more than its size allows"));
        let mut inner = "~,\n".repeat(300_000);
        for i in 0..50 {
            inner = format!("&a{i} [{inner}]");
        }
        assert!(read(&inner).contains("copy far more than its size allows"));
        // An honest name for all that a long workflow has, and another one.
        let stages: String = (0..20_000).map(|i| format!("  s{i}: {{ uses: command }}\n")).collect();
        let honest = format!("k: &k 1\nstages: &all\n{stages}more: *k\n");
        assert!(read(&honest).ends_with("\"more\":1}"), "{}", &read(&honest)[..200]);
    }
}
