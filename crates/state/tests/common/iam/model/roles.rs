//! What the commands on roles and sessions do to the model.

use keystead_state::proto::command::Operation;
use keystead_state::proto::{self, EntityKind, Reason};

use super::super::trust;
use super::*;

impl Model {
    pub(super) fn act_on_roles(&mut self, at: u64, operation: &Operation) -> Answer<()> {
        match operation {
            Operation::CreateRole(op) => self.create_role(at, op),
            Operation::UpdateRole(op) => {
                let role = self.role(at, op.account, &op.role)?;
                let seconds = op.max_session_seconds.unwrap_or(role.seconds);
                ensure((3600..=43200).contains(&seconds), Reason::Malformed)?;
                role.seconds = seconds;
                if let Some(description) = &op.description {
                    role.description.clone_from(description);
                }
                let id = role.id.clone();
                self.lose(&id);
                Ok(())
            }
            Operation::UpdateAssumeRolePolicy(op) => {
                let id = self.role(at, op.account, &op.role)?.id.clone();
                let trust = self.bound_trust(&op.trust_policy)?;
                self.role(at, op.account, &op.role)?.trust = trust;
                self.lose(&id);
                Ok(())
            }
            Operation::PutRoleBoundary(op) => {
                self.role(at, op.account, &op.role)?;
                let policy = self.policy(at, op.account, &op.policy)?.id.clone();
                self.bound_role(at, op.account, &op.role, Some(policy))
            }
            Operation::DeleteRoleBoundary(op) => self.bound_role(at, op.account, &op.role, None),
            Operation::RevokeSessions(op) => self.revoke(at, op),
            other => panic!("not of IAM: {other:?}"),
        }
    }

    fn create_role(&mut self, at: u64, op: &proto::CreateRole) -> Answer<()> {
        ensure(op.role_id.len() == 21 && good_path(&op.path), Reason::Malformed)?;
        self.free(op.account, &op.name, EntityKind::Role)?;
        ensure(!self.roles.contains_key(&op.role_id), Reason::UniqueIdExists)?;
        let boundary = match op.boundary.as_str() {
            "" => None,
            name => Some(self.policy(at, op.account, name)?.id.clone()),
        };
        ensure((3600..=43200).contains(&op.max_session_seconds), Reason::Malformed)?;
        let mut tags = Tags::new();
        add_tags(&mut tags, &op.tags)?;
        let role = ModelRole {
            id: op.role_id.clone(),
            account: op.account,
            path: op.path.clone(),
            name: op.name.clone(),
            description: op.description.clone(),
            seconds: op.max_session_seconds,
            trust: self.bound_trust(&op.trust_policy)?,
            created: self.clock(),
            tags,
            permissions: ModelPermissions::default(),
            boundary,
        };
        self.lose(&role.id);
        self.roles.insert(role.id.clone(), role);
        Ok(())
    }

    /// One of the few trust policies that the tests use.
    fn bound_trust(&self, text: &str) -> Answer<(String, Option<String>)> {
        ensure(text != "{}", Reason::PolicyMalformed)?;
        ensure(text != trust("999999999999"), Reason::PolicyPrincipal)?;
        let arn = "arn:aws:iam::111122223333:user/alice";
        if text != trust(arn) {
            return Ok((text.to_owned(), None));
        }
        let named = |user: &&ModelUser| {
            format!("arn:aws:iam::{:012}:user{}{}", user.account, user.path, user.name) == arn
        };
        let user = self.users.values().find(named).ok_or(rejected(Reason::PolicyPrincipal))?;
        Ok((text.to_owned(), Some(user.id.clone())))
    }

    fn bound_role(&mut self, at: u64, account: u64, name: &str, to: Option<String>) -> Answer<()> {
        let role = self.role(at, account, name)?;
        if role.boundary != to {
            role.boundary = to;
            let id = role.id.clone();
            self.lose(&id);
        }
        Ok(())
    }

    fn revoke(&mut self, at: u64, op: &proto::RevokeSessions) -> Answer<()> {
        let from = self.clock() + 1;
        let id = match (op.user.as_str(), op.role.as_str()) {
            ("", "") => {
                exists(op.account)?;
                self.valid_after.insert(op.account.to_string(), from);
                return Ok(());
            }
            (user, "") => self.user(at, op.account, user)?.id.clone(),
            ("", role) => self.role(at, op.account, role)?.id.clone(),
            _ => return Err(rejected(Reason::Malformed)),
        };
        self.valid_after.insert(id.clone(), from);
        self.lose(&id);
        Ok(())
    }
}
