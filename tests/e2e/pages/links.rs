//! Links between pages: the file is there, and so is the heading. Every page of `docs` is one click from the README.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use headgate_tests::binary;

/// What is read for its own sake, and found by its folder.
const BY_FOLDER: [&str; 2] = ["docs/decisions/", "docs/clients/"];

#[test]
fn every_link_leads_somewhere() {
    let mut problems = Vec::new();
    for page in super::pages() {
        for (target, anchor) in links(&page) {
            let path = binary::workspace().join(&target);
            if !path.exists() {
                problems.push(format!("{page} links to {target}, which is not there"));
            } else if let Some(anchor) = anchor.filter(|_| target.ends_with(".md"))
                && !headings(&path).contains(&anchor)
            {
                problems.push(format!("{page} links to {target}#{anchor}, a heading that is not there"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_page_of_the_documentation_is_one_click_from_the_readme() {
    let linked: BTreeSet<String> = links("README.md").into_iter().map(|(target, _)| target).collect();
    let is_own = |page: &String| page.starts_with("docs/") && !BY_FOLDER.iter().any(|folder| page.starts_with(folder));
    let missing: Vec<String> =
        super::all_pages().into_iter().filter(is_own).filter(|page| !linked.contains(page)).collect();
    assert!(missing.is_empty(), "the README does not link to {}", missing.join(", "));
}

/// Targets within the repository, from its root, and the headings that they name.
fn links(page: &str) -> Vec<(String, Option<String>)> {
    let text = fs::read_to_string(binary::workspace().join(page)).expect("git knows it");
    let folder = Path::new(page).parent().expect("a page is in a folder");
    let targets = without_blocks(&text)
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .map(str::to_owned)
        .collect::<Vec<_>>();
    let within = targets.iter().filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    within
        .map(|target| {
            let (path, anchor) =
                target.split_once('#').map_or((target.as_str(), None), |(path, anchor)| (path, Some(anchor)));
            let path = if path.is_empty() { page.to_owned() } else { plain(&folder.join(path)) };
            (path, anchor.map(str::to_owned))
        })
        .collect()
}

/// A page's prose.
fn without_blocks(text: &str) -> String {
    let mut within = false;
    let prose = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        within ^= fence;
        !within && !fence
    });
    prose.map(|line| format!("{line}\n")).collect()
}

/// A path without `..`.
fn plain(path: &Path) -> String {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain.to_str().expect("names of pages are UTF-8").to_owned()
}

/// A page's headings, as links name them: in lower case, blanks as dashes, without marks of punctuation.
fn headings(page: &Path) -> BTreeSet<String> {
    let text = without_blocks(&fs::read_to_string(page).expect("it is there"));
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    headings
        .map(|heading| {
            let kept = heading.to_lowercase().replace(' ', "-");
            kept.chars().filter(|character| character.is_alphanumeric() || "-_".contains(*character)).collect()
        })
        .collect()
}
