//! Commands of IAM that nobody sound would send.

use std::collections::BTreeMap;

use super::*;

/// What the fields are filled with.
#[derive(Debug, Clone)]
struct Odd {
    entity: Option<EntityRef>,
    account: u64,
    texts: [String; 4],
    tags: BTreeMap<String, String>,
    number: u32,
    flag: bool,
}

pub fn operation() -> BoxedStrategy<Operation> {
    let text = || {
        prop_oneof![
            any::<String>(),
            Just(String::new()),
            proptest::sample::select(&USERS[..]).prop_map(String::from),
            Just("/".to_owned()),
            Just("a".repeat(129)),
            (0..4_u8).prop_map(user_id),
            (4..8_u8).prop_map(group_id),
            (4..8_u8).prop_map(policy_id),
        ]
    };
    let account = || prop_oneof![Just(OWNER), any::<u64>()];
    let entity = (-1..7_i32, account(), text());
    let entity = entity.prop_map(|(kind, account, name)| EntityRef { kind, account, name });
    let tags = proptest::collection::btree_map(text(), text(), 0..3);
    let texts = [text(), text(), text(), text()];
    (proptest::option::of(entity), account(), texts, tags, any::<u32>(), any::<bool>(), 0..32_u8)
        .prop_map(|(entity, account, texts, tags, number, flag, which)| {
            Odd { entity, account, texts, tags, number, flag }.operation(which)
        })
        .boxed()
}

impl Odd {
    fn operation(self, which: u8) -> Operation {
        let Self { entity, account, texts: [a, b, c, d], tags, number: version, flag } = self;
        let access_key_id = a.clone();
        match which {
            0 => Operation::CreateUser(proto::CreateUser {
                user_id: a,
                account,
                path: b,
                name: c,
                tags,
                boundary: d,
            }),
            1 => Operation::CreateGroup(proto::CreateGroup {
                group_id: a,
                account,
                path: b,
                name: c,
            }),
            2 => Operation::CreateManagedPolicy(proto::CreateManagedPolicy {
                policy_id: a,
                account,
                path: b,
                name: c,
                description: d.clone(),
                document: d,
                tags,
            }),
            3 => update_entity(entity, Some(&a), flag.then_some(&b)),
            4 => delete_entity(entity),
            5 => Operation::TagEntity(proto::TagEntity { entity, tags }),
            6 => untag_entity(entity, &[&a]),
            7 => put_inline(entity, &a, &b),
            8 => delete_inline(entity, &a),
            9 => attach(entity, &a),
            10 => detach(entity, &a),
            11 => put_boundary(&a, &b),
            12 => delete_boundary(&a),
            13 => join(&a, &b),
            14 => leave(&a, &b),
            15 => create_version(&a, &b, flag),
            16 => delete_version(&a, version),
            17 => set_default(&a, version),
            18 => Operation::CreateAccessKey(proto::CreateAccessKey {
                account,
                user: b,
                access_key_id,
                sealed_secret: Vec::new(),
            }),
            19 => update_access_key(&b, &a, flag),
            20 => delete_access_key(&b, &a),
            21 => Operation::CreateRole(proto::CreateRole {
                role_id: a,
                account,
                path: b,
                name: c,
                description: d.clone(),
                max_session_seconds: version,
                trust_policy: d,
                tags,
                boundary: String::new(),
            }),
            22 => update_role(&a, flag.then_some(&b), flag.then_some(version)),
            23 => put_trust(&a, &b),
            24 => put_role_boundary(&a, &b),
            25 => delete_role_boundary(&a),
            26 => revoke(&a, if flag { "" } else { &b }),
            27 => Operation::CreateOidcProvider(proto::CreateOidcProvider {
                provider_id: a,
                account,
                issuer: b,
                client_ids: vec![c],
                thumbprints: vec![d],
                tags,
            }),
            28 => add_client_id(&a, &b),
            29 => remove_client_id(&a, &b),
            30 => put_thumbprints(&a, &[&b]),
            _ => suspend(account, flag),
        }
    }
}
