//! What is wrong with a rule, and where.

use std::error::Error;
use std::fmt;
use std::ops::Range;

/// A rule that can't be read: the word at fault, and what is allowed in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// As it was given.
    pub rule: String,
    /// The word at fault, in bytes of `rule`; empty at its end if something is missing.
    pub at: Range<usize>,
    /// What is wrong with it, and what is allowed there.
    pub problem: String,
}

impl fmt::Display for RuleError {
    /// The problem, and beneath it the rule with the word underlined.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.rule[..self.at.start].chars().count();
        let width = self.rule[self.at.clone()].chars().count().max(1);
        writeln!(out, "{}", self.problem)?;
        writeln!(out, "    {}", self.rule)?;
        write!(out, "    {}{}", " ".repeat(before), "^".repeat(width))
    }
}

impl Error for RuleError {}
