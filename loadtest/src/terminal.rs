//! Lines on standard output: in colour on a terminal unless NO_COLOR is set (<https://no-color.org>), and a block that is
//! drawn again in place where that is possible.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

use terminal_size::{Width, terminal_size_of};

/// How a piece of a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// As ordinary text.
    Plain,
    /// As what matters less.
    Dim,
    /// As what matters more.
    Strong,
    /// As what is well.
    Good,
    /// As what needs attention.
    Warn,
    /// As what went wrong.
    Bad,
}

impl Look {
    /// Select Graphic Rendition, ECMA-48 8.3.117.
    fn escape(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "\x1b[2m",
            Self::Strong => "\x1b[1m",
            Self::Good => "\x1b[32m",
            Self::Warn => "\x1b[33m",
            Self::Bad => "\x1b[31m",
        }
    }
}

/// A line of pieces that look different.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pieces: Vec<(Look, String)>,
}

impl Line {
    /// A line of ordinary text.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self::default().then(Look::Plain, text)
    }

    /// A heading.
    #[must_use]
    pub fn strong(text: impl Into<String>) -> Self {
        Self::default().then(Look::Strong, text)
    }

    /// A line that matters less.
    #[must_use]
    pub fn dim(text: impl Into<String>) -> Self {
        Self::default().then(Look::Dim, text)
    }

    /// Adds a piece.
    #[must_use]
    pub fn then(mut self, look: Look, text: impl Into<String>) -> Self {
        self.pieces.push((look, text.into()));
        self
    }

    /// Adds ordinary text.
    #[must_use]
    pub fn then_plain(self, text: impl Into<String>) -> Self {
        self.then(Look::Plain, text)
    }

    /// Adds pieces as long as they fit into a width in full, each after three spaces; the ones that matter least come
    /// last, and are left out first.
    #[must_use]
    pub fn then_what_fits(mut self, width: usize, pieces: impl IntoIterator<Item = (Look, String)>) -> Self {
        for (place, (look, text)) in pieces.into_iter().enumerate() {
            let gap = if place == 0 { "" } else { "   " };
            if self.width() + gap.len() + text.chars().count() > width {
                break;
            }
            self = self.then_plain(gap).then(look, text);
        }
        self
    }

    /// How many columns it takes.
    #[must_use]
    pub fn width(&self) -> usize {
        self.pieces.iter().map(|(_, text)| text.chars().count()).sum()
    }

    /// The line, cut to a width.
    #[must_use]
    pub fn render(&self, width: usize, colour: bool) -> String {
        let mut out = String::new();
        let mut left = width;
        for (look, text) in &self.pieces {
            let text: String = text.chars().take(left).collect();
            left -= text.chars().count();
            if colour && *look != Look::Plain {
                out.push_str(look.escape());
                out.push_str(&text);
                out.push_str("\x1b[0m");
            } else {
                out.push_str(&text);
            }
        }
        out
    }
}

/// Standard output, where it was kept for us alone.
static KEPT: OnceLock<File> = OnceLock::new();

/// Keeps standard output for [`Screen`]s: whatever else this process prints there, such as a library that says how it is
/// getting on, goes to standard error from now on, and breaks neither a block that is drawn again nor NDJSON.
///
/// # Errors
/// The descriptors can't be duplicated.
pub fn keep_standard_output() -> std::io::Result<()> {
    let ours = rustix::io::dup(std::io::stdout())?;
    rustix::stdio::dup2_stdout(std::io::stderr())?;
    let _ = KEPT.set(File::from(ours));
    Ok(())
}

/// Standard output.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Whether lines can be drawn again in place.
    pub live: bool,
    colour: bool,
}

impl Screen {
    /// Finds out what standard output can do.
    #[must_use]
    pub fn new() -> Self {
        let on_terminal = KEPT.get().map_or_else(|| std::io::stdout().is_terminal(), File::is_terminal);
        let terminal = on_terminal && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { live: terminal, colour: terminal && !no_colour }
    }

    /// The terminal's columns; 100 where there is none.
    #[must_use]
    pub fn width(&self) -> usize {
        let size = KEPT.get().map_or_else(|| terminal_size_of(std::io::stdout()), terminal_size_of);
        size.map_or(100, |(Width(width), _)| usize::from(width))
    }

    /// Prints a line in full.
    pub fn line(&self, line: &Line) {
        put(&format!("{}\n", line.render(usize::MAX, self.colour)));
    }

    /// Draws a block of lines over the one drawn before; `drawn` remembers how many lines that had.
    pub fn redraw(&self, drawn: &mut usize, lines: &[Line]) {
        let width = self.width();
        let mut out = String::new();
        if *drawn > 0 {
            // Cursor up, and erase to the end of the screen.
            out.push_str(&format!("\x1b[{drawn}A\x1b[J"));
        }
        for line in lines {
            out.push_str(&line.render(width, self.colour));
            out.push('\n');
        }
        *drawn = lines.len();
        put(&out);
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

/// A bar of so many columns, filled to a share of 0 to 1: the full part and the empty one.
#[must_use]
pub fn bar(share: f64, columns: usize) -> (String, String) {
    let full = ((share.clamp(0.0, 1.0) * columns as f64).round() as usize).min(columns);
    ("━".repeat(full), "─".repeat(columns - full))
}

/// A line of blocks whose heights are shares of 0 to 1.
#[must_use]
pub fn sparkline(shares: impl IntoIterator<Item = f64>) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    shares.into_iter().map(|share| BLOCKS[((share.max(0.0) * 8.0) as usize).min(7)]).collect()
}

/// A reader that went away (`cargo demo | head`) is no reason to panic with a gateway running.
fn put(text: &str) {
    // Nobody is there to be told that nobody reads.
    let _ = match KEPT.get() {
        Some(mut kept) => kept.write_all(text.as_bytes()),
        None => {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_that_do_not_fit_are_left_out_whole() {
        let pieces = || ["12 accepted", "3 rejected", "4 failed"].map(|text| (Look::Plain, text.to_owned()));
        let line = |width| Line::plain("  ").then_what_fits(width, pieces()).render(width, false);
        assert_eq!(line(40), "  12 accepted   3 rejected   4 failed");
        assert_eq!(line(30), "  12 accepted   3 rejected");
        assert_eq!(line(8), "  ");
    }

    #[test]
    fn bars_and_sparks_take_the_columns_they_are_given() {
        assert_eq!(bar(0.5, 4), ("━━".to_owned(), "──".to_owned()));
        assert_eq!(bar(7.0, 3), ("━━━".to_owned(), String::new()));
        assert_eq!(sparkline([0.0, 0.5, 1.0, f64::NAN, -1.0, 9.0]), "▁▅█▁▁█");
    }

    #[test]
    fn lines_are_cut_by_what_is_seen_and_not_by_escapes() {
        let line = Line::strong("head").then_plain(" and ").then(Look::Bad, "tail");
        assert_eq!(line.render(100, false), "head and tail");
        assert_eq!(line.render(6, false), "head a");
        assert_eq!(line.render(10, true), "\x1b[1mhead\x1b[0m and \x1b[31mt\x1b[0m");
    }
}
