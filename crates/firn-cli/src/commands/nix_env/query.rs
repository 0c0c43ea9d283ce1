//! `nix-env --query`: the packages of a profile or an expression as a table, XML or JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use firn_eval::context::ContextBuilder;
use firn_eval::position::PosId;
use firn_eval::{Value, View, Vm};
use firn_model::StorePath;
use serde_json::{Map, Value as Json, json};

use super::item::Item;
use super::sources::{Sources, compare_versions, installed};
use crate::commands::nix::Stop;
use crate::common::legacy::{Failure, usage};

/// What is shown.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    status: bool,
    no_name: bool,
    attr_path: bool,
    system: bool,
    drv_path: bool,
    out_path: bool,
    description: bool,
    meta: bool,
    compare: bool,
    xml: bool,
    json: bool,
    available: bool,
    prefix: String,
    /// Only what need not be built.
    pub prebuilt: bool,
}

impl Columns {
    /// From the flags of the operation.
    pub fn parse(flags: &[(String, Option<String>)]) -> Result<Self, Failure> {
        let mut columns = Self::default();
        for (flag, value) in flags {
            match flag.as_str() {
                "--status" | "-s" => columns.status = true,
                "--no-name" => columns.no_name = true,
                "--system" => columns.system = true,
                "--description" => columns.description = true,
                "--compare-versions" | "-c" => columns.compare = true,
                "--drv-path" => columns.drv_path = true,
                "--out-path" => columns.out_path = true,
                "--meta" => columns.meta = true,
                "--installed" => columns.available = false,
                "--available" | "-a" => columns.available = true,
                "--xml" => columns.xml = true,
                "--json" => columns.json = true,
                "--attr-path" | "-P" => columns.attr_path = true,
                "--attr" | "-A" => columns.prefix = value.clone().unwrap_or_default(),
                _ => return usage(format!("unknown flag '{flag}'")),
            }
        }
        if columns.attr_path && !columns.available {
            return usage("--attr-path(-P) only works with --available");
        }
        Ok(columns)
    }
}

/// Runs the query.
pub fn run(
    vm: &mut Vm,
    sources: &Sources<'_>,
    profile: &Path,
    columns: &Columns,
    args: &[String],
    out: &mut dyn Write,
) -> Result<(), Stop> {
    let (mut there, mut available) = (Vec::new(), Vec::new());
    if !columns.available || columns.compare || columns.status {
        there = installed(vm, profile)?;
    }
    if columns.available || columns.compare {
        available = sources.available(vm, &columns.prefix)?;
    }
    let (from, others) =
        if columns.available { (&available, &there) } else { (&there, &available) };
    let mut items = sources.select(vm, from, args, false)?;
    items.sort_by(|a, b| {
        let upper = |i: &Item| i.name.bytes().map(|b| b.to_ascii_uppercase()).collect::<Vec<_>>();
        upper(a).cmp(&upper(b))
    });
    let mut in_profile: BTreeSet<StorePath> = BTreeSet::new();
    if columns.status {
        for item in &there {
            in_profile.insert(item.out_path(vm)?);
        }
    }
    let substitutable = match columns.status || columns.prebuilt {
        true => substitutable(vm, sources, &items)?,
        false => BTreeSet::new(),
    };
    let mut table = Vec::new();
    let mut xml = Xml::default();
    let mut all = Map::new();
    for item in &items {
        let mut show = |vm: &mut Vm| -> Result<(), Stop> {
            if columns.json {
                let value = as_json(vm, sources, columns, item)?;
                all.insert(item.attr_path.clone(), value);
                return Ok(());
            }
            let mut row = Row::default();
            if columns.status || columns.prebuilt {
                let path = item.out_path(vm)?;
                let valid = sources.store.is_valid(&path).map_err(Failure::from)?;
                let there = substitutable.contains(&path);
                if columns.prebuilt && !valid && !there {
                    return Ok(());
                }
                if columns.status {
                    row.status(in_profile.contains(&path), valid, there);
                }
            }
            fill(vm, sources, columns, item, others, &mut row)?;
            if columns.xml {
                xml_item(vm, sources, columns, item, row, &mut xml)?;
            } else {
                table.push(row.cells);
            }
            Ok(())
        };
        match show(vm) {
            // a package that does not evaluate must not hide the others
            Err(Stop::Eval(e)) if e.is_catchable() => {}
            Err(Stop::Eval(e)) => {
                let text = format!("while querying the derivation named '{}'", item.name);
                return Err(e.trace(PosId::NONE, text).into());
            }
            other => other?,
        }
    }
    let text = if columns.json {
        let mut all = Json::Object(all);
        all.sort_all_objects();
        serde_json::to_string_pretty(&all)
            .map_err(|e| Failure::Message(format!("writing JSON: {e}")))?
            + "\n"
    } else if columns.xml {
        xml.finish()
    } else {
        as_table(&table)
    };
    out.write_all(text.as_bytes()).map_err(Failure::from)?;
    Ok(())
}

/// A line of the table, and the same as attributes of XML.
#[derive(Default)]
struct Row {
    cells: Vec<String>,
    attrs: BTreeMap<&'static str, String>,
}

/// Which items' outputs can be fetched, as far as caches may be asked for so many.
fn substitutable(
    vm: &mut Vm,
    sources: &Sources<'_>,
    items: &[Item],
) -> Result<BTreeSet<StorePath>, Stop> {
    let Some(substituter) = &sources.substituter else { return Ok(BTreeSet::new()) };
    let mut paths = BTreeSet::new();
    for item in items {
        // one that does not evaluate is told of where it is shown
        if let Ok(path) = item.out_path(vm) {
            paths.insert(path);
        }
    }
    Ok(substituter.available(&paths).map_err(Failure::from)?)
}

impl Row {
    fn status(&mut self, in_profile: bool, valid: bool, there: bool) {
        let letter = |yes: bool, letter: &'static str| if yes { letter } else { "-" };
        self.cells.push(format!(
            "{}{}{}",
            letter(in_profile, "I"),
            letter(valid, "P"),
            letter(there, "S")
        ));
        let number = |yes: bool| if yes { "1" } else { "0" }.to_owned();
        self.attrs.insert("installed", number(in_profile));
        self.attrs.insert("valid", number(valid));
        self.attrs.insert("substitutable", number(there));
    }
}

fn fill(
    vm: &mut Vm,
    sources: &Sources<'_>,
    columns: &Columns,
    item: &Item,
    others: &[Item],
    row: &mut Row,
) -> Result<(), Stop> {
    let dir = sources.store.store_dir();
    row.attrs.insert("attrPath", item.attr_path.clone());
    if columns.attr_path {
        row.cells.push(item.attr_path.clone());
    }
    row.attrs.insert("name", item.name.clone());
    row.attrs.insert("pname", item.short_name().to_owned());
    row.attrs.insert("version", item.version().to_owned());
    if !columns.no_name {
        row.cells.push(item.name.clone());
    }
    if columns.compare {
        let (sign, version) = compared(item, others);
        row.cells.push(format!("{sign} {version}"));
        if sign != '-' {
            row.attrs.insert("versionDiff", sign.to_string());
            row.attrs.insert("maxComparedVersion", version);
        }
    }
    if columns.xml || columns.system {
        let system = item.system(vm)?;
        if !system.is_empty() {
            row.attrs.insert("system", system.clone());
        }
        row.cells.push(system);
    }
    if columns.drv_path {
        let path = item.drv_path(vm)?.map(|p| dir.print(&p));
        row.cells.push(path.clone().unwrap_or_else(|| "-".to_owned()));
        if let Some(path) = path {
            row.attrs.insert("drvPath", path);
        }
    }
    if columns.xml {
        row.attrs.insert("outputName", item.output_name(vm)?);
    } else if columns.out_path {
        let mut shown = Vec::new();
        for (name, path) in item.outputs(vm, true, false)? {
            let Some(path) = path else { continue };
            let path = dir.print(&path);
            shown.push(if name == "out" { path } else { format!("{name}={path}") });
        }
        row.cells.push(shown.join(";"));
    }
    if columns.description {
        let text = item.meta_text(vm, "description")?;
        if !text.is_empty() {
            row.attrs.insert("description", text.clone());
        }
        row.cells.push(text);
    }
    Ok(())
}

/// How a package's version compares with those of the same name, and the version that decides.
fn compared(item: &Item, others: &[Item]) -> (char, String) {
    use std::cmp::Ordering;
    let (mut sign, mut version) = ('-', "?".to_owned());
    for other in others.iter().filter(|o| o.short_name() == item.short_name()) {
        let theirs = other.version();
        match compare_versions(item.version(), theirs) {
            Ordering::Less => (sign, version) = ('<', theirs.to_owned()),
            Ordering::Equal if sign != '<' => (sign, version) = ('=', theirs.to_owned()),
            Ordering::Greater if sign != '<' && sign != '=' => {
                sign = '>';
                if compare_versions(&version, theirs).is_lt() {
                    theirs.clone_into(&mut version);
                }
            }
            _ => {}
        }
    }
    (sign, version)
}

fn as_table(rows: &[Vec<String>]) -> String {
    let width = |n: usize| rows.iter().filter_map(|r| r.get(n)).map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len)).map(width).collect();
    let mut out = String::new();
    for row in rows {
        for (n, cell) in row.iter().enumerate() {
            out.push_str(&cell.replace('\n', " "));
            if n + 1 < row.len() {
                out.extend(std::iter::repeat_n(' ', widths[n] - cell.len() + 2));
            }
        }
        out.push('\n');
    }
    out
}

fn as_json(
    vm: &mut Vm,
    sources: &Sources<'_>,
    columns: &Columns,
    item: &Item,
) -> Result<Json, Stop> {
    let dir = sources.store.store_dir();
    let outputs: Map<String, Json> = item
        .outputs(vm, columns.out_path, false)?
        .into_iter()
        .map(|(name, path)| (name, path.map_or(Json::Null, |p| dir.print(&p).into())))
        .collect();
    let mut object = json!({
        "name": item.name,
        "pname": item.short_name(),
        "version": item.version(),
        "system": item.system(vm)?,
        "outputName": item.output_name(vm)?,
        "outputs": outputs,
    });
    if columns.drv_path
        && let Some(path) = item.drv_path(vm)?
    {
        object["drvPath"] = dir.print(&path).into();
    }
    if columns.meta {
        let mut meta = Map::new();
        for name in item.meta_names(vm)? {
            let value = match item.meta(vm, &name)? {
                Some(value) => meta_json(vm, value)?,
                None => {
                    (sources.tell)(format!(
                        "derivation '{}' has invalid meta attribute '{name}'",
                        item.name
                    ));
                    Json::Null
                }
            };
            meta.insert(name, value);
        }
        object["meta"] = meta.into();
    }
    Ok(object)
}

fn meta_json(vm: &mut Vm, value: Value) -> Result<Json, Stop> {
    let (mut context, mut text) = (ContextBuilder::new(), Vec::new());
    firn_eval::print::json::to_json(vm, value, PosId::NONE, &mut context, true, true, &mut text)?;
    serde_json::from_slice(&text)
        .map_err(|e| Failure::Message(format!("a meta attribute is no JSON: {e}")).into())
}

fn xml_item(
    vm: &mut Vm,
    sources: &Sources<'_>,
    columns: &Columns,
    item: &Item,
    row: Row,
    xml: &mut Xml,
) -> Result<(), Stop> {
    let dir = sources.store.store_dir();
    let attrs: Vec<(&str, String)> = row.attrs.into_iter().collect();
    xml.open("item", &attrs);
    for (name, path) in item.outputs(vm, columns.out_path, false)? {
        let mut attrs = vec![("name", name)];
        attrs.extend(path.map(|p| ("path", dir.print(&p))));
        xml.empty("output", &attrs);
    }
    if columns.meta {
        for name in item.meta_names(vm)? {
            let Some(value) = item.meta(vm, &name)? else {
                (sources.tell)(format!(
                    "derivation '{}' has invalid meta attribute '{name}'",
                    item.name
                ));
                continue;
            };
            xml_meta(vm, name, value, xml)?;
        }
    }
    xml.close("item");
    Ok(())
}

fn xml_meta(vm: &mut Vm, name: String, value: Value, xml: &mut Xml) -> Result<(), Stop> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let simple = match value.view() {
        View::Str(s) => Some(("string", text(s.bytes()))),
        View::Int(n) => Some(("int", n.to_string())),
        View::Float(f) => Some(("float", firn_syntax::number::float(f))),
        View::Bool(b) => Some(("bool", b.to_string())),
        _ => None,
    };
    if let Some((kind, value)) = simple {
        xml.empty("meta", &[("name", name), ("type", kind.to_owned()), ("value", value)]);
        return Ok(());
    }
    let members: Vec<(Option<String>, Value)> = match value.view() {
        View::List(list) => list.iter().map(|v| (None, v)).collect(),
        View::Set(set) => {
            set.sorted(&mut vm.heap).map(|(n, v)| (Some(n.as_str().to_string()), v)).collect()
        }
        _ => return Ok(()),
    };
    xml.open("meta", &[("name", name), ("type", "strings".to_owned())]);
    for (name, value) in members {
        let Some(value) = vm.force(value, PosId::NONE)?.as_str() else { continue };
        let mut attrs: Vec<(&str, String)> = name.into_iter().map(|n| ("type", n)).collect();
        attrs.push(("value", text(value.bytes())));
        xml.empty("string", &attrs);
    }
    xml.close("meta");
    Ok(())
}

/// Elements of the document, indented.
#[derive(Default)]
struct Xml {
    text: String,
    depth: usize,
}

impl Xml {
    fn tag(&mut self, name: &str, attrs: &[(&str, String)], end: &str) {
        self.text.extend(std::iter::repeat_n(' ', 2 * (self.depth + 1)));
        self.text.push('<');
        self.text.push_str(name);
        for (name, value) in attrs {
            self.text.push_str(&format!(" {name}=\""));
            for c in value.chars() {
                match c {
                    '"' => self.text.push_str("&quot;"),
                    '<' => self.text.push_str("&lt;"),
                    '>' => self.text.push_str("&gt;"),
                    '&' => self.text.push_str("&amp;"),
                    '\n' => self.text.push_str("&#xA;"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        self.text.push_str(end);
        self.text.push('\n');
    }

    fn empty(&mut self, name: &str, attrs: &[(&str, String)]) {
        self.tag(name, attrs, " />");
    }

    fn open(&mut self, name: &str, attrs: &[(&str, String)]) {
        self.tag(name, attrs, ">");
        self.depth += 1;
    }

    fn close(&mut self, name: &str) {
        self.depth -= 1;
        self.text.extend(std::iter::repeat_n(' ', 2 * (self.depth + 1)));
        self.text.push_str(&format!("</{name}>\n"));
    }

    fn finish(self) -> String {
        format!("<?xml version='1.0' encoding='utf-8'?>\n<items>\n{}</items>\n", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let row = |cells: &[&str]| cells.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
        let rows = [row(&["a", "x\ny"]), row(&["long", "z"])];
        assert_eq!(as_table(&rows), "a     x y\nlong  z\n");
        assert_eq!(as_table(&[]), "");
    }

    #[test]
    fn xml_is_indented_and_escaped() {
        let mut xml = Xml::default();
        xml.open("item", &[("name", "a\"<\n".to_owned())]);
        xml.empty("output", &[("name", "out".to_owned())]);
        xml.close("item");
        let expected = "<?xml version='1.0' encoding='utf-8'?>\n<items>\n  \
            <item name=\"a&quot;&lt;&#xA;\">\n    <output name=\"out\" />\n  </item>\n</items>\n";
        assert_eq!(xml.finish(), expected);
    }
}
