//! What a derivation says about how it wants to be built: special attributes of its environment or
//! of its structured attributes (manual, "Advanced Attributes").

use std::collections::{BTreeMap, BTreeSet};

use bstr::{BStr, ByteSlice};
use firn_model::derivation::Derivation;
use firn_model::store_path::{StoreDir, StorePath};
use serde_json::{Map, Value};

use crate::error::{Failure, FailureKind};

/// A store path or the name of an output of the same derivation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// A path.
    Path(StorePath),
    /// An output.
    Output(String),
}

/// What an output must fulfil.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutputChecks {
    /// A path in its own closure does not count.
    pub ignore_self_references: bool,
    /// The largest NAR, in bytes.
    pub max_size: Option<u64>,
    /// The largest closure, in bytes of NAR.
    pub max_closure_size: Option<u64>,
    /// All that it may refer to.
    pub allowed_references: Option<BTreeSet<Reference>>,
    /// What it must not refer to.
    pub disallowed_references: BTreeSet<Reference>,
    /// All that its closure may have.
    pub allowed_requisites: Option<BTreeSet<Reference>>,
    /// What its closure must not have.
    pub disallowed_requisites: BTreeSet<Reference>,
}

/// The special attributes of a derivation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DrvOptions {
    /// Its structured attributes, if it has them.
    pub structured: Option<Map<String, Value>>,
    /// Checks by output.
    pub checks: BTreeMap<String, OutputChecks>,
    /// Outputs that are not scanned for references.
    pub discard_references: BTreeSet<String>,
    /// Attributes that become files.
    pub pass_as_file: BTreeSet<String>,
    /// File (or structured attribute) names, and the paths whose closures go there.
    pub export_references: BTreeMap<String, BTreeSet<StorePath>>,
    /// `__noChroot`
    pub no_sandbox: bool,
    /// `__impureHostDeps`
    pub impure_host_paths: BTreeSet<String>,
    /// `impureEnvVars`
    pub impure_env_vars: BTreeSet<String>,
    /// `requiredSystemFeatures`
    pub required_features: BTreeSet<String>,
    /// `preferLocalBuild`
    pub prefer_local_build: bool,
    /// `allowSubstitutes`
    pub allow_substitutes: bool,
}

impl DrvOptions {
    /// Reads the special attributes of `drv`.
    ///
    /// # Errors
    /// If one has a value that makes no sense.
    pub fn parse(drv: &Derivation, dir: &StoreDir) -> Result<Self, Failure> {
        let structured = drv.structured_attrs()?;
        let read = Reader { drv, structured: structured.as_ref(), dir };
        let checks = match &structured {
            Some(attrs) => read.structured_checks(attrs)?,
            None => {
                let set = |name: &str| -> Result<Option<BTreeSet<Reference>>, Failure> {
                    let words = read.words(name)?;
                    Ok(words.map(|words| words.iter().map(|w| read.reference(w)).collect()))
                };
                let all = OutputChecks {
                    ignore_self_references: true,
                    allowed_references: set("allowedReferences")?,
                    disallowed_references: set("disallowedReferences")?.unwrap_or_default(),
                    allowed_requisites: set("allowedRequisites")?,
                    disallowed_requisites: set("disallowedRequisites")?.unwrap_or_default(),
                    ..OutputChecks::default()
                };
                drv.outputs.keys().map(|name| (name.clone(), all.clone())).collect()
            }
        };
        let mut discard_references = BTreeSet::new();
        if let Some(Value::Object(map)) =
            structured.as_ref().and_then(|s| s.get("unsafeDiscardReferences"))
        {
            for (output, value) in map {
                if value.as_bool().ok_or_else(|| wrong("unsafeDiscardReferences"))? {
                    discard_references.insert(output.clone());
                }
            }
        }
        let export_references = read.export_references()?;
        let pass_as_file = match &structured {
            Some(_) => BTreeSet::new(),
            None => read.words("passAsFile")?.unwrap_or_default(),
        };
        Ok(Self {
            checks,
            discard_references,
            pass_as_file,
            export_references,
            no_sandbox: read.flag("__noChroot", false)?,
            impure_host_paths: read.words("__impureHostDeps")?.unwrap_or_default(),
            impure_env_vars: read.words("impureEnvVars")?.unwrap_or_default(),
            required_features: read.words("requiredSystemFeatures")?.unwrap_or_default(),
            prefer_local_build: read.flag("preferLocalBuild", false)?,
            allow_substitutes: read.flag("allowSubstitutes", true)?,
            structured,
        })
    }
}

struct Reader<'a> {
    drv: &'a Derivation,
    structured: Option<&'a Map<String, Value>>,
    dir: &'a StoreDir,
}

fn wrong(name: &str) -> Failure {
    Failure::new(
        FailureKind::InputRejected,
        format!("the attribute '{name}' of the derivation has a value of the wrong type"),
    )
}

impl Reader<'_> {
    fn variable(&self, name: &str) -> Option<&[u8]> {
        self.drv.env.get(BStr::new(name)).map(|v| v.as_slice())
    }

    fn flag(&self, name: &str, default: bool) -> Result<bool, Failure> {
        match self.structured {
            Some(attrs) => match attrs.get(name) {
                Some(value) => value.as_bool().ok_or_else(|| wrong(name)),
                None => Ok(default),
            },
            None => Ok(self.variable(name).map_or(default, |value| value == b"1")),
        }
    }

    fn words(&self, name: &str) -> Result<Option<BTreeSet<String>>, Failure> {
        match self.structured {
            Some(attrs) => match attrs.get(name) {
                Some(value) => strings(value).map(Some).ok_or_else(|| wrong(name)),
                None => Ok(None),
            },
            None => match self.variable(name) {
                Some(value) => Ok(Some(
                    value
                        .split(|b| b" \t\n\r".contains(b))
                        .filter(|word| !word.is_empty())
                        .map(|word| word.to_str_lossy().into_owned())
                        .collect(),
                )),
                None => Ok(None),
            },
        }
    }

    fn reference(&self, text: &str) -> Reference {
        match self.dir.parse_prefix(text) {
            Ok((path, _)) => Reference::Path(path),
            Err(_) => Reference::Output(text.to_owned()),
        }
    }

    fn structured_checks(
        &self,
        attrs: &Map<String, Value>,
    ) -> Result<BTreeMap<String, OutputChecks>, Failure> {
        let Some(all) = attrs.get("outputChecks") else { return Ok(BTreeMap::new()) };
        let mut checks = BTreeMap::new();
        for (output, value) in all.as_object().ok_or_else(|| wrong("outputChecks"))? {
            let value = value.as_object().ok_or_else(|| wrong("outputChecks"))?;
            let set = |name: &str| -> Result<Option<BTreeSet<Reference>>, Failure> {
                match value.get(name) {
                    Some(list) => {
                        let words = strings(list)
                            .ok_or_else(|| wrong(&format!("outputChecks.\"{output}\".{name}")))?;
                        Ok(Some(words.iter().map(|w| self.reference(w)).collect()))
                    }
                    None => Ok(None),
                }
            };
            let size = |name: &str| match value.get(name) {
                Some(size) => size.as_u64().map(Some).ok_or_else(|| wrong(name)),
                None => Ok(None),
            };
            checks.insert(
                output.clone(),
                OutputChecks {
                    ignore_self_references: false,
                    max_size: size("maxSize")?,
                    max_closure_size: size("maxClosureSize")?,
                    allowed_references: set("allowedReferences")?,
                    disallowed_references: set("disallowedReferences")?.unwrap_or_default(),
                    allowed_requisites: set("allowedRequisites")?,
                    disallowed_requisites: set("disallowedRequisites")?.unwrap_or_default(),
                },
            );
        }
        Ok(checks)
    }

    fn export_references(&self) -> Result<BTreeMap<String, BTreeSet<StorePath>>, Failure> {
        const NAME: &str = "exportReferencesGraph";
        let path = |text: &str| {
            self.dir
                .parse_prefix(text)
                .map(|(path, _)| path)
                .map_err(|e| Failure::new(FailureKind::InputRejected, format!("in '{NAME}': {e}")))
        };
        let mut found = BTreeMap::new();
        if let Some(attrs) = self.structured {
            let Some(Value::Object(map)) = attrs.get(NAME) else { return Ok(found) };
            for (name, value) in map {
                let mut texts = BTreeSet::new();
                if !flatten(value, &mut texts) {
                    return Err(Failure::new(
                        FailureKind::InputRejected,
                        format!("'{NAME}' value is not an array or a string"),
                    ));
                }
                let paths = texts.iter().map(|t| path(t)).collect::<Result<_, _>>()?;
                found.insert(name.clone(), paths);
            }
            return Ok(found);
        }
        let text = self.variable(NAME).unwrap_or_default().to_str_lossy().into_owned();
        let mut words = text.split_ascii_whitespace();
        while let Some(file) = words.next() {
            let Some(value) = words.next() else {
                return Err(Failure::new(
                    FailureKind::InputRejected,
                    format!("odd number of tokens in '{NAME}': '{text}'"),
                ));
            };
            let mut bytes = file.bytes();
            let first = bytes.next().unwrap_or(b'.');
            if !(first.is_ascii_alphabetic() || first == b'_')
                || !bytes.all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
            {
                return Err(Failure::new(
                    FailureKind::InputRejected,
                    format!("invalid file name '{file}' in '{NAME}'"),
                ));
            }
            found.insert(file.to_owned(), [path(value)?].into());
        }
        Ok(found)
    }
}

fn strings(value: &Value) -> Option<BTreeSet<String>> {
    value.as_array()?.iter().map(|v| v.as_str().map(str::to_owned)).collect()
}

fn flatten(value: &Value, into: &mut BTreeSet<String>) -> bool {
    match value {
        Value::String(text) => {
            into.insert(text.clone());
            true
        }
        Value::Array(items) => items.iter().all(|item| flatten(item, into)),
        _ => false,
    }
}
