//! The flag for where an application's events go.

use std::str::FromStr;

use crate::registry::{Route, UnknownRoute};

/// A route of an application's own, or the gateway's destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteArg {
    /// The gateway's destination.
    Default,
    /// Its own.
    Own(Route),
}

impl RouteArg {
    /// What was given, over what was.
    pub(super) fn over(given: Option<Self>, before: Option<Route>) -> Option<Route> {
        match given {
            None => before,
            Some(Self::Default) => None,
            Some(Self::Own(route)) => Some(route),
        }
    }
}

impl FromStr for RouteArg {
    type Err = UnknownRoute;

    fn from_str(text: &str) -> Result<Self, UnknownRoute> {
        if text == "default" { Ok(Self::Default) } else { text.parse().map(Self::Own) }
    }
}
