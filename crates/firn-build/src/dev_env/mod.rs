//! Environments for developers: what the shell of a derivation's build has in it, as data and as bash code.
//!
//! | file | holds |
//! | --- | --- |
//! | `derivation` | the derivation whose output is such an environment |
//! | `get-env.sh` | the script that it runs |
//! | `script` | the bash code that brings an environment up |
//!
//! Defined in the Nix manual, "nix develop" and "nix print-dev-env". Nothing here starts a shell.

mod derivation;
mod script;
#[cfg(test)]
mod tests;

pub use derivation::environment_derivation;
pub use script::{Places, Script, quote};

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A variable of bash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    /// A plain one.
    Text {
        /// Whether programs get it.
        exported: bool,
        /// Its value.
        value: String,
    },
    /// An array.
    Array(Vec<String>),
    /// An associative array.
    Associative(BTreeMap<String, String>),
}

/// What a shell has in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DevEnvironment {
    /// Variables.
    pub variables: BTreeMap<String, Variable>,
    /// Functions, by the text between their braces.
    pub functions: BTreeMap<String, String>,
    /// `.attrs.json` and `.attrs.sh`, where a build has structured attributes.
    pub structured: Option<(String, String)>,
}

/// A text that is no environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not the environment of a build: {0}")]
pub struct NotAnEnvironment(String);

fn strings(value: &Value, name: &str) -> Result<BTreeMap<String, String>, NotAnEnvironment> {
    let Some(object) = value.as_object() else {
        return Err(NotAnEnvironment(format!("'{name}' is not an object")));
    };
    object
        .iter()
        .map(|(key, value)| match value.as_str() {
            Some(text) => Ok((key.clone(), text.to_owned())),
            None => Err(NotAnEnvironment(format!("'{name}.{key}' is not a string"))),
        })
        .collect()
}

impl DevEnvironment {
    /// Reads what an environment derivation wrote.
    ///
    /// # Errors
    /// If it is no JSON, or something is missing.
    pub fn parse(text: &[u8]) -> Result<Self, NotAnEnvironment> {
        let json: Value =
            serde_json::from_slice(text).map_err(|e| NotAnEnvironment(e.to_string()))?;
        let none = Value::Null;
        let get = |name: &str| json.get(name).unwrap_or(&none);
        let mut env =
            Self { functions: strings(get("bashFunctions"), "bashFunctions")?, ..Self::default() };
        let Some(variables) = get("variables").as_object() else {
            return Err(NotAnEnvironment("'variables' is not an object".into()));
        };
        for (name, info) in variables {
            let value = info.get("value").unwrap_or(&none);
            let text = || match value.as_str() {
                Some(text) => Ok(text.to_owned()),
                None => Err(NotAnEnvironment(format!("the value of '{name}' is not a string"))),
            };
            let variable = match info.get("type").and_then(Value::as_str) {
                Some("exported") => Variable::Text { exported: true, value: text()? },
                Some("var") => Variable::Text { exported: false, value: text()? },
                Some("array") => {
                    let items = value.as_array().map_or(&[][..], Vec::as_slice);
                    let texts: Option<Vec<String>> =
                        items.iter().map(|v| v.as_str().map(str::to_owned)).collect();
                    Variable::Array(texts.ok_or_else(|| {
                        NotAnEnvironment(format!("an element of '{name}' is not a string"))
                    })?)
                }
                Some("associative") => Variable::Associative(strings(value, name)?),
                // there may be more kinds one day
                _ => continue,
            };
            env.variables.insert(name.clone(), variable);
        }
        if let Some(files) = json.get("structuredAttrs") {
            let mut files = strings(files, "structuredAttrs")?;
            let mut take = |name: &str| {
                files
                    .remove(name)
                    .ok_or_else(|| NotAnEnvironment(format!("'structuredAttrs' has no '{name}'")))
            };
            env.structured = Some((take(".attrs.json")?, take(".attrs.sh")?));
        }
        Ok(env)
    }

    /// As `nix print-dev-env --json` prints it, names in order.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let variables: serde_json::Map<String, Value> = self
            .variables
            .iter()
            .map(|(name, variable)| {
                let (kind, value) = match variable {
                    Variable::Text { exported: true, value } => ("exported", json!(value)),
                    Variable::Text { exported: false, value } => ("var", json!(value)),
                    Variable::Array(items) => ("array", json!(items)),
                    Variable::Associative(items) => ("associative", json!(items)),
                };
                (name.clone(), json!({ "type": kind, "value": value }))
            })
            .collect();
        let mut out = serde_json::Map::new();
        out.insert("bashFunctions".into(), json!(self.functions));
        if let Some((json, shell)) = &self.structured {
            out.insert(
                "structuredAttrs".into(),
                json!({ ".attrs.json": json, ".attrs.sh": shell }),
            );
        }
        out.insert("variables".into(), Value::Object(variables));
        Value::Object(out)
    }

    /// The value of a plain variable.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.variables.get(name) {
            Some(Variable::Text { value, .. }) => Some(value),
            _ => None,
        }
    }

    /// The build's outputs: their names and paths.
    ///
    /// # Errors
    /// If the environment does not say.
    pub fn outputs(&self) -> Result<BTreeMap<String, String>, NotAnEnvironment> {
        let missing = |name: &str| NotAnEnvironment(format!("it has no variable '{name}'"));
        let names: Vec<String> = match self.variables.get("outputs") {
            Some(Variable::Associative(outputs)) => return Ok(outputs.clone()),
            Some(Variable::Text { value, .. }) => {
                value.split_ascii_whitespace().map(str::to_owned).collect()
            }
            Some(Variable::Array(names)) => names.clone(),
            None => return Err(missing("outputs")),
        };
        names
            .into_iter()
            .map(|name| match self.text(&name) {
                Some(path) => Ok((name, path.to_owned())),
                None => Err(missing(&name)),
            })
            .collect()
    }
}
