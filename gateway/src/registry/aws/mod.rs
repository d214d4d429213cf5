//! The registry in AWS. Nothing outside of this folder names the AWS SDK on the registry's behalf.

pub mod demand;
mod dynamodb;

pub use dynamodb::DynamoDbRegistry;
