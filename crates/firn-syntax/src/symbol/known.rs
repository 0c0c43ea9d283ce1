//! Symbols that the language itself or the evaluator names, with ids fixed at compile time.

use super::Symbol;

macro_rules! known {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// Symbols with a fixed id: `sym::OUT_PATH` is `outPath`.
        #[allow(missing_docs, reason = "each name says its text")]
        pub mod sym {
            use super::Symbol;
            #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
            #[repr(u32)]
            enum Id { $($name),* }
            $(pub const $name: Symbol = Symbol(Id::$name as u32);)*
        }
        /// The texts in the order of their ids.
        pub(super) const TEXTS: &[&str] = &[$($text),*];
    };
}

known! {
    EMPTY = "",
    SUB = "__sub",
    MUL = "__mul",
    DIV = "__div",
    LESS_THAN = "__lessThan",
    FIND_FILE = "__findFile",
    NIX_PATH = "__nixPath",
    CUR_POS = "__curPos",
    OR = "or",
    BODY = "body",
    BUILTINS = "builtins",
    FUNCTOR = "__functor",
    TO_STRING = "__toString",
    OVERRIDES = "__overrides",
    STRUCTURED_ATTRS = "__structuredAttrs",
    IGNORE_NULLS = "__ignoreNulls",
    CONTENT_ADDRESSED = "__contentAddressed",
    IMPURE = "__impure",
    JSON = "__json",
    NAME = "name",
    VALUE = "value",
    TYPE = "type",
    DERIVATION = "derivation",
    SYSTEM = "system",
    BUILDER = "builder",
    ARGS = "args",
    OUTPUTS = "outputs",
    OUTPUT_NAME = "outputName",
    OUTPUT_HASH = "outputHash",
    OUTPUT_HASH_ALGO = "outputHashAlgo",
    OUTPUT_HASH_MODE = "outputHashMode",
    OUT_PATH = "outPath",
    DRV_PATH = "drvPath",
    DRV_ATTRS = "drvAttrs",
    OUT = "out",
    ALL = "all",
    META = "meta",
    FILE = "file",
    LINE = "line",
    COLUMN = "column",
    PATH = "path",
    PREFIX = "prefix",
    RIGHT = "right",
    WRONG = "wrong",
    SUCCESS = "success",
    START_SET = "startSet",
    OPERATOR = "operator",
    SELF = "self",
    KEY = "key",
    X = "x",
    URL = "url",
    HASH = "hash",
    SHA256 = "sha256",
    RECURSIVE = "recursive",
    FILTER = "filter",
    ALL_OUTPUTS = "allOutputs",
    VERSION = "version",
    DESCRIPTION = "description",
    INPUTS = "inputs",
    PASS_AS_FILE = "passAsFile",
}
