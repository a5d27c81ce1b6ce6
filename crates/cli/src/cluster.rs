//! `keystead cluster` and `keystead account`: making clusters, and what their operators do.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use clap::{Args, Subcommand};
use keystead_server::RegionServer;
use keystead_server::admin::{AdminClient, proto};
use keystead_server::boot::{self, NewAccount, Place, Setup};
use keystead_server::cluster;
use keystead_server::peer::GrpcTransport;
use keystead_server::peer::join::Secret;
use keystead_server::process::{FileSeal, random};
use keystead_types::{AccountId, UnixMillis};
use serde_json::{Value, json};

use crate::config::Config;
use crate::key::Output;
use crate::output::{self, line};
use crate::server::{ConfigArguments, join_secret, open_audit, setup};
use crate::status::NodeArguments;
use crate::{apply, declared, logging, serve};

/// `keystead cluster`
#[derive(Subcommand)]
pub enum ClusterCommand {
    /// Make a new cluster: its root key, its first account, that account's access key.
    Init {
        #[command(flatten)]
        config: ConfigArguments,
        /// The first account.
        #[arg(long, value_name = "ID")]
        account: AccountId,
        /// What shall be in it from the start, as `keystead apply` has it.
        #[arg(long, value_name = "FILE")]
        apply: Option<PathBuf>,
    },
    /// Make an empty data folder that of a new member; `keystead server` then starts it.
    Join(JoinArguments),
    /// Show the members of a node's cluster.
    Status {
        #[command(flatten)]
        node: NodeArguments,
        /// A table for people or JSON for programs.
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Give a learner a vote.
    Promote(MemberArguments),
    /// Take a member out of the cluster.
    Remove(MemberArguments),
    /// Let another member lead: the one that is named, else any, if the node asked leads.
    TransferLeader {
        #[command(flatten)]
        node: NodeArguments,
        /// A member's name or node id.
        #[arg(value_name = "NODE")]
        member: Option<String>,
    },
    /// Print the certificate, the key and what else a new node needs that cannot ask for them.
    IssueNodeCert {
        #[command(flatten)]
        node: NodeArguments,
    },
}

/// Arguments of `keystead cluster join`.
#[derive(Args)]
pub struct JoinArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The file with the join secret; else cluster.join_secret.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Host and port of a member; may be given several times; else cluster.seeds.
    #[arg(long = "seed", value_name = "HOST:PORT")]
    seeds: Vec<String>,
    /// What `keystead cluster issue-node-cert` printed, in a file: nobody is asked then.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["secret_file", "seeds"])]
    admission: Option<PathBuf>,
}

/// Arguments that name a member.
#[derive(Args)]
pub struct MemberArguments {
    #[command(flatten)]
    node: NodeArguments,
    /// A member's name or node id.
    #[arg(value_name = "NODE")]
    member: String,
}

/// `keystead account`
#[derive(Subcommand)]
pub enum AccountCommand {
    /// Create an account; prints its root's access key, this once.
    Create(AccountArguments),
    /// Refuse all callers of an account, at once. Its keys stay.
    Suspend(AccountArguments),
    /// Take the callers of an account again.
    Resume(AccountArguments),
    /// End all sessions that were issued up to now: of a user, of a role, or of the root.
    RevokeSessions(RevokeArguments),
    /// List the accounts.
    List {
        #[command(flatten)]
        node: NodeArguments,
        /// A table for people or JSON for programs.
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
}

/// A node, and an account of it.
#[derive(Args)]
pub struct AccountArguments {
    #[command(flatten)]
    node: NodeArguments,
    /// Twelve digits.
    #[arg(value_name = "ID")]
    account: AccountId,
}

/// A node, and somebody who has sessions.
#[derive(Args)]
pub struct RevokeArguments {
    #[command(flatten)]
    node: NodeArguments,
    /// Twelve digits.
    #[arg(long, value_name = "ID")]
    account: AccountId,
    /// A user of the account.
    #[arg(long, value_name = "NAME", conflicts_with = "role")]
    user: Option<String>,
    /// A role of the account. Without either, its root.
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
}

impl RevokeArguments {
    async fn revoke(self) -> Result<()> {
        use proto::revoke_sessions_request::Of;
        let of = self.user.map(Of::User).or(self.role.map(Of::Role));
        let (region, account) = (String::new(), self.account.to_string());
        let request = proto::RevokeSessionsRequest { region, account, of };
        AdminClient::told(self.node.connect().await?.api().revoke_sessions(request).await)?;
        Ok(())
    }
}

impl AccountArguments {
    async fn suspend(self, suspended: bool) -> Result<()> {
        let (region, account) = (String::new(), self.account.to_string());
        let request = proto::SetAccountSuspendedRequest { region, account, suspended };
        let answer = self.node.connect().await?.api().set_account_suspended(request).await;
        AdminClient::told(answer)?;
        Ok(())
    }
}

/// Runs `keystead cluster …`.
pub async fn run(command: ClusterCommand) -> Result<()> {
    let region = String::new();
    match command {
        ClusterCommand::Init { config, account, apply } => {
            init(&config, account, apply.as_deref()).await
        }
        ClusterCommand::Join(arguments) => join(arguments).await,
        ClusterCommand::Status { node, output } => status(&node, output).await,
        ClusterCommand::Promote(MemberArguments { node, member }) => {
            let request = proto::PromoteRequest { region, node: member };
            AdminClient::told(node.connect().await?.api().promote(request).await)?;
            Ok(())
        }
        ClusterCommand::Remove(MemberArguments { node, member }) => {
            let request = proto::RemoveRequest { region, node: member };
            AdminClient::told(node.connect().await?.api().remove(request).await)?;
            Ok(())
        }
        ClusterCommand::TransferLeader { node, member } => {
            let node_named = member.unwrap_or_default();
            let request = proto::TransferLeadershipRequest { region, node: node_named };
            AdminClient::told(node.connect().await?.api().transfer_leadership(request).await)?;
            Ok(())
        }
        ClusterCommand::IssueNodeCert { node } => issue(&node).await,
    }
}

/// Runs `keystead account …`.
pub async fn account(command: AccountCommand) -> Result<()> {
    let region = String::new();
    match command {
        AccountCommand::Create(AccountArguments { node, account }) => {
            let request = proto::CreateAccountRequest { region, account: account.to_string() };
            let answer = node.connect().await?.api().create_account(request).await;
            let made = AdminClient::told(answer)?;
            show_access_key(account, &made.access_key_id, &made.secret_access_key)
        }
        AccountCommand::Suspend(arguments) => arguments.suspend(true).await,
        AccountCommand::Resume(arguments) => arguments.suspend(false).await,
        AccountCommand::RevokeSessions(arguments) => arguments.revoke().await,
        AccountCommand::List { node, output } => {
            let request = proto::ListAccountsRequest { region };
            let answer = node.connect().await?.api().list_accounts(request).await;
            let rows: Vec<Value> = AdminClient::told(answer)?
                .accounts
                .into_iter()
                .map(|found| {
                    let created = UnixMillis(found.created_ms).to_string();
                    let status = if found.suspended { "suspended" } else { "active" };
                    json!({ "AccountId": found.id, "Status": status, "Created": created })
                })
                .collect();
            output::rows_of(output, "Accounts", &["AccountId", "Status", "Created"], rows)
        }
    }
}

async fn init(
    arguments: &ConfigArguments,
    account: AccountId,
    declared: Option<&Path>,
) -> Result<()> {
    logging::install(false);
    serve::harden();
    let config = Config::load(&arguments.config)?;
    let declared = match declared {
        Some(path) => {
            let state = declared::read(path)?;
            let tried = apply::try_out(&config.region, account, &state).await;
            tried.with_context(|| format!("apply {}", path.display()))?;
            Some((path, state, open_audit(&config)?))
        }
        None => None,
    };
    let seal = if config.seal.exists() {
        FileSeal::open(&config.seal)?
    } else {
        FileSeal::create(&config.seal)?
    };
    if let Some(path) = config.cluster.join_secret.as_deref().filter(|path| !path.exists()) {
        make_join_secret(path)?;
    }
    let place = Place::Folder(config.data_dir.clone());
    let setup = setup(&config, &place, &seal, Arc::new(GrpcTransport::new()), None);
    let server = setup.open_or_initialise().await?;
    let regions = [Arc::new(server)];
    let founding = async {
        found(&config, &regions[0], account).await?;
        let Some((path, state, audit)) = &declared else { return Ok(()) };
        apply::at_start(&regions[0], audit, state, path).await?;
        line(&format!("What {} declares is there.", path.display()))
    };
    let outcome = founding.await;
    serve::shut_down(&regions, outcome).await
}

async fn found(config: &Config, server: &RegionServer, account: AccountId) -> Result<()> {
    if server.view().accounts().next().is_some() {
        bail!("{} holds a cluster already; nothing was changed", config.data_dir.display());
    }
    cluster::ensure_identity(server, &config.data_dir).await?;
    let new = NewAccount::generate(account)?;
    boot::ensure_account(server, &new).await?;
    line(&format!("A new cluster serves {} from {}.", config.region, config.data_dir.display()))?;
    line(&format!("Back up the seal file {}: without it the data", config.seal.display()))?;
    line("cannot be read by anybody, and with it by anybody.")?;
    line("")?;
    show_access_key(account, new.access_key_id.as_str(), &new.secret)
}

/// Prints the access key of a new account's root.
pub fn show_access_key(account: AccountId, id: &str, secret: &str) -> Result<()> {
    line(&format!("The root access key of account {account}, shown this once:"))?;
    line(&format!("export AWS_ACCESS_KEY_ID='{id}'"))?;
    line(&format!("export AWS_SECRET_ACCESS_KEY='{secret}'"))
}

/// A new join secret: 256 random bits in base 64, for its owner only.
fn make_join_secret(path: &Path) -> Result<()> {
    let failed = || format!("make the join secret {}", path.display());
    let secret = URL_SAFE_NO_PAD.encode(random::bytes::<32>()?);
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create_new(true).mode(0o600).open(path).with_context(failed)?;
    writeln!(file, "{secret}").with_context(failed)
}

async fn join(arguments: JoinArguments) -> Result<()> {
    logging::install(false);
    serve::harden();
    let config = Config::load(&arguments.config.config)?;
    let seal = FileSeal::open(&config.seal).context("open the seal of the cluster")?;
    let place = Place::Folder(config.data_dir.clone());
    if Setup::alone(&config.region, &place, &seal).is_formatted()? {
        bail!("{} belongs to a cluster already; nothing was changed", config.data_dir.display());
    }
    if let Some(path) = &arguments.admission {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("read the admission {}", path.display()))?;
        let admission =
            read_admission(&text).with_context(|| format!("{} is no admission", path.display()))?;
        cluster::admit_self(&config.region, &config.data_dir, &seal, admission)?;
    } else {
        let secret = match &arguments.secret_file {
            Some(path) => {
                let read = || format!("read the join secret {}", path.display());
                let bytes = std::fs::read(path).with_context(read)?;
                Secret::new(&bytes).with_context(read)?
            }
            None => {
                join_secret(&config)?.context("say --secret-file or set cluster.join_secret")?
            }
        };
        let seeds =
            if arguments.seeds.is_empty() { &config.cluster.seeds } else { &arguments.seeds };
        cluster::join(&config.region, &config.data_dir, &seal, seeds, &secret).await?;
    }
    line(&format!("{} belongs to the cluster now. Start it with", config.data_dir.display()))?;
    line(&format!("  keystead server --config {}", arguments.config.config.display()))
}

async fn status(node: &NodeArguments, shown: Output) -> Result<()> {
    let request = proto::MembersRequest::default();
    let found = AdminClient::told(node.connect().await?.api().members(request).await)?;
    let role = |member: &proto::Member| match (member.leader, member.voter) {
        (true, _) => "leader",
        (false, true) => "follower",
        (false, false) => "learner",
    };
    let rows: Vec<Value> = found
        .members
        .iter()
        .map(|member| {
            json!({
                "Name": member.name,
                "NodeId": member.node_id,
                "Address": member.address,
                "Role": role(member),
                "Voter": member.voter,
                "MatchedIndex": member.matched,
            })
        })
        .collect();
    let columns = ["Name", "NodeId", "Address", "Role", "Voter", "MatchedIndex"];
    match shown {
        Output::Table => output::table(&columns, &rows),
        Output::Json => {
            let members = json!({
                "Region": found.region,
                "Leader": found.leader,
                "Members": rows,
            });
            output::object(true, &members)
        }
    }
}

async fn issue(node: &NodeArguments) -> Result<()> {
    let request = proto::IssueNodeCertificateRequest::default();
    let answer = node.connect().await?.api().issue_node_certificate(request).await;
    let made = AdminClient::told(answer)?;
    let roots = made.roots.iter().map(|root| {
        json!({
            "SealId": root.seal_id,
            "CheckValue": STANDARD.encode(&root.check_value),
            "Blob": STANDARD.encode(&root.blob),
        })
    });
    let admission = json!({
        "NodeId": made.node_id,
        "ClusterId": made.cluster_id,
        "Region": made.region,
        "Certificate": STANDARD.encode(&made.certificate),
        "Authority": STANDARD.encode(&made.authority),
        "Key": STANDARD.encode(&made.key),
        "Roots": roots.collect::<Vec<_>>(),
    });
    output::object(true, &admission)
}

fn read_admission(text: &str) -> Result<cluster::IssuedAdmission> {
    let value: Value = serde_json::from_str(text)?;
    let text = |value: &Value, name: &str| {
        value[name].as_str().map(str::to_owned).with_context(|| format!("{name} is missing"))
    };
    let bytes =
        |value: &Value, name: &str| Ok::<_, anyhow::Error>(STANDARD.decode(text(value, name)?)?);
    let roots = value["Roots"].as_array().context("Roots is missing")?;
    let roots = roots
        .iter()
        .map(|root| Ok((text(root, "SealId")?, bytes(root, "CheckValue")?, bytes(root, "Blob")?)));
    Ok(cluster::IssuedAdmission {
        node_id: u64::from_str_radix(&text(&value, "NodeId")?, 16)?,
        cluster_id: text(&value, "ClusterId")?.parse()?,
        region: text(&value, "Region")?.parse()?,
        certificate: bytes(&value, "Certificate")?,
        authority: bytes(&value, "Authority")?,
        key: bytes(&value, "Key")?.into(),
        roots: roots.collect::<Result<_>>()?,
    })
}
