//! `keystead apply`: a Region's accounts and their entities of IAM as a file declares them.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use keystead_server::admin::proto::{
    ApplyDeclaredRequest, PlanDeclaredRequest, PlanDeclaredResponse, PlannedStep, StepKind,
};
use keystead_server::admin::{AdminClient, AdminClientError};
use keystead_server::boot::{self, NewAccount, Place, Setup};
use keystead_server::declared::{self, DeclaredState};
use keystead_server::process::MemorySeal;
use keystead_server::{AuditTrail, RegionServer};
use keystead_types::{AccountId, Region};

use crate::output::{line, text};
use crate::status::NodeArguments;
use crate::{cluster, declared as file};

/// Arguments of `keystead apply`.
#[derive(Args)]
pub struct ApplyArguments {
    #[command(flatten)]
    node: NodeArguments,
    /// The TOML file that says what shall be.
    #[arg(long, short, value_name = "FILE")]
    file: PathBuf,
    /// The Region; needed where a node serves several.
    #[arg(long, value_name = "REGION", default_value = "")]
    region: String,
    /// Delete users, groups, roles and policies of declared accounts that are not declared.
    #[arg(long)]
    prune: bool,
    /// Show what would change, and change nothing.
    #[arg(long, alias = "dry-run")]
    plan: bool,
    /// Do not ask.
    #[arg(long, conflicts_with = "plan")]
    yes: bool,
}

/// Runs `keystead apply`.
pub async fn run(arguments: ApplyArguments) -> Result<()> {
    let state = file::read(&arguments.file)?;
    let mut client = arguments.node.connect().await?;
    let mut plan = arguments.planned(&mut client, &state).await?;
    loop {
        show(&plan)?;
        if plan.steps.is_empty() || arguments.plan {
            return Ok(());
        }
        if !arguments.yes && !confirmed().await? {
            bail!("nothing was changed");
        }
        match arguments.applied(&mut client, &state, &plan).await {
            Ok(()) => return Ok(()),
            Err(Failed::Outdated) => {
                line("The state has changed since that plan was made. Nothing was done.")?;
                plan = arguments.planned(&mut client, &state).await?;
            }
            Err(Failed::Other(error)) => return Err(error),
        }
        if arguments.yes {
            show(&plan)?;
            bail!("the plan is another one than was shown first; apply again if it is right");
        }
    }
}

/// Why a plan was not carried out.
enum Failed {
    /// It is not the plan any more.
    Outdated,
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

impl ApplyArguments {
    async fn planned(
        &self,
        client: &mut AdminClient,
        state: &DeclaredState,
    ) -> Result<PlanDeclaredResponse> {
        let (region, state) = (self.region.clone(), Some(state.clone()));
        let request = PlanDeclaredRequest { region, state, prune: self.prune };
        Ok(AdminClient::told(client.api().plan_declared(request).await)?)
    }

    async fn applied(
        &self,
        client: &mut AdminClient,
        state: &DeclaredState,
        plan: &PlanDeclaredResponse,
    ) -> Result<(), Failed> {
        let request = ApplyDeclaredRequest {
            region: self.region.clone(),
            state: Some(state.clone()),
            prune: self.prune,
            fingerprint: plan.fingerprint.clone(),
        };
        let answer = AdminClient::told(client.api().apply_declared(request).await);
        let mut steps = match answer {
            Err(AdminClientError::Outdated(_)) => return Err(Failed::Outdated),
            answer => answer?,
        };
        let (mut taken, all) = (0, plan.steps.len());
        loop {
            let next = AdminClient::next(&mut steps).await;
            let next = next.with_context(|| format!("{taken} of {all} steps were taken"))?;
            let Some(step) = next else { break };
            if let (Some(key), Some(shown)) = (step.created, plan.steps.get(taken)) {
                let account = shown.account.parse().context("the node named no account")?;
                cluster::show_access_key(account, &key.access_key_id, &key.secret_access_key)?;
            }
            taken += 1;
        }
        if taken < all {
            Err(anyhow::anyhow!("the node ended after {taken} of {all} steps; apply again"))?;
        }
        line(&format!("Done: {}.", counted(taken)))?;
        Ok(())
    }
}

fn counted(steps: usize) -> String {
    if steps == 1 { "1 step".to_owned() } else { format!("{steps} steps") }
}

fn show(plan: &PlanDeclaredResponse) -> Result<()> {
    if plan.steps.is_empty() {
        return line("Nothing to change.");
    }
    let mut account = "";
    for step in &plan.steps {
        if step.account != account {
            account = &step.account;
            text(&format!("In account {account}:"))?;
        }
        show_step(step)?;
    }
    let of = |kind| plan.steps.iter().filter(|step| step.kind() == kind).count();
    let (create, change, delete) =
        (of(StepKind::Create), of(StepKind::Change), of(StepKind::Delete));
    let steps = counted(plan.steps.len());
    line(&format!("{steps}: {create} to create, {change} to change, {delete} to delete."))
}

fn show_step(step: &PlannedStep) -> Result<()> {
    let sign = match step.kind() {
        StepKind::Create => '+',
        StepKind::Delete => '-',
        StepKind::Change | StepKind::Unspecified => '~',
    };
    let about = if step.what.is_empty() { String::new() } else { format!(": {}", step.what) };
    text(&format!("  {sign} {}{about}", step.entity))?;
    for (sign, said) in [('-', &step.before), ('+', &step.after)] {
        if let Some(said) = said {
            text(&format!("      {sign} {said}"))?;
        }
    }
    Ok(())
}

/// Whether whoever sits at the terminal agrees.
async fn confirmed() -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("there is no terminal to ask at; say --yes to apply this plan, or --plan to see it");
    }
    write!(std::io::stdout(), "Apply this plan? Only \"yes\" does: ")?;
    std::io::stdout().flush()?;
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map(|_| answer)
    });
    Ok(answer.await??.trim() == "yes")
}

/// Checks declared state for a cluster that does not exist yet, on one in memory with the same
/// first account: what is refused is refused before anything is made.
pub async fn try_out(region: &Region, first: AccountId, state: &DeclaredState) -> Result<()> {
    let seal = MemorySeal::generate()?;
    let server = Setup::alone(region, &Place::Memory, &seal).open_or_initialise().await?;
    let server = Arc::new(server);
    boot::ensure_account(&server, &NewAccount::generate(first)?).await?;
    let checked = declared::check(&server, state).await;
    server.node().shutdown().await?;
    Ok(checked?)
}

/// Applies declared state to a Region that has just been started, and shows the access keys of the
/// accounts that it creates.
pub async fn at_start(
    region: &Arc<RegionServer>,
    audit: &Arc<AuditTrail>,
    state: &DeclaredState,
    path: &Path,
) -> Result<()> {
    let applied = declared::apply_at_start(region, audit, state).await;
    for new in applied.with_context(|| format!("apply {}", path.display()))? {
        cluster::show_access_key(new.account, new.access_key_id.as_str(), &new.secret)?;
    }
    Ok(())
}
