//! Structured attributes as a builder reads them: `.attrs.json`, and `.attrs.sh` for bash.

use serde_json::{Map, Value};

/// The JSON text, with keys in the order of their bytes as C++ Nix writes it.
pub(super) fn json(attrs: &Map<String, Value>) -> String {
    sorted(&Value::Object(attrs.clone())).to_string()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            Value::Object(entries.into_iter().map(|(k, v)| (k.clone(), sorted(v))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// The bash declarations. What bash cannot hold (nested values, keys that are no names) is left out.
pub(super) fn shell(attrs: &Map<String, Value>) -> String {
    let mut entries: Vec<_> = attrs.iter().collect();
    entries.sort_by(|a, b| a.0.cmp(b.0));
    let mut out = String::new();
    for (name, value) in entries {
        if !is_variable(name) {
            continue;
        }
        match value {
            Value::Array(items) => {
                let Some(items) = items.iter().map(simple).collect::<Option<Vec<_>>>() else {
                    continue;
                };
                out.push_str(&format!("declare -a {name}=("));
                for item in items {
                    out.push_str(&item);
                    out.push(' ');
                }
                out.push_str(")\n");
            }
            Value::Object(map) => {
                let mut items: Vec<_> = map.iter().collect();
                items.sort_by(|a, b| a.0.cmp(b.0));
                let items = items
                    .into_iter()
                    .map(|(key, value)| Some((quote(key), simple(value)?)))
                    .collect::<Option<Vec<_>>>();
                let Some(items) = items else { continue };
                out.push_str(&format!("declare -A {name}=("));
                for (key, item) in items {
                    out.push_str(&format!("[{key}]={item} "));
                }
                out.push_str(")\n");
            }
            other => {
                if let Some(text) = simple(other) {
                    out.push_str(&format!("declare {name}={text}\n"));
                }
            }
        }
    }
    out
}

fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn simple(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(quote(text)),
        // Whole numbers only, and as a C `int`: this is how C++ Nix has always written them.
        Value::Number(number) => {
            let float = number.as_f64()? as f32;
            if float.ceil() != float {
                return None;
            }
            let whole = match (number.as_i64(), number.as_u64()) {
                (Some(n), _) => n as i32,
                (None, Some(n)) => n as i32,
                (None, None) => number.as_f64()? as i32,
            };
            Some(whole.to_string())
        }
        Value::Null => Some("''".into()),
        Value::Bool(true) => Some("1".into()),
        Value::Bool(false) => Some(String::new()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_bash_can_hold() {
        let attrs = serde_json::json!({
            "z": "it's", "a": 1, "b": [1, "x y", true, null], "c": {"x": "1", "a": false},
            "d": 1.5, "e": {"f": {}}, "no-name": 1, "big": 99_999_999_999_i64, "two": 2.0,
        });
        let attrs = attrs.as_object().unwrap();
        assert_eq!(
            shell(attrs),
            "declare a=1\ndeclare -a b=(1 'x y' 1 '' )\ndeclare big=1215752191\n\
             declare -A c=(['a']= ['x']='1' )\ndeclare two=2\ndeclare z='it'\\''s'\n"
        );
        assert!(json(attrs).starts_with(
            r#"{"a":1,"b":[1,"x y",true,null],"big":99999999999,"c":{"a":false,"x":"1"},"#
        ));
    }
}
