//! Lines on standard output: in colour on a terminal unless NO_COLOR is set (<https://no-color.org>), and a block that is
//! drawn again in place where that is possible.

use std::io::{IsTerminal, Write};

use terminal_size::{Width, terminal_size_of};

/// How a piece of a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    Dim,
    Strong,
    Good,
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
            Self::Bad => "\x1b[31m",
        }
    }
}

/// A line of pieces that look different.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pieces: Vec<(Look, String)>,
}

impl Line {
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::default().then(Look::Plain, text)
    }

    pub(super) fn strong(text: impl Into<String>) -> Self {
        Self::default().then(Look::Strong, text)
    }

    pub(super) fn dim(text: impl Into<String>) -> Self {
        Self::default().then(Look::Dim, text)
    }

    pub(super) fn then(mut self, look: Look, text: impl Into<String>) -> Self {
        self.pieces.push((look, text.into()));
        self
    }

    pub(super) fn then_plain(self, text: impl Into<String>) -> Self {
        self.then(Look::Plain, text)
    }

    /// The line, cut to a width.
    fn render(&self, width: usize, colour: bool) -> String {
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

/// Standard output.
#[derive(Clone, Copy)]
pub(super) struct Screen {
    /// Whether lines can be drawn again in place.
    pub(super) live: bool,
    colour: bool,
}

impl Screen {
    pub(super) fn new() -> Self {
        let terminal = std::io::stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { live: terminal, colour: terminal && !no_colour }
    }

    /// Prints a line in full.
    pub(super) fn line(&self, line: &Line) {
        put(&format!("{}\n", line.render(usize::MAX, self.colour)));
    }

    /// Draws a block of lines over the one drawn before; `drawn` remembers how many lines that had.
    pub(super) fn redraw(&self, drawn: &mut usize, lines: &[Line]) {
        let width = terminal_size_of(std::io::stdout()).map_or(100, |(Width(width), _)| usize::from(width));
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

/// A reader that went away (`cargo demo | head`) is no reason to panic with a gateway running.
fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_by_what_is_seen_and_not_by_escapes() {
        let line = Line::strong("head").then_plain(" and ").then(Look::Bad, "tail");
        assert_eq!(line.render(100, false), "head and tail");
        assert_eq!(line.render(6, false), "head a");
        assert_eq!(line.render(10, true), "\x1b[1mhead\x1b[0m and \x1b[31mt\x1b[0m");
    }
}
