//! The leaves of an XML document with the path that leads to each.
//!
//! *Invariants*: document types are refused and entities of their own never expanded; nesting, the
//! number of elements, the bytes of a tag and what is kept are bounded; a document that is cut
//! short is an error.
//!
//! *Not here*: what elements mean (the sources); the greatest document (`package`).

use quick_xml::Reader;
use quick_xml::events::attributes::AttrError;
use quick_xml::events::{BytesStart, Event};

/// Deepest nesting: ISO 19115 metadata has some twenty levels.
const DEPTH_MAX: usize = 64;
/// Greatest number of elements: a Landsat MTL has about 400, a Sentinel-2 product 600, ISO metadata
/// some thousand.
const ELEMENTS_MAX: usize = 100_000;
/// Longest tag, its attributes included: the longest real ones name a dozen namespaces in 2 KB.
const TAG_BYTES_MAX: usize = 64 << 10;
/// Most bytes of texts and of the paths that lead to them: real metadata keeps below 1 MB. Each
/// leaf repeats its path, so that long names far out would otherwise cost gigabytes.
const KEPT_BYTES_MAX: usize = 8 << 20;

/// An element that directly holds text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Names of all elements around it and its own, without prefixes, joined by `/`.
    pub path: String,
    /// What it holds, trimmed.
    pub text: String,
    /// What the attribute holds that was asked for; nothing if it has none of the names.
    pub attribute: Option<String>,
}

impl Leaf {
    /// Returns the element's own name.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Returns the name of the element around it; empty for the outermost.
    pub fn parent(&self) -> &str {
        self.path.rsplit('/').nth(1).unwrap_or("")
    }

    /// Tells whether an element of that name is around it.
    pub fn is_in(&self, name: &str) -> bool {
        let (around, _) = self.path.rsplit_once('/').unwrap_or(("", ""));
        around.split('/').any(|part| part == name)
    }
}

/// Why a document cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum XmlError {
    /// Not well-formed.
    #[error("it is not well-formed XML: {0}")]
    Form(#[from] quick_xml::Error),
    /// It declares a document type, as only hostile metadata does.
    #[error("it declares a document type")]
    DocType,
    /// An attribute is not well-formed.
    #[error("an attribute is not well-formed: {0}")]
    Attribute(#[from] AttrError),
    /// Nested too deeply.
    #[error("it is nested more than {DEPTH_MAX} levels deep")]
    Deep,
    /// Too many elements.
    #[error("it has over {ELEMENTS_MAX} elements")]
    Many,
    /// One tag is too long.
    #[error("a tag and its attributes have {0} bytes, over {TAG_BYTES_MAX}")]
    Tag(usize),
    /// Its texts and their paths are too long.
    #[error("its texts and names come to over {KEPT_BYTES_MAX} bytes")]
    Long,
    /// It ends inside an element.
    #[error("it is cut short")]
    Short,
}

/// Returns all elements that directly hold text, in the order they end.
pub fn leaves(text: &str) -> Result<Vec<Leaf>, XmlError> {
    leaves_with(text, &[])
}

/// As [`leaves`]; each comes with the last of its attributes that has one of some names.
pub fn leaves_with(text: &str, attributes: &[&str]) -> Result<Vec<Leaf>, XmlError> {
    let mut reader = Reader::from_str(text);
    let mut walk = Walk::default();
    loop {
        match reader.read_event()? {
            Event::Start(start) => {
                walk.count(&start)?;
                walk.enter(&start, attributes)?;
            }
            Event::Empty(empty) => walk.count(&empty)?,
            Event::End(_) => walk.leave()?,
            Event::Text(piece) => walk.hold(piece.xml10_content().trim()),
            Event::DocType(_) => return Err(XmlError::DocType),
            Event::Eof if walk.open.is_empty() => return Ok(walk.done),
            Event::Eof => return Err(XmlError::Short),
            _ => {}
        }
    }
}

/// An element that has begun and not ended.
#[derive(Debug)]
struct Open {
    name: String,
    text: String,
    attribute: Option<String>,
}

/// Where in a document one stands, and what was found before.
#[derive(Debug, Default)]
struct Walk {
    open: Vec<Open>,
    done: Vec<Leaf>,
    /// Elements that have begun.
    elements: usize,
    /// Bytes of what is done.
    kept: usize,
}

impl Walk {
    /// Counts an element.
    fn count(&mut self, tag: &BytesStart<'_>) -> Result<(), XmlError> {
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(XmlError::Many);
        }
        if tag.len() > TAG_BYTES_MAX {
            return Err(XmlError::Tag(tag.len()));
        }
        Ok(())
    }

    /// Goes into an element.
    fn enter(&mut self, start: &BytesStart<'_>, attributes: &[&str]) -> Result<(), XmlError> {
        if self.open.len() >= DEPTH_MAX {
            return Err(XmlError::Deep);
        }
        let mut found = None;
        if !attributes.is_empty() {
            for attribute in start.attributes() {
                let attribute = attribute?;
                if attributes.contains(&attribute.key.as_ref()) {
                    found = Some(attribute.value.to_string());
                }
            }
        }
        self.open.push(Open {
            name: start.local_name().as_ref().to_owned(),
            text: String::new(),
            attribute: found,
        });
        Ok(())
    }

    /// Adds text to the innermost element.
    fn hold(&mut self, text: &str) {
        if let Some(open) = self.open.last_mut() {
            open.text.push_str(text);
        }
    }

    /// Leaves the innermost element; keeps it if it holds text.
    fn leave(&mut self) -> Result<(), XmlError> {
        let Some(own) = self.open.pop() else {
            return Ok(());
        };
        let text = own.text.trim();
        if text.is_empty() {
            return Ok(());
        }
        let around = self.open.iter().map(|open| open.name.as_str());
        let path: Vec<&str> = around.chain([own.name.as_str()]).collect();
        let names: usize = path.iter().map(|name| name.len() + 1).sum();
        self.kept += names + text.len() + own.attribute.as_ref().map_or(0, String::len);
        if self.kept > KEPT_BYTES_MAX {
            return Err(XmlError::Long);
        }
        self.done.push(Leaf {
            path: path.join("/"),
            text: text.to_owned(),
            attribute: own.attribute,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_come_with_their_paths_without_prefixes() {
        let found = leaves("<a:x xmlns:a='u'><a:y> 1 </a:y><z><y>2</y></z><e/></a:x>").unwrap();
        let paths: Vec<_> = found
            .iter()
            .map(|l| (l.path.as_str(), l.text.as_str()))
            .collect();
        assert_eq!(paths, [("x/y", "1"), ("x/z/y", "2")]);
        assert_eq!((found[1].name(), found[1].parent()), ("y", "z"));
        assert!(found[1].is_in("x") && !found[0].is_in("z"));
    }

    #[test]
    fn an_attribute_comes_with_its_leaf() {
        let text = "<a><b id='1' of='x'>2</b><b>3</b><c of='y'>4</c></a>";
        let found = leaves_with(text, &["id", "of"]).unwrap();
        let attributes: Vec<_> = found.iter().map(|l| l.attribute.as_deref()).collect();
        assert_eq!(attributes, [Some("x"), None, Some("y")]);
        let twice = leaves_with("<a id='1' id='2'>3</a>", &["id"]);
        assert!(matches!(twice, Err(XmlError::Attribute(_))));
    }

    #[test]
    fn hostile_documents_are_refused() {
        let deep = "<a>".repeat(1_000);
        assert!(matches!(leaves(&deep), Err(XmlError::Deep)));
        let typed = "<!DOCTYPE a [<!ENTITY x \"y\">]><a>1</a>";
        assert!(matches!(leaves(typed), Err(XmlError::DocType)));
        assert!(matches!(leaves("<a><b>1</b>"), Err(XmlError::Short)));
        assert!(leaves("<a><b></a></b>").is_err());
    }

    #[test]
    fn as_many_elements_as_may_be_are_read_and_one_more_is_refused() {
        let of = |n: usize| format!("<a>{}</a>", "<b>1</b>".repeat(n));
        let most = leaves(&of(ELEMENTS_MAX - 1)).unwrap();
        assert_eq!(most.len(), ELEMENTS_MAX - 1);
        assert!(matches!(leaves(&of(ELEMENTS_MAX)), Err(XmlError::Many)));
        let empty = format!("<a>{}</a>", "<b/>".repeat(ELEMENTS_MAX));
        assert!(matches!(leaves(&empty), Err(XmlError::Many)));
    }

    #[test]
    fn a_tag_may_be_so_long_and_no_longer() {
        let of = |bytes: usize| format!("<a b='{}'>1</a>", "x".repeat(bytes - "a b=''".len()));
        assert_eq!(leaves(&of(TAG_BYTES_MAX)).unwrap().len(), 1);
        let over = leaves(&of(TAG_BYTES_MAX + 1));
        assert!(matches!(over, Err(XmlError::Tag(n)) if n == TAG_BYTES_MAX + 1));
        let empty = format!("<a><b c='{}'/></a>", "x".repeat(TAG_BYTES_MAX));
        assert!(matches!(leaves(&empty), Err(XmlError::Tag(_))));
    }

    #[test]
    fn long_names_around_many_leaves_are_refused_before_they_are_repeated() {
        let name = "n".repeat(TAG_BYTES_MAX);
        let inner = "<b>1</b>".repeat(ELEMENTS_MAX / 2);
        let text = format!("<{name}>{inner}</{name}>");
        assert!(matches!(leaves(&text), Err(XmlError::Long)));
        let text = format!("<a>{}</a>", "x".repeat(KEPT_BYTES_MAX));
        assert!(matches!(leaves(&text), Err(XmlError::Long)));
    }
}
