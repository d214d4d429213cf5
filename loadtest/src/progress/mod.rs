//! What a run shows while it runs: a block that is redrawn in place on a terminal, NDJSON elsewhere.
//!
//! Whoever drives the run hands over a [`Tick`] each second and nothing here looks at the run itself, so that showing it
//! can't slow it down. Output that nobody reads any more is dropped without an error.

mod block;
mod closing;
mod json;
mod opening;
mod plain;
mod tick;

use std::path::PathBuf;

pub use closing::closing;
pub use json::{End, Progressed, Start};
pub use opening::{Opening, opening};
pub use plain::plain;
pub use tick::Tick;

use crate::result::RunResult;
use crate::terminal::{Line, Screen};
use block::History;
use json::Window;

/// How a run is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// The block on a terminal, NDJSON elsewhere.
    #[default]
    Auto,
    /// A line each second.
    Plain,
    /// One JSON object in a line every 5 s.
    Json,
    /// The block; a line each second where standard output is no terminal.
    Tui,
    /// Nothing but what came of it.
    Off,
}

/// What [`Mode`] comes to on this standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Block,
    Plain,
    Json,
    Off,
}

impl Mode {
    fn on(self, screen: &Screen) -> Shown {
        match self {
            Self::Auto if screen.live => Shown::Block,
            Self::Auto | Self::Json => Shown::Json,
            Self::Tui if screen.live => Shown::Block,
            Self::Tui | Self::Plain => Shown::Plain,
            Self::Off => Shown::Off,
        }
    }
}

/// Shows one run on standard output.
pub struct Progress {
    screen: Screen,
    shown: Shown,
    /// Lines of the block that stands on the screen.
    drawn: usize,
    history: History,
    window: Window,
}

/// What there is to print.
enum Output {
    Block(Vec<Line>),
    Line(String),
    Nothing,
}

impl Progress {
    /// For standard output.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self::on(mode, Screen::new())
    }

    fn on(mode: Mode, screen: Screen) -> Self {
        let shown = mode.on(&screen);
        Self { screen, shown, drawn: 0, history: History::default(), window: Window::default() }
    }

    /// Says what will run, before it does.
    pub fn open(&self, what: &Opening<'_>) {
        match self.shown {
            Shown::Block | Shown::Plain => opening(what).iter().for_each(|line| self.screen.line(line)),
            Shown::Json => self.screen.line(&Line::plain(json::line(&Start::new(what)))),
            Shown::Off => {}
        }
    }

    /// Shows the latest second; to be called once a second.
    pub fn tick(&mut self, tick: &Tick) {
        match self.output(tick, self.screen.width()) {
            Output::Block(lines) => self.screen.redraw(&mut self.drawn, &lines),
            Output::Line(text) => self.screen.line(&Line::plain(text)),
            Output::Nothing => {}
        }
    }

    /// Says something that stays, such as what was just done to the run, above the block.
    pub fn note(&mut self, text: &str) {
        match self.shown {
            Shown::Block => {
                self.screen.redraw(&mut self.drawn, &[]);
                self.screen.line(&Line::dim("  note      ").then_plain(text));
            }
            Shown::Plain => self.screen.line(&Line::plain(text)),
            Shown::Json => self.screen.line(&Line::plain(json::note(text))),
            Shown::Off => {}
        }
    }

    /// Says what came of it. `files` are what was written, the result itself first.
    pub fn close(&self, result: &RunResult, files: &[PathBuf]) {
        match self.shown {
            Shown::Json => self.screen.line(&Line::plain(json::line(&End::new(result, files)))),
            Shown::Block | Shown::Plain | Shown::Off => {
                closing(result, files).iter().for_each(|line| self.screen.line(line));
            }
        }
    }

    fn output(&mut self, tick: &Tick, width: usize) -> Output {
        match self.shown {
            Shown::Block => {
                self.history.add(tick);
                Output::Block(block::block(tick, &self.history, width))
            }
            Shown::Plain => Output::Line(plain(tick)),
            Shown::Json => self.window.add(tick).map_or(Output::Nothing, |line| Output::Line(json::line(&line))),
            Shown::Off => Output::Nothing,
        }
    }
}

#[cfg(test)]
mod tests;
