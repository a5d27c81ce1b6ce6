//! `keystead service`: services that act for users.

use anyhow::Result;
use clap::{Args, Subcommand};
use keystead_server::admin::{AdminClient, proto};
use keystead_types::{ServiceName, UnixMillis};
use serde_json::json;

use crate::key::Output;
use crate::output::{self, line};
use crate::status::NodeArguments;

/// `keystead service`
#[derive(Subcommand)]
pub enum ServiceCommand {
    /// Register a service; prints its access key, this once.
    Add(ServiceArguments),
    /// List the services.
    List {
        #[command(flatten)]
        node: NodeArguments,
        /// A table for people or JSON for programs.
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Refuse a service, for itself and for everybody it acts for, at once.
    Suspend(ServiceArguments),
    /// Take a service again.
    Resume(ServiceArguments),
    /// Give a service a second access key, to change to; prints it, this once.
    NewKey(ServiceArguments),
    /// Take an access key away from a service, with all that it was given by it.
    DeleteKey {
        #[command(flatten)]
        service: ServiceArguments,
        /// The id of the access key.
        #[arg(value_name = "ACCESS_KEY_ID")]
        access_key_id: String,
    },
}

/// A node, and a service.
#[derive(Args)]
pub struct ServiceArguments {
    #[command(flatten)]
    node: NodeArguments,
    /// The service as policies name it, such as s3.amazonaws.com.
    #[arg(value_name = "SERVICE")]
    service: ServiceName,
}

/// Runs `keystead service …`.
pub async fn run(command: ServiceCommand) -> Result<()> {
    let region = String::new();
    match command {
        ServiceCommand::Add(ServiceArguments { node, service }) => {
            let request = proto::AddServiceRequest { region, service: service.to_string() };
            let made = node.connect().await?.api().add_service(request).await;
            show(&service, &AdminClient::told(made)?)
        }
        ServiceCommand::List { node, output } => {
            let request = proto::ListServicesRequest { region };
            let answer = node.connect().await?.api().list_services(request).await;
            list(AdminClient::told(answer)?.services, output)
        }
        ServiceCommand::Suspend(arguments) => suspend(arguments, true).await,
        ServiceCommand::Resume(arguments) => suspend(arguments, false).await,
        ServiceCommand::NewKey(ServiceArguments { node, service }) => {
            let request = proto::CreateServiceKeyRequest { region, service: service.to_string() };
            let made = node.connect().await?.api().create_service_key(request).await;
            show(&service, &AdminClient::told(made)?)
        }
        ServiceCommand::DeleteKey {
            service: ServiceArguments { node, service },
            access_key_id,
        } => {
            let service = service.to_string();
            let request = proto::DeleteServiceKeyRequest { region, service, access_key_id };
            AdminClient::told(node.connect().await?.api().delete_service_key(request).await)?;
            Ok(())
        }
    }
}

async fn suspend(arguments: ServiceArguments, suspended: bool) -> Result<()> {
    let (region, service) = (String::new(), arguments.service.to_string());
    let request = proto::SetServiceSuspendedRequest { region, service, suspended };
    let answer = arguments.node.connect().await?.api().set_service_suspended(request).await;
    AdminClient::told(answer)?;
    Ok(())
}

fn list(services: Vec<proto::Service>, format: Output) -> Result<()> {
    let rows = services.into_iter().map(|service| {
        json!({
            "Service": service.name,
            "AccountId": service.account,
            "Status": if service.suspended { "suspended" } else { "active" },
            "Created": UnixMillis(service.created_ms).to_string(),
            "AccessKeyIds": service.access_key_ids.join(" "),
        })
    });
    let columns = ["Service", "AccountId", "Status", "Created", "AccessKeyIds"];
    output::rows_of(format, "Services", &columns, rows.collect())
}

fn show(service: &ServiceName, key: &proto::ServiceKey) -> Result<()> {
    line(&format!("The access key of {service}, shown this once:"))?;
    line(&format!("export AWS_ACCESS_KEY_ID='{}'", key.access_key_id))?;
    line(&format!("export AWS_SECRET_ACCESS_KEY='{}'", key.secret_access_key))
}
