//! The house: dependencies point downward, and each foreign engine is named in one place.

use std::fs;
use std::path::{Path, PathBuf};

/// Module and floor. A module uses those of lower floors; on the same floor only where listed.
const FLOORS: &[(&str, u32)] = &[
    ("fs", 0),
    ("parallel", 0),
    ("stage", 0),
    ("spec", 0),
    ("plan", 1),
    ("key", 2),
    ("store", 2),
    ("exec", 3),
    ("table", 3),
    ("model", 3),
    ("kinds", 4),
    ("cli", 6),
];

/// Uses on one floor: `stage` and `spec` use `fs`, `spec` uses `stage`, `store` uses `key`.
const BESIDE: &[(&str, &str)] = &[("stage", "fs"), ("spec", "fs"), ("spec", "stage"), ("store", "key")];

fn floor(module: &str) -> Option<u32> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be listed").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Every source file of the library with its module: `src/plan/bind.rs` belongs to `plan`.
fn modules() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let read = |path: PathBuf| {
        let below = path.strip_prefix(&root).expect("it lies below").to_string_lossy().into_owned();
        let module = below.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(&path).expect("a source file can be read");
        (module, path, text)
    };
    files.into_iter().map(read).filter(|(module, ..)| module != "lib" && module != "main").collect()
}

#[test]
fn every_module_has_a_floor() {
    for (module, path, _) in modules() {
        assert!(
            floor(&module).is_some(),
            "{} belongs to no floor: say which in tests/it/house.rs",
            path.display()
        );
    }
}

#[test]
fn dependencies_point_downward() {
    let mut checked = 0;
    for (module, path, text) in modules() {
        let own = floor(&module).expect("checked above");
        for part in text.split("crate::").skip(1) {
            let used: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let Some(below) = floor(&used).filter(|_| used != module) else { continue };
            let allowed = below < own || BESIDE.contains(&(module.as_str(), used.as_str()));
            assert!(allowed, "{} (floor {own}) uses `{used}` (floor {below})", path.display());
            checked += 1;
        }
    }
    assert!(checked > 100, "only {checked} uses were seen: does the test still read the sources?");
}

#[test]
fn polars_and_ort_are_named_in_one_place() {
    for (module, path, text) in modules() {
        let code: Vec<&str> = text.lines().filter(|l| !l.trim_start().starts_with("//")).collect();
        let names = |word: &str| code.iter().any(|l| l.contains(word));
        assert!(module == "table" || !names("polars::"), "{} names polars", path.display());
        assert!(
            module == "model" || !(names("use ort::") || names(" ort::")),
            "{} names ort",
            path.display()
        );
    }
}

#[test]
fn the_library_reads_no_environment_and_prints_nothing() {
    for (module, path, text) in modules().into_iter().filter(|(module, ..)| module != "cli") {
        let before_tests = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in ["env::var", "home_dir", "println!", "eprintln!", "print!("] {
            assert!(!before_tests.contains(word), "{} ({module}) uses {word}", path.display());
        }
    }
}
