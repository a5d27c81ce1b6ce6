//! What is worth a look: keys that are open to everybody, access keys that are old or a root's.

use keystead_policy::{Caller, Context};
use keystead_state::{Account, Credential, Key, User};
use keystead_types::{AccountId, KeyArn, Principal, UnixMillis};

use super::{Explainer, told};
use crate::admin::proto;
use crate::clock;

impl Explainer<'_> {
    /// The report, with access keys that are older than this many milliseconds.
    pub(crate) fn report(&self, older_than_ms: u64) -> proto::ReportResponse {
        let now = UnixMillis(clock::now().0.max(self.view.clock().0));
        let mut report = proto::ReportResponse { index: self.view.applied(), ..Default::default() };
        for account in self.view.accounts() {
            let keys = self.view.keys_of(account.id, None);
            report.open_keys.extend(keys.flat_map(|key| self.open(key)));
            let found = self.access_keys(account, now);
            let (old, root) = (&mut report.old_access_keys, &mut report.root_access_keys);
            old.extend(found.iter().filter(|key| key.age_ms > older_than_ms).cloned());
            root.extend(found.into_iter().filter(|key| key.root));
        }
        report
    }

    /// The statements of a key's policy by which a stranger may use it, as far as it matters who
    /// and from where a stranger is.
    fn open(&self, key: &Key) -> Vec<proto::OpenKey> {
        let region = self.region.name().clone();
        let arn = KeyArn { region, account: key.account, id: key.id }.to_string();
        let stranger = self.stranger();
        let contexts =
            STRANGE_ADDRESSES.map(|address| strangers_context(stranger, address, key.account));
        let statements = key.policy.document.open_to(&Caller::root(stranger), &arn, &contexts);
        let open = statements.into_iter().map(|statement| proto::OpenKey {
            key: arn.clone(),
            statement: told::number(statement.index),
            sid: statement.sid.map(str::to_owned),
        });
        open.collect()
    }

    /// An account that is none of the Region's.
    fn stranger(&self) -> AccountId {
        let mut numbers = (1..).filter_map(AccountId::from_number);
        let free = numbers.find(|id| self.view.account(*id).is_none());
        free.expect("there are more numbers than accounts")
    }

    fn access_keys(&self, account: &Account, now: UnixMillis) -> Vec<proto::AccessKey> {
        let root = Principal::Root(account.id).to_string();
        let of_root = self.view.access_keys_of(account.id, None);
        let mut found: Vec<_> =
            of_root.map(|credential| access_key(credential, root.clone(), now)).collect();
        for user in self.view.users_of(account.id, None) {
            let of_user = self.view.access_keys_of(account.id, Some(&user.id));
            found.extend(of_user.map(|credential| access_key(credential, arn(user), now)));
        }
        found
    }
}

fn arn(user: &User) -> String {
    user.arn().to_string()
}

fn access_key(credential: &Credential, owner: String, now: UnixMillis) -> proto::AccessKey {
    proto::AccessKey {
        id: credential.id.to_string(),
        owner,
        created_ms: credential.created.0,
        age_ms: now.0.saturating_sub(credential.created.0),
        active: credential.active,
        root: credential.user.is_none(),
    }
}

/// Of ranges for documentation: whoever allows them allows about everybody.
const STRANGE_ADDRESSES: [&str; 2] = ["203.0.113.77", "2001:db8::77"];

/// What there is to know of a stranger who asks for a key.
fn strangers_context(account: AccountId, address: &str, owner: AccountId) -> Context {
    let mut context = Context::new();
    context.add("aws:PrincipalArn", Principal::Root(account).to_string());
    for key in ["aws:PrincipalAccount", "kms:CallerAccount", "aws:userid"] {
        context.add(key, account.to_string());
    }
    context.add("aws:PrincipalIsAWSService", "false");
    context.add("aws:ResourceAccount", owner.to_string());
    context.add("aws:SourceIp", address);
    context
}
