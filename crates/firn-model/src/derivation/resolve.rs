//! Resolving: a derivation with its inputs' outputs put in place of the derivations that make them.

use std::collections::BTreeSet;

use bstr::{BString, ByteSlice as _};

use super::placeholder::DownstreamPlaceholder;
use super::{Derivation, DerivedOutputs, Error, Kind, hash_modulo};
use crate::store_path::{StoreDir, StorePath};

/// Tells the path of an output: of the derivation, then of the outputs that are derivations themselves, the
/// last name being the output's.
pub type OutputQuery<'a> = dyn FnMut(&StorePath, &[String]) -> Option<StorePath> + 'a;

impl Derivation {
    /// Whether it can be built only once it is [resolved](Derivation::resolve): where its inputs' outputs have
    /// paths that are not known before they are built. With `fixed_too` those with fixed outputs are resolved as
    /// well, which spares building them again where only the way to their inputs changed.
    ///
    /// # Errors
    /// If its outputs are of kinds that cannot be together.
    pub fn should_resolve(&self, fixed_too: bool) -> Result<bool, Error> {
        if self.input_drvs.is_empty() {
            return Ok(false);
        }
        let by_kind = match self.kind()? {
            Kind::InputAddressed { deferred } => deferred,
            Kind::Fixed => fixed_too,
            Kind::Floating | Kind::Impure => true,
        };
        Ok(by_kind || self.input_drvs.values().any(|wanted| !wanted.dynamic.is_empty()))
    }

    /// The same derivation with inputs that are sources alone, and paths in place of placeholders; `None` if
    /// `query` does not know an output. Deferred outputs get their paths.
    ///
    /// # Errors
    /// If a name is not allowed in a store path, or the outputs are of kinds that cannot be together.
    pub fn resolve(
        &self,
        dir: &StoreDir,
        query: &mut OutputQuery<'_>,
    ) -> Result<Option<Self>, Error> {
        let mut inputs = Inputs { dir, query, sources: BTreeSet::new(), rewrites: Vec::new() };
        for (drv, wanted) in &self.input_drvs {
            if !inputs.add(drv, &mut Vec::new(), None, wanted)? {
                return Ok(None);
            }
        }
        let Inputs { sources, rewrites, .. } = inputs;
        let rewrite = |text: &BString| -> BString {
            let mut text = text.clone();
            for (from, to) in &rewrites {
                if text.find(from).is_some() {
                    text = text.replace(from, to).into();
                }
            }
            text
        };
        let mut resolved = Self {
            name: self.name.clone(),
            outputs: self.outputs.clone(),
            input_drvs: Default::default(),
            input_srcs: self.input_srcs.union(&sources).cloned().collect(),
            system: self.system.clone(),
            builder: rewrite(&self.builder),
            args: self.args.iter().map(rewrite).collect(),
            env: self.env.iter().map(|(name, value)| (rewrite(name), rewrite(value))).collect(),
        };
        if resolved.kind()? == (Kind::InputAddressed { deferred: true }) {
            let hash = hash_modulo(&resolved, dir, true, &mut |input| {
                Err(Error::Input(input.clone(), "a resolved derivation has no inputs".into()))
            })?;
            resolved.fill_output_paths(dir, &hash)?;
        }
        Ok(Some(resolved))
    }
}

struct Inputs<'a, 'q> {
    dir: &'a StoreDir,
    query: &'a mut OutputQuery<'q>,
    sources: BTreeSet<StorePath>,
    /// What stands for paths, and these.
    rewrites: Vec<(String, String)>,
}

impl Inputs<'_, '_> {
    /// Adds what is needed of a derivation; `chain` and `stands_for` tell which, if it is an output itself.
    fn add(
        &mut self,
        drv: &StorePath,
        chain: &mut Vec<String>,
        stands_for: Option<&DownstreamPlaceholder>,
        wanted: &DerivedOutputs,
    ) -> Result<bool, Error> {
        let of = |output: &str| match stands_for {
            Some(placeholder) => Ok(placeholder.of_computed(output)),
            None => DownstreamPlaceholder::of_output(drv, output),
        };
        for output in &wanted.outputs {
            chain.push(output.clone());
            let path = (self.query)(drv, chain);
            chain.pop();
            let Some(path) = path else { return Ok(false) };
            self.rewrites.push((of(output)?.render(), self.dir.print(&path)));
            self.sources.insert(path);
        }
        for (output, wanted) in &wanted.dynamic {
            let placeholder = of(output)?;
            chain.push(output.clone());
            let found = self.add(drv, chain, Some(&placeholder), wanted)?;
            chain.pop();
            if !found {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content_address::Method;
    use crate::derivation::Output;
    use crate::hash::HashAlgo;

    fn path(name: &str) -> StorePath {
        StorePath::from_base_name(&format!("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-{name}")).unwrap()
    }

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|n| (*n).to_owned()).collect()
    }

    fn needing(wanted: DerivedOutputs, output: Output, text: String) -> Derivation {
        Derivation {
            name: "x".into(),
            outputs: [("out".to_owned(), output)].into(),
            input_drvs: [(path("in.drv"), wanted)].into(),
            system: "s".into(),
            builder: "b".into(),
            args: vec![text.into()],
            ..Derivation::default()
        }
    }

    const FLOATING: Output = Output::Floating { method: Method::Nar, algo: HashAlgo::Sha256 };

    #[test]
    fn placeholders_give_way_to_paths() {
        let dir = StoreDir::default();
        let text = DownstreamPlaceholder::of_output(&path("in.drv"), "dev").unwrap().render();
        let wanted = DerivedOutputs { outputs: names(&["dev"]), ..DerivedOutputs::default() };
        let drv = needing(wanted, FLOATING, format!("{text}/bin"));
        assert!(drv.should_resolve(false).unwrap());
        let made = path("made");
        let resolved = drv.resolve(&dir, &mut |_, _| Some(made.clone())).unwrap().unwrap();
        assert_eq!(resolved.args, [format!("{}/bin", dir.print(&made))]);
        assert_eq!(resolved.input_srcs, [made].into());
        assert!(resolved.input_drvs.is_empty() && !resolved.should_resolve(true).unwrap());
        assert_eq!(drv.resolve(&dir, &mut |_, _| None), Ok(None));
    }

    #[test]
    fn outputs_of_outputs_are_asked_for_by_their_chain() {
        let dir = StoreDir::default();
        let placeholder = DownstreamPlaceholder::of_output(&path("in.drv"), "out").unwrap();
        let inner = DerivedOutputs { outputs: names(&["lib"]), ..DerivedOutputs::default() };
        let wanted =
            DerivedOutputs { dynamic: [("out".to_owned(), inner)].into(), ..Default::default() };
        let drv = needing(wanted, FLOATING, placeholder.of_computed("lib").render());
        let mut asked = Vec::new();
        let resolved = drv
            .resolve(&dir, &mut |drv, chain| {
                asked.push((drv.clone(), chain.to_vec()));
                Some(path("made"))
            })
            .unwrap()
            .unwrap();
        assert_eq!(asked, [(path("in.drv"), vec!["out".to_owned(), "lib".to_owned()])]);
        assert_eq!(resolved.args, [dir.print(&path("made"))]);
    }

    #[test]
    fn deferred_outputs_get_their_paths() {
        let dir = StoreDir::default();
        let wanted = DerivedOutputs { outputs: names(&["out"]), ..DerivedOutputs::default() };
        let drv = needing(wanted, Output::Deferred, String::new());
        let resolved = drv.resolve(&dir, &mut |_, _| Some(path("made"))).unwrap().unwrap();
        let Output::InputAddressed(out) = &resolved.outputs["out"] else { panic!("{resolved:?}") };
        assert_eq!(resolved.env[bstr::BStr::new("out")], dir.print(out));
    }
}
