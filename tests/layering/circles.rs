//! Circles between files, and types of the same name in one folder.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::source::{Source, Use};

/// The path of a module from the crate root.
type Module = Vec<String>;

/// The files of a source tree, by module.
pub struct Tree {
    files: BTreeMap<Module, (String, Source)>,
    /// What title pages re-export: the module and the name there, and the path of its definition.
    exports: BTreeMap<(Module, String), Module>,
}

impl Tree {
    /// From the names below `src/` and the texts of the files.
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Tree {
        let files = files
            .into_iter()
            .filter(|(name, _)| !name.ends_with("tests.rs") && !name.contains("/tests/"))
            .map(|(name, text)| (module(name), (name.to_owned(), Source::read(text))))
            .collect();
        let mut tree = Tree {
            files,
            exports: BTreeMap::new(),
        };
        let pages = tree
            .files
            .iter()
            .filter(|(_, (name, _))| is_title_page(name));
        let exports = pages.flat_map(|(module, (_, source))| {
            let paths = source
                .uses
                .iter()
                .filter_map(|used| tree.absolute(module, used));
            paths.map(|path| ((module.clone(), path.last().unwrap().clone()), path))
        });
        tree.exports = exports.collect();
        tree
    }

    /// The circles, each as the names of its files in the order of their uses.
    pub fn circles(&self) -> Vec<String> {
        let uses = self.uses();
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for start in uses.keys() {
            let Some(circle) = shortest_circle(start, &uses) else {
                continue;
            };
            let members: BTreeSet<_> = circle.iter().copied().collect();
            if seen.insert(members) {
                found.push(format!("circle: {} -> {start}", circle.join(" -> ")));
            }
        }
        found
    }

    /// Types that two files of a folder define.
    pub fn double_names(&self) -> Vec<String> {
        let mut defined: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        let mut found = Vec::new();
        for (file, source) in self.files.values() {
            let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
            for pair in source.words.windows(2) {
                let [(_, keyword), (line, name)] = pair else {
                    continue;
                };
                if !["struct", "enum", "trait", "union"].contains(&keyword.as_str()) {
                    continue;
                }
                let other = defined.insert((folder, name), file);
                if let Some(other) = other.filter(|other| other != file) {
                    found.push(format!("src/{file}:{line}: {name} is in src/{other} too"));
                }
            }
        }
        found
    }

    /// The files that each file uses, without title pages.
    fn uses(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let pages = |name: &str| !is_title_page(name);
        let files = self.files.iter().filter(|(_, (name, _))| pages(name));
        files
            .map(|(module, (name, source))| {
                let paths = source
                    .uses
                    .iter()
                    .filter_map(|used| self.absolute(module, used));
                let used = paths.filter_map(|path| self.defining_file(&path));
                let used = used.filter(|file| file != name && pages(file));
                (name.as_str(), used.collect())
            })
            .collect()
    }

    /// The path from the crate root; `None` for other crates and local names.
    fn absolute(&self, module: &Module, used: &Use) -> Option<Module> {
        let mut base = module.clone();
        let mut rest = used.path.as_slice();
        match rest {
            // `mod name;` and `pub(super)` are no uses.
            [_] if !used.imported => return None,
            [first, after @ ..] if first == "crate" => (base, rest) = (Module::new(), after),
            [first, after @ ..] if first == "self" => rest = after,
            [first, ..] if first == "super" => {
                while let [first, after @ ..] = rest
                    && first == "super"
                {
                    base.pop();
                    rest = after;
                }
            }
            [first, ..] => {
                base.push(first.clone());
                if !self.files.contains_key(&base) {
                    return None;
                }
                rest = &rest[1..];
            }
            [] => return None,
        }
        base.extend(rest.iter().filter(|part| *part != "self").cloned());
        (!base.is_empty()).then_some(base)
    }

    /// The file that defines what is at a path, through re-exports.
    fn defining_file(&self, path: &Module) -> Option<&str> {
        let length = (0..=path.len())
            .rev()
            .find(|length| self.files.contains_key(&path[..*length]))?;
        let module = path[..length].to_vec();
        if let Some(name) = path.get(length)
            && let Some(target) = self.exports.get(&(module.clone(), name.clone()))
            && target != path
        {
            let target = [target, &path[length + 1..]].concat();
            return self.defining_file(&target);
        }
        self.files.get(&module).map(|(name, _)| name.as_str())
    }
}

/// The shortest way from a file back to it.
fn shortest_circle<'a>(
    start: &'a str,
    uses: &BTreeMap<&'a str, BTreeSet<&'a str>>,
) -> Option<Vec<&'a str>> {
    let mut from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(file) = queue.pop_front() {
        for used in uses.get(file).into_iter().flatten() {
            if *used == start {
                let mut circle = vec![file];
                while let Some(before) = from.get(circle[circle.len() - 1]) {
                    circle.push(before);
                }
                circle.reverse();
                return Some(circle);
            }
            if !from.contains_key(used) {
                from.insert(used, file);
                queue.push_back(used);
            }
        }
    }
    None
}

fn module(name: &str) -> Module {
    let path = name.trim_end_matches(".rs");
    let path = path.trim_end_matches("/mod");
    let parts = path.split('/').filter(|part| *part != "lib");
    parts.map(str::to_owned).collect()
}

fn is_title_page(name: &str) -> bool {
    name == "lib.rs" || name.ends_with("mod.rs")
}
