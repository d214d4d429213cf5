//! Holds back a call that is not on its way to AWS itself.
//!
//! A dry run is a promise of the service that is asked. What only speaks its protocol (an emulator, a proxy's recording)
//! may not know the flag and store the record: such a call must never leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Where AWS's own endpoints are, VPC endpoints included.
const DOMAINS: [&str; 5] =
    [".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".api.amazonwebservices.com.cn", ".amazonaws.eu"];

/// The interceptor. Remembers whether it held back a call.
#[derive(Clone, Debug, Default)]
pub(super) struct OnlyAws(Arc<AtomicBool>);

impl OnlyAws {
    pub(super) fn held_back(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

fn is_aws(url: &str) -> bool {
    let host = url.parse::<http::Uri>().ok().filter(|url| url.scheme_str() == Some("https"));
    host.as_ref().and_then(http::Uri::host).is_some_and(|host| DOMAINS.iter().any(|domain| host.ends_with(domain)))
}

#[dyn_dispatch_hint]
impl Intercept for OnlyAws {
    fn name(&self) -> &'static str {
        "OnlyAws"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if is_aws(context.request().uri()) {
            return Ok(());
        }
        self.0.store(true, Ordering::Relaxed);
        Err("held back: not on its way to AWS".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_endpoints_of_aws_itself_pass() {
        for aws in [
            "https://kinesis.eu-west-1.amazonaws.com/",
            "https://123456789012.data-kinesis.us-east-1.amazonaws.com/",
            "https://vpce-1-2.kinesis.eu-west-1.vpce.amazonaws.com",
            "https://kinesis.cn-north-1.amazonaws.com.cn/",
            "https://kinesis.eu-west-1.api.aws",
        ] {
            assert!(is_aws(aws), "{aws}");
        }
        for other in [
            "http://127.0.0.1:4566/",
            "http://kinesis.eu-west-1.amazonaws.com/",
            "https://amazonaws.com.example/",
            "https://localhost/kinesis.amazonaws.com",
            "",
        ] {
            assert!(!is_aws(other), "{other}");
        }
    }
}
