//! Which application's events go where. Each route has lanes of its own, so that one that stands still holds up no other;
//! an application's route is looked up for every batch, so a change holds from the next batch on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use async_trait::async_trait;

use super::{Destination, Health};
use crate::gather::{BucketSink, ClosedBucket, InFlight, Lanes, Packing};
use crate::registry::Route;

/// A destination and the lanes that lead to it.
pub struct Outlet {
    /// The open buckets.
    pub lanes: Arc<Lanes>,
    /// Where they go.
    pub destination: Arc<dyn Destination>,
}

/// Every way out of the gateway.
pub struct Routes {
    outlets: Vec<Outlet>,
    // Where each route leads to, as a place in `outlets`.
    places: Vec<(Route, usize)>,
    default: usize,
    // Routes that were asked for in vain, a bit each.
    missed: AtomicU8,
    in_flight: Arc<InFlight>,
}

impl Routes {
    /// One way out, for everybody.
    #[must_use]
    pub fn single(outlet: Outlet) -> Arc<Self> {
        let in_flight = Arc::clone(outlet.lanes.in_flight());
        Arc::new(Self { outlets: vec![outlet], places: Vec::new(), default: 0, missed: AtomicU8::new(0), in_flight })
    }

    /// A way out for each route; the one at the place `default` for whoever has no route of its own, or one that this
    /// gateway is not set up for. `None` where there is nothing at that place.
    #[must_use]
    pub fn new(default: usize, routes: Vec<(Route, Outlet)>) -> Option<Arc<Self>> {
        let in_flight = Arc::clone(routes.get(default)?.1.lanes.in_flight());
        let places = routes.iter().enumerate().map(|(place, (route, _))| (*route, place)).collect();
        let outlets = routes.into_iter().map(|(_, outlet)| outlet).collect();
        Some(Arc::new(Self { outlets, places, default, missed: AtomicU8::new(0), in_flight }))
    }

    /// Where an application's events go. A route that this gateway has no settings for is taken for the default: events
    /// that are stored somewhere else can be moved, and those that are refused can't.
    #[inline]
    #[must_use]
    pub fn of(&self, route: Option<Route>) -> &Outlet {
        let place = match route {
            None => self.default,
            Some(route) => self.place(route).unwrap_or_else(|| self.missing(route)),
        };
        &self.outlets[place]
    }

    /// Said once for each route: it is asked for with every batch.
    #[cold]
    fn missing(&self, route: Route) -> usize {
        let bit = 1 << (route as u8);
        if self.missed.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
            tracing::warn!(%route, "an application's route has no settings here; its events go to the default");
        }
        self.default
    }

    /// Every way out.
    pub fn outlets(&self) -> impl Iterator<Item = &Outlet> {
        self.outlets.iter()
    }

    /// The buckets on their way, on all routes.
    #[must_use]
    pub fn in_flight(&self) -> &Arc<InFlight> {
        &self.in_flight
    }

    fn place(&self, route: Route) -> Option<usize> {
        self.places.iter().find(|(known, _)| *known == route).map(|(_, place)| *place)
    }
}

/// One destination, and another while the first does not take events.
pub struct Fallback {
    first: Arc<dyn Destination>,
    second: Arc<dyn Destination>,
}

impl Fallback {
    /// Buckets are packed for `first`, and unpacked for `second`.
    #[must_use]
    pub fn new(first: Arc<dyn Destination>, second: Arc<dyn Destination>) -> Self {
        Self { first, second }
    }
}

/// The first one's packing, within what the second one can take as one record.
fn packing_for_both(first: &dyn Destination, second: &dyn Destination) -> Packing {
    let (packing, other) = (first.packing(), second.packing());
    Packing { max_events: packing.max_events.min(other.max_events), ..packing }
}

/// Takes what another destination could not.
struct Unpacking(Arc<dyn Destination>);

impl BucketSink for Unpacking {
    fn submit(&self, bucket: ClosedBucket) {
        // It leaves the order of its lane, which belongs to the other destination.
        self.0.submit(ClosedBucket { lane: None, ..bucket.into_lines() });
    }
}

impl BucketSink for Fallback {
    fn submit(&self, mut bucket: ClosedBucket) {
        // Where a first destination is down, it hands over at once.
        bucket.overflow = Some(Arc::new(Unpacking(Arc::clone(&self.second))));
        self.first.submit(bucket);
    }
}

#[async_trait]
impl Destination for Fallback {
    fn name(&self) -> &'static str {
        Route::KinesisWithFirehoseFallback.as_str()
    }

    fn packing(&self) -> Packing {
        packing_for_both(&*self.first, &*self.second)
    }

    fn health(&self) -> Health {
        match self.first.health() {
            Health::Up => Health::Up,
            first => match self.second.health() {
                // One that only has too much to do is not down, and so neither is the route.
                second @ (Health::Up | Health::Overloaded { .. }) => second,
                Health::Down { .. } => first,
            },
        }
    }

    fn trouble(&self) -> Option<String> {
        self.first.trouble().or_else(|| self.second.trouble())
    }

    async fn close(&self) {}
}

/// Two destinations that both have to store what they are given.
pub struct Both {
    first: Arc<dyn Destination>,
    second: Arc<dyn Destination>,
}

impl Both {
    /// Buckets are packed for `first`, and unpacked for `second`.
    #[must_use]
    pub fn new(first: Arc<dyn Destination>, second: Arc<dyn Destination>) -> Self {
        Self { first, second }
    }
}

impl BucketSink for Both {
    fn submit(&self, bucket: ClosedBucket) {
        let (first, second) = bucket.fork();
        self.first.submit(first);
        self.second.submit(second.into_lines());
    }
}

#[async_trait]
impl Destination for Both {
    fn name(&self) -> &'static str {
        Route::KinesisAndFirehose.as_str()
    }

    fn packing(&self) -> Packing {
        packing_for_both(&*self.first, &*self.second)
    }

    /// As long as one of them is down nothing could be acknowledged.
    fn health(&self) -> Health {
        match self.first.health() {
            Health::Up => self.second.health(),
            down @ Health::Down { .. } => down,
            overloaded @ Health::Overloaded { .. } => match self.second.health() {
                down @ Health::Down { .. } => down,
                Health::Up | Health::Overloaded { .. } => overloaded,
            },
        }
    }

    fn trouble(&self) -> Option<String> {
        self.first.trouble().or_else(|| self.second.trouble())
    }

    async fn close(&self) {}
}
