//! Graphs of references as text: a tree, Graphviz, GraphML.

use std::collections::BTreeSet;
use std::io::Write;

use firn_model::store_path::StorePath;

use crate::common::legacy::Outcome;
use crate::common::store::AnyStore;

/// Prints the tree below `path`; what was printed before is only named.
pub fn tree(
    store: &AnyStore,
    path: &StorePath,
    done: &mut BTreeSet<StorePath>,
    out: &mut dyn Write,
) -> Outcome {
    // what is still to print, with the lines before it and before what is below it
    let mut todo = vec![(path.clone(), String::new(), String::new())];
    while let Some((path, first, tail)) = todo.pop() {
        let printed = store.store_dir().print(&path);
        if !done.insert(path.clone()) {
            writeln!(out, "{first}{printed} [...]")?;
            continue;
        }
        writeln!(out, "{first}{printed}")?;
        let references = &store.path_info(&path)?.references;
        // what needs others comes last, which keeps the tree flat
        let sorted = store.topo_sort(references)?;
        for (n, child) in sorted.into_iter().enumerate() {
            let (branch, below) =
                if n == 0 { ("└───", "    ") } else { ("├───", "│   ") };
            todo.push((child, format!("{tail}{branch}"), format!("{tail}{below}")));
        }
    }
    Ok(())
}

/// Prints a graph for Graphviz.
pub fn dot(store: &AnyStore, roots: BTreeSet<StorePath>, out: &mut dyn Write) -> Outcome {
    const COLOURS: [&str; 6] = ["black", "red", "green", "blue", "magenta", "burlywood"];
    let mut edges = 0;
    writeln!(out, "digraph G {{")?;
    visit(store, roots, |path, references| {
        writeln!(
            out,
            "\"{path}\" [label = \"{}\", shape = box, style = filled, fillcolor = \"#ff0000\"];",
            path.name()
        )?;
        for reference in references {
            let colour = COLOURS[edges % COLOURS.len()];
            edges += 1;
            writeln!(out, "\"{reference}\" -> \"{path}\" [color = \"{colour}\"];")?;
        }
        Ok(())
    })?;
    Ok(writeln!(out, "}}")?)
}

/// Prints a graph in GraphML.
pub fn graphml(store: &AnyStore, roots: BTreeSet<StorePath>, out: &mut dyn Write) -> Outcome {
    writeln!(
        out,
        "<?xml version='1.0' encoding='utf-8'?>\n\
         <graphml xmlns='http://graphml.graphdrawing.org/xmlns'\n    \
         xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'\n    \
         xsi:schemaLocation='http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd'>"
    )?;
    for (id, kind) in [("narSize", "long"), ("name", "string"), ("type", "string")] {
        write!(out, "<key id='{id}' for='node' attr.name='{id}' attr.type='{kind}'/>")?;
    }
    writeln!(out, "<graph id='G' edgedefault='directed'>")?;
    visit(store, roots, |path, references| {
        let size = store.path_info(path)?.nar_size;
        // the name up to its first dash, nothing without one, as C++ Nix has it
        let name = path.name();
        let short = name.find('-').map_or("", |at| &name[..=at]);
        let kind = if path.is_derivation() { "derivation" } else { "output-path" };
        writeln!(
            out,
            "  <node id=\"{path}\">\n    <data key=\"narSize\">{size}</data>\n    \
             <data key=\"name\">{short}</data>\n    <data key=\"type\">{kind}</data>\n  </node>"
        )?;
        for reference in references {
            writeln!(out, "  <edge source=\"{path}\" target=\"{reference}\"/>")?;
        }
        Ok(())
    })?;
    Ok(writeln!(out, "</graph>\n</graphml>")?)
}

/// Goes through everything that `roots` reach, each path once, smallest first.
fn visit(
    store: &AnyStore,
    roots: BTreeSet<StorePath>,
    mut each: impl FnMut(&StorePath, &[StorePath]) -> Outcome,
) -> Outcome {
    let mut todo = roots;
    let mut done = BTreeSet::new();
    while let Some(path) = todo.pop_first() {
        if !done.insert(path.clone()) {
            continue;
        }
        let info = store.path_info(&path)?;
        let references: Vec<StorePath> =
            info.references.iter().filter(|r| **r != path).cloned().collect();
        each(&path, &references)?;
        todo.extend(references);
    }
    Ok(())
}
