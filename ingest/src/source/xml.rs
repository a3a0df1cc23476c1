//! The leaves of an XML document with the path that leads to each.
//!
//! *Invariants*: document types are refused and entities of their own never expanded; nesting and
//! the number of leaves are bounded; a document that is cut short is an error.
//!
//! *Not here*: what elements mean (the sources).

use quick_xml::Reader;
use quick_xml::events::Event;

/// Deepest nesting: ISO 19115 metadata has some twenty levels.
const DEPTH_MAX: usize = 64;
/// Greatest number of leaves: a Landsat MTL has about 400, ISO metadata 200.
const LEAVES_MAX: usize = 100_000;

/// An element that directly holds text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Names of all elements around it and its own, without prefixes, joined by `/`.
    pub path: String,
    /// What it holds, trimmed.
    pub text: String,
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
    /// Nested too deeply or too long.
    #[error("it is nested more than {DEPTH_MAX} levels deep or has over {LEAVES_MAX} elements")]
    Large,
    /// It ends inside an element.
    #[error("it is cut short")]
    Short,
}

/// Returns all elements that directly hold text, in the order they end.
pub fn leaves(text: &str) -> Result<Vec<Leaf>, XmlError> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<(String, String)> = Vec::new();
    let mut done = Vec::new();
    loop {
        match reader.read_event()? {
            Event::Start(_) if open.len() >= DEPTH_MAX || done.len() >= LEAVES_MAX => {
                return Err(XmlError::Large);
            }
            Event::Start(start) => {
                open.push((start.local_name().as_ref().to_owned(), String::new()));
            }
            Event::End(_) => done.extend(ended(&mut open)),
            Event::Text(piece) => {
                if let Some((_, text)) = open.last_mut() {
                    text.push_str(piece.xml10_content().trim());
                }
            }
            Event::DocType(_) => return Err(XmlError::DocType),
            Event::Eof if open.is_empty() => return Ok(done),
            Event::Eof => return Err(XmlError::Short),
            _ => {}
        }
    }
}

/// Closes the innermost element; returns it if it holds text.
fn ended(open: &mut Vec<(String, String)>) -> Option<Leaf> {
    let (name, text) = open.pop()?;
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let mut path: Vec<&str> = open.iter().map(|(name, _)| name.as_str()).collect();
    path.push(&name);
    Some(Leaf {
        path: path.join("/"),
        text: text.to_owned(),
    })
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
    fn hostile_documents_are_refused() {
        let deep = "<a>".repeat(100_000);
        assert!(matches!(leaves(&deep), Err(XmlError::Large)));
        let typed = "<!DOCTYPE a [<!ENTITY x \"y\">]><a>1</a>";
        assert!(matches!(leaves(typed), Err(XmlError::DocType)));
        assert!(matches!(leaves("<a><b>1</b>"), Err(XmlError::Short)));
        assert!(leaves("<a><b></a></b>").is_err());
    }
}
