//! A value against its golden file.

use std::fmt::Debug;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Checks a value against its file, in both directions.
pub(crate) fn check<T>(name: &str, value: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let path = folder.join(name).with_extension("json");
    let text = serde_json::to_string_pretty(value).expect("wire types are JSON") + "\n";
    if std::env::var_os("GLEBE_BLESS").is_some() && !path.exists() {
        std::fs::write(&path, &text).expect("the golden folder is writable");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        golden,
        text,
        "{name}: other bytes than those in {}",
        path.display()
    );
    let read: T = serde_json::from_str(&golden).expect("golden bytes are read");
    assert_eq!(&read, value, "{name}");
    let mut grown: Value = serde_json::from_str(&golden).expect("golden bytes are JSON");
    grow(&mut grown);
    let read: T = serde_json::from_value(grown).expect("unknown fields are ignored");
    assert_eq!(&read, value, "{name} with fields of a later version");
}

/// Adds a field that nobody knows to every object with several fields: those of one field may be
/// variants, which a later version does not grow.
fn grow(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(grow),
        Value::Object(fields) => {
            fields.values_mut().for_each(grow);
            let is_map = fields
                .keys()
                .any(|key| key.contains('.') || key.starts_with("12D3"));
            if fields.len() > 1 && !is_map {
                fields.insert("added_later".to_owned(), Value::from(1));
            }
        }
        _ => {}
    }
}
