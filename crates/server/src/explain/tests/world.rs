//! Random states of a Region: two accounts, and one that may be suspended, with users, groups,
//! policies of all kinds, one key and its grants.

use std::collections::BTreeMap;

use keystead_state::proto::command::Operation;
use keystead_state::proto::outcome::Result as OutcomeResult;
use keystead_state::proto::{self, EntityKind, EntityRef};
use keystead_state::{Command, View, apply};
use keystead_types::{AccountId, GrantOperation, KeyId, KeySpec, KeyUsage, Origin, Principal};

pub(super) const REGION: &str = "us-east-1";
pub(super) const ACCOUNTS: [u64; 3] = [111_122_223_333, 444_455_556_666, 777_788_889_999];
pub(super) const SERVICE: &str = "logs.amazonaws.com";
const USERS: [&str; 3] = ["alice", "bob", "carol"];
const GROUPS: [&str; 2] = ["devs", "ops"];
const POLICIES: [&str; 3] = ["read", "write", "all"];
const ACTIONS: [&str; 3] = ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"];

/// A generator of numbers that a seed decides.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 8
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Whether something happens that does so this often in a hundred times.
    pub(super) fn falls(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn one<T: Clone>(&mut self, of: &[T]) -> T {
        let at = self.below(of.len() as u64);
        of[usize::try_from(at).unwrap()].clone()
    }
}

/// A state, with what the test knows of it by itself.
pub(super) struct World {
    pub(super) view: View,
    pub(super) key: KeyId,
    /// The roots and users of all accounts.
    pub(super) principals: Vec<Principal>,
    pub(super) suspended: Vec<AccountId>,
    index: u64,
}

impl World {
    pub(super) fn random(dice: &mut Dice) -> Self {
        let mut world = Self {
            view: View::empty(),
            key: KeyId::new([1; 16], false),
            principals: Vec::new(),
            suspended: Vec::new(),
            index: 0,
        };
        world.must(Operation::Initialise(proto::Initialise {
            cluster_id: vec![7; 16],
            region: REGION.into(),
            sealed_roots: Vec::new(),
            domain_key: Some(proto::DomainKeyRecord {
                epoch: 1,
                wrapped: vec![3; 64],
                created_ms: 1,
            }),
        }));
        for account in ACCOUNTS {
            world.account(dice, account);
        }
        world.key(dice);
        for number in 0..dice.below(4) {
            world.grant(dice, u8::try_from(number).unwrap());
        }
        world
    }

    fn account(&mut self, dice: &mut Dice, account: u64) {
        let id = AccountId::from_number(account).unwrap();
        self.must(Operation::CreateAccount(proto::CreateAccount {
            account,
            access_key_id: format!("ACCESS{account}"),
            sealed_secret: vec![4; 60],
            service: String::new(),
        }));
        self.principals.push(Principal::Root(id));
        for (at, name) in POLICIES.into_iter().enumerate() {
            self.must(Operation::CreateManagedPolicy(proto::CreateManagedPolicy {
                policy_id: format!("ANPA{:017}", account + at as u64),
                account,
                path: "/".into(),
                name: name.into(),
                document: identity_policy(dice),
                ..Default::default()
            }));
        }
        for (at, name) in GROUPS.into_iter().enumerate() {
            let group_id = format!("AGPA{:017}", account + at as u64);
            let (path, name) = ("/".into(), name.to_owned());
            let group = proto::CreateGroup { group_id, account, path, name: name.clone() };
            self.must(Operation::CreateGroup(group));
            self.permissions(dice, EntityKind::Group, account, &name);
        }
        for (at, name) in USERS.into_iter().enumerate() {
            if dice.falls(70) {
                self.user(dice, account, name, account + at as u64);
            }
        }
        if account == ACCOUNTS[2] && dice.falls(30) {
            let suspended = true;
            let change = proto::SetAccountSuspended { account, suspended };
            self.must(Operation::SetAccountSuspended(change));
            self.suspended.push(id);
        }
    }

    fn user(&mut self, dice: &mut Dice, account: u64, name: &str, number: u64) {
        let id = format!("AIDA{number:017}");
        let path = dice.one(&["/", "/team/"]);
        let tags = [("team".to_owned(), dice.one(&["red", "blue"]).to_owned())];
        self.must(Operation::CreateUser(proto::CreateUser {
            user_id: id.clone(),
            account,
            path: path.into(),
            name: name.into(),
            tags: BTreeMap::from(tags),
            boundary: if dice.falls(25) { dice.one(&POLICIES).into() } else { String::new() },
        }));
        self.principals.push(Principal::User {
            account: AccountId::from_number(account).unwrap(),
            name: format!("{path}{name}").trim_start_matches('/').into(),
            id: id.into(),
        });
        self.permissions(dice, EntityKind::User, account, name);
        for group in GROUPS {
            if dice.falls(30) {
                let (user, group) = (name.into(), group.into());
                let joins = proto::AddUserToGroup { account, user, group };
                self.must(Operation::AddUserToGroup(joins));
            }
        }
    }

    fn permissions(&mut self, dice: &mut Dice, kind: EntityKind, account: u64, name: &str) {
        let entity = Some(EntityRef { kind: kind.into(), account, name: name.into() });
        if dice.falls(30) {
            let (name, document) = ("mine".into(), identity_policy(dice));
            let put = proto::PutInlinePolicy { entity: entity.clone(), name, document };
            self.must(Operation::PutInlinePolicy(put));
        }
        if dice.falls(30) {
            let policy = dice.one(&POLICIES).into();
            self.must(Operation::AttachPolicy(proto::AttachPolicy { entity, policy }));
        }
    }

    fn key(&mut self, dice: &mut Dice) {
        let account = ACCOUNTS[0];
        self.must(Operation::CreateKey(proto::CreateKey {
            key: self.key_ref(),
            account,
            spec: KeySpec::SymmetricDefault.code().into(),
            usage: KeyUsage::EncryptDecrypt.code().into(),
            origin: Origin::AwsKms.code().into(),
            material: Some(proto::MaterialRecord {
                id: vec![1; 32],
                wrapped: vec![1; 80],
                origin: Origin::AwsKms.code().into(),
                state: proto::MaterialState::Current.into(),
                ..Default::default()
            }),
            policy: self.key_policy(dice),
            policy_given: true,
            ..Default::default()
        }));
        let (name, target) = ("alias/it".into(), self.key_ref());
        self.must(Operation::CreateAlias(proto::CreateAlias { account, name, target }));
    }

    fn grant(&mut self, dice: &mut Dice, number: u8) {
        let mut names: Vec<_> = self.principals.iter().map(ToString::to_string).collect();
        names.push(SERVICE.into());
        let subset = dice.falls(30).then(|| {
            let pairs = BTreeMap::from([("dept".to_owned(), "finance".to_owned())]);
            proto::EncryptionContextRecord { pairs }
        });
        let operations = [GrantOperation::Encrypt, GrantOperation::Decrypt];
        let grant = proto::GrantRecord {
            id: vec![number; 32],
            key_id: self.key.bytes().to_vec(),
            issuing_account: ACCOUNTS[0],
            grantee: Some(proto::GrantPrincipalRecord {
                name: dice.one(&names),
                ..Default::default()
            }),
            operations: vec![dice.one(&operations).code().into()],
            constraints: Some(proto::GrantConstraintsRecord { subset, ..Default::default() }),
            ..Default::default()
        };
        self.must(Operation::CreateGrant(proto::CreateGrant { grant: Some(grant) }));
    }

    fn key_policy(&self, dice: &mut Dice) -> String {
        let statements: Vec<_> = (0..1 + dice.below(3))
            .map(|at| {
                let denies = dice.falls(20);
                let principal = if denies && dice.falls(20) {
                    format!(r#""NotPrincipal": {}"#, self.named(dice))
                } else {
                    format!(r#""Principal": {}"#, self.named(dice))
                };
                statement(dice, denies, &format!(r#""Sid": "S{at}", {principal}, "#))
            })
            .collect();
        format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, statements.join(", "))
    }

    fn named(&self, dice: &mut Dice) -> String {
        let accounts = [ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[1], ACCOUNTS[2]];
        match dice.below(10) {
            0 => r#""*""#.into(),
            1 => format!(r#"{{"Service": "{SERVICE}", "Federated": "sso.example.com"}}"#),
            2..5 => format!(r#"{{"AWS": "{}"}}"#, dice.one(&self.principals)),
            5 => format!(
                r#"{{"AWS": ["{}", "{}"], "Service": "{SERVICE}"}}"#,
                dice.one(&self.principals),
                dice.one(&self.principals)
            ),
            _ => format!(r#"{{"AWS": "{}"}}"#, dice.one(&accounts)),
        }
    }

    fn key_ref(&self) -> Option<proto::KeyRef> {
        Some(proto::KeyRef { id: self.key.bytes().to_vec(), multi_region: false })
    }

    pub(super) fn must(&mut self, operation: Operation) {
        self.index += 1;
        let command = Command {
            time_ms: 1_700_000_000_000 + self.index,
            principal: "system".into(),
            authorised_at: self.index,
            version: 1,
            operation: Some(operation.clone()),
            ..Command::default()
        };
        let applied = apply(&mut self.view, self.index, &command).unwrap();
        let result = applied.outcome.result.unwrap();
        let refused = matches!(result, OutcomeResult::Rejected(_) | OutcomeResult::Stale(_));
        assert!(!refused, "{operation:?}: {result:?}");
    }
}

/// An action to ask about, and the encryption context of the request.
pub(super) fn request(dice: &mut Dice) -> (&'static str, Option<&'static str>) {
    (dice.one(&ACTIONS), dice.one(&[None, Some("finance"), Some("sales")]))
}

fn identity_policy(dice: &mut Dice) -> String {
    let statements: Vec<_> = (0..1 + dice.below(2))
        .map(|at| {
            let denies = dice.falls(15);
            statement(dice, denies, &format!(r#""Sid": "I{at}", "#))
        })
        .collect();
    format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, statements.join(", "))
}

fn statement(dice: &mut Dice, denies: bool, more: &str) -> String {
    let effect = if denies { "Deny" } else { "Allow" };
    let actions = ["kms:*", "kms:Encrypt", "kms:De*", "kms:Sign", "*"];
    let resources = ["*", "*", "arn:aws:kms:*:111122223333:key/*", "arn:aws:kms:*:*:key/other"];
    let conditions = [
        r#"{}"#,
        r#"{}"#,
        r#"{}"#,
        r#"{"StringEquals": {"aws:username": "alice"}}"#,
        r#"{"StringEquals": {"kms:EncryptionContext:dept": "finance"}}"#,
        r#"{"StringNotEquals": {"aws:PrincipalTag/team": "red"}}"#,
        r#"{"Bool": {"aws:PrincipalIsAWSService": "false"}}"#,
        r#"{"StringEquals": {"aws:PrincipalAccount": "${aws:ResourceAccount}"}}"#,
        r#"{"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/it"}}"#,
    ];
    let (action, resource) = (dice.one(&actions), dice.one(&resources));
    let condition = dice.one(&conditions);
    format!(
        r#"{{{more}"Effect": "{effect}", "Action": "{action}", "Resource": "{resource}", "Condition": {condition}}}"#
    )
}
