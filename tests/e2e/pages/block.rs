//! The code blocks of a page, as Markdown has them, with the marks before them.

use std::fs;

use headgate_tests::binary;

/// What a mark begins with, within `<!-- … -->`.
const MARK: &str = "not run";

/// A page and what is found on it.
#[derive(Debug)]
pub(super) struct Page {
    /// From the repository's root.
    pub(super) name: String,
    pub(super) blocks: Vec<Block>,
    /// What is wrong with the page before anything is run.
    pub(super) problems: Vec<String>,
}

/// A fenced block.
#[derive(Debug, PartialEq)]
pub(super) struct Block {
    /// Of the fence, counted from 1.
    pub(super) line: usize,
    pub(super) language: String,
    /// Without the fence's own indentation.
    pub(super) text: String,
    /// Why it is not run.
    pub(super) mark: Option<String>,
}

impl Page {
    pub(super) fn read(name: &str) -> Self {
        let path = binary::workspace().join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::parse(name, &text)
    }

    pub(super) fn parse(name: &str, text: &str) -> Self {
        let mut page = Self { name: name.to_owned(), blocks: Vec::new(), problems: Vec::new() };
        let lines: Vec<&str> = text.lines().collect();
        let (mut list, mut marks) = (0, 0);
        let mut at = 0;
        while at < lines.len() {
            let line = lines[at];
            let indent = indent(line);
            let body = line.trim_start();
            let after_blank = at == 0 || lines[at - 1].trim().is_empty();
            if let Some(language) = body.strip_prefix("```") {
                let end = (at + 1..lines.len()).find(|end| lines[*end].trim() == "```");
                let Some(end) = end else {
                    page.problem(at, "a fence that is never closed");
                    break;
                };
                let mark = mark_before(&lines[..at]);
                marks += usize::from(mark.is_some());
                page.block(at, language.trim(), &dedented(&lines[at + 1..end], indent), mark);
                at = end + 1;
                continue;
            }
            if after_blank && !body.is_empty() {
                list = list.min(indent);
            }
            if after_blank && !body.is_empty() && indent >= list + 4 {
                page.problem(
                    at,
                    "an indented block says no language: put it between ```sh, or another language, and ```",
                );
                while at < lines.len() && (lines[at].trim().is_empty() || self::indent(lines[at]) >= indent) {
                    at += 1;
                }
                continue;
            }
            if let Some(offset) = item(body) {
                list = indent + offset;
            }
            at += 1;
        }
        let written = text.lines().filter(|line| line.trim_start().starts_with(&format!("<!-- {MARK}"))).count();
        let in_blocks = page.blocks.iter().flat_map(|block| block.text.lines());
        let quoted = in_blocks.filter(|line| line.trim_start().starts_with(&format!("<!-- {MARK}"))).count();
        if written > marks + quoted {
            page.problems.push(format!("{name}: a mark `<!-- {MARK} … -->` without a block right after it"));
        }
        page
    }

    fn block(&mut self, at: usize, language: &str, text: &str, mark: Option<&str>) {
        if language.is_empty() {
            self.problem(at, "a block without a language: write ```sh, ```toml, … or ```text after a mark");
            return;
        }
        let mark = match mark.map(|mark| mark.trim_start_matches(':').trim()) {
            Some(reason) if reason.len() < 3 => {
                self.problem(at, &format!("a mark without a reason: write <!-- {MARK}: REASON -->"));
                return;
            }
            reason => reason.map(str::to_owned),
        };
        self.blocks.push(Block { line: at + 1, language: language.to_owned(), text: text.to_owned(), mark });
    }

    fn problem(&mut self, at: usize, what: &str) {
        self.problems.push(format!("{}:{}: {what}", self.name, at + 1));
    }

    /// Where a block is, as editors take it.
    pub(super) fn place(&self, block: &Block) -> String {
        format!("{}:{}", self.name, block.line)
    }
}

/// What stands behind the mark's word, if the last thing before a block is a mark.
fn mark_before<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let line = lines.iter().rev().find(|line| !line.trim().is_empty())?;
    let comment = line.trim().strip_prefix("<!--")?.strip_suffix("-->")?.trim();
    comment.strip_prefix(MARK)
}

/// How far a list's item moves what belongs to it.
fn item(body: &str) -> Option<usize> {
    let digits = body.bytes().take_while(u8::is_ascii_digit).count();
    let marker = if digits > 0 && body[digits..].starts_with('.') {
        digits + 1
    } else if body.starts_with(['-', '*', '+']) {
        1
    } else {
        return None;
    };
    let blanks = indent(&body[marker..]);
    (blanks > 0).then_some(marker + blanks)
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn dedented(lines: &[&str], by: usize) -> String {
    lines.iter().map(|line| format!("{}\n", &line[by.min(indent(line))..])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Page {
        Page::parse("page.md", text)
    }

    #[test]
    fn blocks_are_found_with_place_language_and_mark() {
        let page = parse("# Title\n\n```sh\na\n  b\n```\n\n<!-- not run: needs the moon -->\n```toml\nc = 1\n```\n");
        assert!(page.problems.is_empty(), "{page:?}");
        let block = |line, language: &str, text: &str, mark: Option<&str>| Block {
            line,
            language: language.to_owned(),
            text: text.to_owned(),
            mark: mark.map(str::to_owned),
        };
        let second = block(9, "toml", "c = 1\n", Some("needs the moon"));
        assert_eq!(page.blocks, [block(3, "sh", "a\n  b\n", None), second]);
        assert_eq!(page.place(&page.blocks[1]), "page.md:9");
    }

    #[test]
    fn a_block_in_a_list_loses_the_lists_indentation() {
        let page = parse(
            "1. First:\n\n   ```sh\n   a\n     b\n   ```\n\n   Words.\n\n10. Tenth,\n    and more\n\n    words\n",
        );
        assert!(page.problems.is_empty(), "{page:?}");
        assert_eq!(page.blocks[0].text, "a\n  b\n");
    }

    #[test]
    fn what_is_no_marked_or_fenced_block_with_a_language_is_a_problem() {
        for (text, problem) in [
            ("```\na\n```\n", "page.md:1: a block without a language"),
            ("```sh\na\n", "page.md:1: a fence that is never closed"),
            ("words\n\n    a\n", "page.md:3: an indented block says no language"),
            ("- item\n\n      a\n", "page.md:3: an indented block says no language"),
            ("<!-- not run: -->\n```sh\na\n```\n", "page.md:2: a mark without a reason"),
            ("<!-- not run -->\n```sh\na\n```\n", "page.md:2: a mark without a reason"),
            ("<!-- not run: why -->\nwords\n", "page.md: a mark `<!-- not run … -->` without a block"),
        ] {
            let problems = parse(text).problems;
            assert!(problems.len() == 1 && problems[0].starts_with(problem), "{text:?}: {problems:?}");
        }
    }
}
