//! The calls of the admin API.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use keystead_crypto::random;
use keystead_raft::{Change, ChangeError, Role};
use keystead_state::View;
use keystead_types::{AccountId, NodeId, RequestId};
use tonic::transport::server::UdsConnectInfo;
use tonic::{Request, Response, Status};

use super::proto::admin_server::Admin;
use super::proto::revoke_sessions_request::Of;
use super::proto::{self, StatusRequest, StatusResponse};
use super::{regions, services};
use crate::audit::{AuditTrail, Operator, OperatorRecord};
use crate::boot::{self, NewAccount};
use crate::clock;
use crate::cluster::{self, Credentials};
use crate::declared::{DeclaredState, Plan, Problems, Run, StepError};
use crate::explain::{Explainer, NoAnswer};
use crate::region::RegionServer;

/// How long it may take to learn of the newest state.
const BARRIER_TIME: Duration = Duration::from_secs(5);

/// Answers operators.
pub(super) struct AdminService {
    regions: Vec<Arc<RegionServer>>,
    audit: Arc<AuditTrail>,
}

impl AdminService {
    pub(super) fn new(regions: Vec<Arc<RegionServer>>, audit: Arc<AuditTrail>) -> Self {
        Self { regions, audit }
    }

    /// Writes down who calls what, and tells who it is. Every call begins with it.
    fn note<T>(&self, request: &Request<T>, operation: &'static str) -> Result<Operator, Status> {
        let operator = operator(request);
        let operator =
            operator.ok_or_else(|| Status::unauthenticated("The caller has no name."))?;
        let id = random::bytes().map_err(|_| Status::internal("No randomness."))?;
        let id = RequestId::from_random(id);
        let record = OperatorRecord::new(&operator, operation, id, clock::now());
        self.audit.append(&record).map_err(|error| {
            tracing::error!(%error, operation, "an admin call could not be audited");
            Status::internal("The call was not answered: the audit trail cannot be written.")
        })?;
        Ok(operator)
    }

    /// The Region that a call is about.
    fn region(&self, name: &str) -> Result<&Arc<RegionServer>, Status> {
        let found = match (name, self.regions.as_slice()) {
            ("", [only]) => Some(only),
            ("", _) => return Err(Status::invalid_argument("say which Region")),
            _ => self.regions.iter().find(|region| region.name().as_str() == name),
        };
        let unknown = || Status::not_found(format!("Region {name} is not served here"));
        found.ok_or_else(unknown)
    }

    /// An answer from a Region's newest state, which may take long to look through.
    async fn look<T: Send + 'static>(
        &self,
        region: &str,
        answer: impl FnOnce(Explainer<'_>) -> Result<T, NoAnswer> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        let (region, view) = self.newest(region).await?;
        let looking =
            tokio::task::spawn_blocking(move || answer(Explainer { region: &region, view: &view }));
        let answer = looking.await.map_err(|_| Status::internal("The answer was not found."))?;
        answer.map(Response::new).map_err(|error| match error {
            NoAnswer::Invalid(text) => Status::invalid_argument(text),
            NoAnswer::Absent(text) => Status::not_found(text),
        })
    }

    /// A Region, and its newest state.
    async fn newest(&self, region: &str) -> Result<(Arc<RegionServer>, Arc<View>), Status> {
        let region = Arc::clone(self.region(region)?);
        let newest = region.barrier(Instant::now() + BARRIER_TIME).await;
        let view =
            newest.map_err(|error| Status::unavailable(error.message().unwrap_or_default()))?;
        Ok((region, view))
    }

    /// How a Region's newest state becomes what is declared.
    async fn plan(
        &self,
        region: &str,
        wanted: Option<DeclaredState>,
        prune: bool,
    ) -> Result<(Arc<RegionServer>, Plan), Status> {
        let (region, view) = self.newest(region).await?;
        let planning = tokio::task::spawn_blocking(move || {
            let plan = Plan::new(&region, &view, &wanted.unwrap_or_default(), prune)?;
            Ok::<_, Problems>((region, plan))
        });
        let planned = planning.await.map_err(|_| Status::internal("No plan was found."))?;
        planned.map_err(|problems| Status::invalid_argument(problems.to_string()))
    }

    async fn change(
        &self,
        region: &str,
        change: impl FnOnce(&RegionServer) -> Result<Change, Status>,
    ) -> Result<Response<proto::ChangeResponse>, Status> {
        let region = self.region(region)?;
        match region.node().change(change(region)?).await {
            Ok(_) => Ok(Response::new(proto::ChangeResponse {})),
            Err(error @ ChangeError::NoLeader { .. }) => {
                Err(Status::unavailable(error.to_string()))
            }
            Err(error @ ChangeError::Refused(_)) => {
                Err(Status::failed_precondition(error.to_string()))
            }
        }
    }
}

/// Who calls: the listener found it out, or the kernel knows it of whoever has the socket open.
fn operator<T>(request: &Request<T>) -> Option<Operator> {
    if let Some(remote) = request.extensions().get::<Operator>() {
        return Some(remote.clone());
    }
    let peer = request.extensions().get::<UdsConnectInfo>()?.peer_cred?;
    Some(Operator::Local { user: peer.uid(), process: peer.pid() })
}

/// The member that an operator means: by its node id or, where only one has it, its name.
fn member(region: &RegionServer, named: &str) -> Result<NodeId, Status> {
    let members = region.node().status().members;
    let by_id = members.iter().find(|known| known.id.to_string() == named);
    let mut by_name = members.iter().filter(|known| known.member.name == named);
    match (by_id, by_name.next(), by_name.next()) {
        (Some(found), _, _) | (None, Some(found), None) => Ok(found.id),
        (None, Some(_), Some(_)) => Err(Status::invalid_argument(format!(
            "several members are called {named:?}; say the node id"
        ))),
        (None, None, _) => Err(Status::not_found(format!("no member is called {named:?}"))),
    }
}

#[tonic::async_trait]
impl Admin for AdminService {
    async fn status(
        &self,
        request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        self.note(&request, "Status")?;
        Ok(Response::new(StatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            regions: self.regions.iter().map(|region| region_status(region)).collect(),
        }))
    }

    async fn members(
        &self,
        request: Request<proto::MembersRequest>,
    ) -> Result<Response<proto::MembersResponse>, Status> {
        self.note(&request, "Members")?;
        let region = self.region(&request.get_ref().region)?;
        let status = region.node().status();
        let members = status.members.into_iter().map(|known| proto::Member {
            leader: status.leader == Some(known.id),
            self_: status.node_id == known.id,
            name: known.member.name,
            node_id: known.id.to_string(),
            address: known.member.address,
            voter: known.voter,
            matched: known.matched,
        });
        let members: Vec<_> = members.collect();
        let leader = members.iter().find(|member| member.leader).map(|leader| leader.name.clone());
        let region = region.name().to_string();
        Ok(Response::new(proto::MembersResponse { region, leader, members }))
    }

    async fn promote(
        &self,
        request: Request<proto::PromoteRequest>,
    ) -> Result<Response<proto::ChangeResponse>, Status> {
        self.note(&request, "Promote")?;
        let proto::PromoteRequest { region, node } = request.get_ref();
        self.change(region, |region| Ok(Change::Promote(member(region, node)?))).await
    }

    async fn remove(
        &self,
        request: Request<proto::RemoveRequest>,
    ) -> Result<Response<proto::ChangeResponse>, Status> {
        self.note(&request, "Remove")?;
        let proto::RemoveRequest { region, node } = request.get_ref();
        self.change(region, |region| Ok(Change::Remove(member(region, node)?))).await
    }

    async fn transfer_leadership(
        &self,
        request: Request<proto::TransferLeadershipRequest>,
    ) -> Result<Response<proto::ChangeResponse>, Status> {
        self.note(&request, "TransferLeadership")?;
        let proto::TransferLeadershipRequest { region, node } = request.get_ref();
        if node.is_empty() && !self.region(region)?.node().leads() {
            return Ok(Response::new(proto::ChangeResponse {}));
        }
        let change = |region: &RegionServer| {
            let to = (!node.is_empty()).then(|| member(region, node)).transpose()?;
            Ok(Change::TransferLeader(to))
        };
        self.change(region, change).await
    }

    async fn issue_node_certificate(
        &self,
        request: Request<proto::IssueNodeCertificateRequest>,
    ) -> Result<Response<proto::IssueNodeCertificateResponse>, Status> {
        self.note(&request, "IssueNodeCertificate")?;
        let region = self.region(&request.get_ref().region)?;
        let failed = |error: &dyn std::fmt::Display| Status::internal(error.to_string());
        let node = random::bytes().map_err(|error| failed(&error))?;
        let node = NodeId(u64::from_be_bytes(node));
        let credentials = Credentials::generate(node).map_err(|error| failed(&error))?;
        let admitted = cluster::admission(region, node, credentials.public_key());
        let admission = admitted.map_err(Status::failed_precondition)?;
        let roots = admission.roots.into_iter().map(|root| proto::SealedRoot {
            seal_id: root.seal_id,
            check_value: root.check_value,
            blob: root.blob,
        });
        Ok(Response::new(proto::IssueNodeCertificateResponse {
            node_id: node.to_string(),
            cluster_id: admission.cluster_id.to_string(),
            region: admission.region.to_string(),
            certificate: admission.certificate,
            authority: admission.authority,
            key: credentials.key().to_vec(),
            roots: roots.collect(),
        }))
    }

    async fn create_account(
        &self,
        request: Request<proto::CreateAccountRequest>,
    ) -> Result<Response<proto::CreateAccountResponse>, Status> {
        self.note(&request, "CreateAccount")?;
        let proto::CreateAccountRequest { region, account } = request.get_ref();
        let region = self.region(region)?;
        let account = account_id(account)?;
        if region.view().account(account).is_some() {
            return Err(Status::already_exists(format!("account {account} exists already")));
        }
        let new = NewAccount::generate(account).map_err(refused)?;
        boot::ensure_account(region, &new).await.map_err(refused)?;
        Ok(Response::new(proto::CreateAccountResponse {
            access_key_id: new.access_key_id.to_string(),
            secret_access_key: new.secret.to_string(),
        }))
    }

    async fn list_accounts(
        &self,
        request: Request<proto::ListAccountsRequest>,
    ) -> Result<Response<proto::ListAccountsResponse>, Status> {
        self.note(&request, "ListAccounts")?;
        let view = self.region(&request.get_ref().region)?.view();
        let accounts = view.accounts().filter(|account| account.service.is_none());
        let accounts = accounts.map(|account| proto::Account {
            id: account.id.to_string(),
            created_ms: account.created.0,
            suspended: account.suspended,
        });
        Ok(Response::new(proto::ListAccountsResponse { accounts: accounts.collect() }))
    }

    async fn set_account_suspended(
        &self,
        request: Request<proto::SetAccountSuspendedRequest>,
    ) -> Result<Response<proto::SetAccountSuspendedResponse>, Status> {
        let suspended = request.get_ref().suspended;
        self.note(&request, if suspended { "SuspendAccount" } else { "ResumeAccount" })?;
        let proto::SetAccountSuspendedRequest { region, account, .. } = request.get_ref();
        let region = self.region(region)?;
        boot::suspend_account(region, account_id(account)?, suspended).await.map_err(refused)?;
        Ok(Response::new(proto::SetAccountSuspendedResponse {}))
    }

    async fn revoke_sessions(
        &self,
        request: Request<proto::RevokeSessionsRequest>,
    ) -> Result<Response<proto::RevokeSessionsResponse>, Status> {
        self.note(&request, "RevokeSessions")?;
        let proto::RevokeSessionsRequest { region, account, of } = request.into_inner();
        let region = self.region(&region)?;
        let owner = match of {
            None => boot::SessionOwner::Root,
            Some(Of::User(name)) => boot::SessionOwner::User(name),
            Some(Of::Role(name)) => boot::SessionOwner::Role(name),
        };
        boot::revoke_sessions(region, account_id(&account)?, owner).await.map_err(refused)?;
        Ok(Response::new(proto::RevokeSessionsResponse {}))
    }

    async fn show_region(
        &self,
        request: Request<proto::ShowRegionRequest>,
    ) -> Result<Response<proto::RegionCard>, Status> {
        self.note(&request, "ShowRegion")?;
        let region = self.region(&request.get_ref().region)?;
        regions::card(region).await.map(Response::new)
    }

    async fn add_region_peer(
        &self,
        request: Request<proto::AddRegionPeerRequest>,
    ) -> Result<Response<proto::ChangeResponse>, Status> {
        self.note(&request, "AddRegionPeer")?;
        let region = self.region(&request.get_ref().region)?;
        regions::add(region, request.get_ref()).await?;
        Ok(Response::new(proto::ChangeResponse {}))
    }

    async fn remove_region_peer(
        &self,
        request: Request<proto::RemoveRegionPeerRequest>,
    ) -> Result<Response<proto::ChangeResponse>, Status> {
        self.note(&request, "RemoveRegionPeer")?;
        let proto::RemoveRegionPeerRequest { region, peer } = request.get_ref();
        regions::remove(self.region(region)?, peer).await?;
        Ok(Response::new(proto::ChangeResponse {}))
    }

    async fn list_region_peers(
        &self,
        request: Request<proto::ListRegionPeersRequest>,
    ) -> Result<Response<proto::ListRegionPeersResponse>, Status> {
        self.note(&request, "ListRegionPeers")?;
        let region = self.region(&request.get_ref().region)?;
        Ok(Response::new(regions::list(region)))
    }

    async fn add_service(
        &self,
        request: Request<proto::AddServiceRequest>,
    ) -> Result<Response<proto::ServiceKey>, Status> {
        self.note(&request, "AddService")?;
        let proto::AddServiceRequest { region, service } = request.get_ref();
        services::add(self.region(region)?, service).await.map(Response::new)
    }

    async fn list_services(
        &self,
        request: Request<proto::ListServicesRequest>,
    ) -> Result<Response<proto::ListServicesResponse>, Status> {
        self.note(&request, "ListServices")?;
        let region = self.region(&request.get_ref().region)?;
        Ok(Response::new(services::list(&region.view())))
    }

    async fn set_service_suspended(
        &self,
        request: Request<proto::SetServiceSuspendedRequest>,
    ) -> Result<Response<proto::SetServiceSuspendedResponse>, Status> {
        let proto::SetServiceSuspendedRequest { region, service, suspended } = request.get_ref();
        self.note(&request, if *suspended { "SuspendService" } else { "ResumeService" })?;
        services::suspend(self.region(region)?, service, *suspended).await?;
        Ok(Response::new(proto::SetServiceSuspendedResponse {}))
    }

    async fn create_service_key(
        &self,
        request: Request<proto::CreateServiceKeyRequest>,
    ) -> Result<Response<proto::ServiceKey>, Status> {
        self.note(&request, "CreateServiceKey")?;
        let proto::CreateServiceKeyRequest { region, service } = request.get_ref();
        services::create_key(self.region(region)?, service).await.map(Response::new)
    }

    async fn delete_service_key(
        &self,
        request: Request<proto::DeleteServiceKeyRequest>,
    ) -> Result<Response<proto::DeleteServiceKeyResponse>, Status> {
        self.note(&request, "DeleteServiceKey")?;
        let proto::DeleteServiceKeyRequest { region, service, access_key_id } = request.get_ref();
        services::delete_key(self.region(region)?, service, access_key_id).await?;
        Ok(Response::new(proto::DeleteServiceKeyResponse {}))
    }

    async fn plan_declared(
        &self,
        request: Request<proto::PlanDeclaredRequest>,
    ) -> Result<Response<proto::PlanDeclaredResponse>, Status> {
        self.note(&request, "PlanDeclared")?;
        let proto::PlanDeclaredRequest { region, state, prune } = request.into_inner();
        let (_, plan) = self.plan(&region, state, prune).await?;
        Ok(Response::new(plan.shown()))
    }

    type ApplyDeclaredStream = BoxStream<'static, Result<proto::AppliedStep, Status>>;

    async fn apply_declared(
        &self,
        request: Request<proto::ApplyDeclaredRequest>,
    ) -> Result<Response<Self::ApplyDeclaredStream>, Status> {
        let operator = self.note(&request, "ApplyDeclared")?;
        let proto::ApplyDeclaredRequest { region, state, prune, fingerprint } =
            request.into_inner();
        let (region, plan) = self.plan(&region, state, prune).await?;
        if plan.shown().fingerprint != fingerprint {
            return Err(Status::aborted("the plan is another one than was shown; nothing changed"));
        }
        let run = Run::new(plan, region, self.audit.clone(), operator);
        Ok(Response::new(steps(run).boxed()))
    }

    async fn explain(
        &self,
        request: Request<proto::ExplainRequest>,
    ) -> Result<Response<proto::ExplainResponse>, Status> {
        self.note(&request, "Explain")?;
        let proto::ExplainRequest { region, principal, supposition } = request.into_inner();
        let asked = supposition.unwrap_or_default();
        self.look(&region, move |at| at.explain(&principal, &asked)).await
    }

    async fn who_can(
        &self,
        request: Request<proto::WhoCanRequest>,
    ) -> Result<Response<proto::WhoCanResponse>, Status> {
        self.note(&request, "WhoCan")?;
        let proto::WhoCanRequest { region, supposition } = request.into_inner();
        let asked = supposition.unwrap_or_default();
        self.look(&region, move |at| at.who_can(&asked)).await
    }

    async fn erasure_status(
        &self,
        request: Request<proto::ErasureStatusRequest>,
    ) -> Result<Response<proto::ErasureStatusResponse>, Status> {
        self.note(&request, "ErasureStatus")?;
        let proto::ErasureStatusRequest { region, key } = request.into_inner();
        self.look(&region, move |at| at.erasure_status(&key)).await
    }

    async fn report(
        &self,
        request: Request<proto::ReportRequest>,
    ) -> Result<Response<proto::ReportResponse>, Status> {
        self.note(&request, "Report")?;
        let proto::ReportRequest { region, older_than_ms } = request.into_inner();
        self.look(&region, move |at| Ok(at.report(older_than_ms))).await
    }
}

/// Takes a step for each one that is asked for, until one fails.
fn steps(run: Run) -> impl Stream<Item = Result<proto::AppliedStep, Status>> {
    stream::unfold(Some(run), async |run| {
        let mut run = run?;
        match run.next().await {
            Ok(None) => None,
            Ok(Some(taken)) => {
                let created = taken.created.map(|new| proto::RootAccessKey {
                    access_key_id: new.access_key_id.to_string(),
                    secret_access_key: new.secret.to_string(),
                });
                Some((Ok(proto::AppliedStep { step: taken.number, created }), Some(run)))
            }
            Err(error) => Some((Err(not_taken(&error)), None)),
        }
    })
}

fn not_taken(error: &StepError) -> Status {
    let text = error.to_string();
    match error {
        StepError::Audit(_) => Status::internal(text),
        StepError::Changed(_) | StepError::Refused(..) => Status::failed_precondition(text),
        StepError::Unacknowledged(..) => Status::unavailable(text),
    }
}

fn account_id(text: &str) -> Result<AccountId, Status> {
    text.parse().map_err(|_| Status::invalid_argument(format!("{text:?} is no account id")))
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn refused(error: boot::BootError) -> Status {
    Status::failed_precondition(error.to_string())
}

fn region_status(region: &RegionServer) -> proto::RegionStatus {
    let (status, view) = (region.node().status(), region.view());
    proto::RegionStatus {
        name: region.name().to_string(),
        cluster_id: status.cluster_id.to_string(),
        node_id: status.node_id.to_string(),
        role: role(status.role).into(),
        term: status.term,
        leader: status.leader.map(|leader| leader.to_string()),
        last_log: status.last_log,
        applied: status.applied,
        snapshot: status.snapshot.map(|(index, digest)| proto::Snapshot {
            index,
            digest: keystead_types::lower_hex(&digest),
        }),
        purged: status.purged,
        accounts: view.accounts().count() as u64,
        keys: view.key_count() as u64,
        cluster_version: view.cluster_version(),
        clock_ms: view.clock().0,
        disk_full: status.disk_full,
        failure: status.failure,
    }
}

fn role(role: Role) -> proto::Role {
    match role {
        Role::Learner => proto::Role::Learner,
        Role::Follower => proto::Role::Follower,
        Role::Candidate => proto::Role::Candidate,
        Role::Leader => proto::Role::Leader,
        Role::Stopping => proto::Role::Stopping,
    }
}
