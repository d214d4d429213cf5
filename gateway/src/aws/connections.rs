//! Gives up a connection whose call timed out.
//!
//! Over TLS the SDK multiplexes all calls on one HTTP/2 connection. When its other end is gone without a word (a NAT
//! entry that expired, a host that lost power), each call times out, and the SDK goes on using the connection until the
//! kernel gives up on it, which takes a quarter of an hour. With this the next call opens a new one. (Over HTTP/1.1 a
//! connection ends with the call that was dropped on it.)

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// The interceptor: add it to a client that has an attempt timeout.
#[derive(Debug, Default)]
pub struct DropSilentConnections;

#[dyn_dispatch_hint]
impl Intercept for DropSilentConnections {
    fn name(&self) -> &'static str {
        "DropSilentConnections"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(Err(error)) = context.output_or_error()
            && error.is_timeout_error()
            // Put there by the SDK's own interceptor, which looks only at calls that were answered.
            && let Some(connection) = config.load::<CaptureSmithyConnection>().and_then(CaptureSmithyConnection::get)
        {
            connection.poison();
        }
        Ok(())
    }
}
