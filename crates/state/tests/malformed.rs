//! Commands and rows that nobody sound would write: answered, never a panic, never half done.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::actions::{Step, mixed_step, mixed_steps, step};
use common::*;
use keystead_state::proto;
use keystead_state::proto::command::Operation;
use keystead_state::proto::outcome::Result as OutcomeResult;
use keystead_state::{Command, View, apply};
use proptest::prelude::*;
use prost::Message;

/// Tag of the row that every command may write, besides that of its request: the clock is in it.
const CLUSTER: u8 = 0x10;

fn populated(steps: &[Step]) -> Replica {
    let mut replica = Replica::initialised();
    for step in steps {
        replica.send(&step.command_for(&replica.view));
    }
    replica
}

/// Applies it, and checks that a refusal changed nothing.
fn survives(view: &View, command: &Command) {
    let mut next = view.clone();
    let Ok(applied) = apply(&mut next, view.applied() + 1, command) else { return };
    let content = |view: &View| -> BTreeMap<_, _> {
        view.rows().filter(|(key, _)| ![CLUSTER, REQUEST_CHUNK].contains(&key[0])).collect()
    };
    let outcome = applied.outcome.result.expect("an outcome always says something");
    if matches!(outcome, OutcomeResult::Rejected(_) | OutcomeResult::Stale(_)) {
        assert_eq!(content(view), content(&next), "{outcome:?} to {command:?}");
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(vec![]),
        proptest::collection::vec(any::<u8>(), 0..40),
        (0..actions::KEYS).prop_map(|key| key_id(key).bytes().to_vec()),
    ]
}

fn key() -> impl Strategy<Value = Option<proto::KeyRef>> {
    let reference =
        (bytes(), any::<bool>()).prop_map(|(id, multi_region)| proto::KeyRef { id, multi_region });
    proptest::option::weighted(0.9, reference)
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        proptest::sample::select(&ACCOUNTS[..]),
        999_999_999_999..=1_u64 << 40
    ]
}

fn code() -> impl Strategy<Value = u32> {
    prop_oneof![any::<u32>(), 0..22_u32, Just(65_537)]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "alias/[-a/]{0,3}", Just("alias/".repeat(60))]
}

fn material() -> impl Strategy<Value = proto::MaterialRecord> {
    (bytes(), code(), -1..5_i32, any::<u64>(), any::<Option<u64>>()).prop_map(
        |(id, origin, state, created_ms, expires_ms)| proto::MaterialRecord {
            wrapped: id.clone(),
            id,
            origin,
            state,
            created_ms,
            expires_ms,
            description: String::new(),
            rotation: None,
        },
    )
}

fn create_key() -> impl Strategy<Value = Operation> {
    let tags = proptest::collection::btree_map(text(), text(), 0..3);
    let material = proptest::option::of(material());
    (key(), number(), code(), code(), code(), material, text(), tags).prop_map(
        |(key, account, spec, usage, origin, material, text, tags)| {
            Operation::CreateKey(proto::CreateKey {
                key,
                account,
                spec,
                usage,
                origin,
                description: text.clone(),
                material,
                policy: text,
                policy_given: false,
                lockout_check: None,
                tags,
            })
        },
    )
}

fn create_managed_key() -> impl Strategy<Value = Operation> {
    let service = prop_oneof![text(), "[a-z0-9-]{1,3}"];
    (key(), number(), service, text(), proptest::option::of(material())).prop_map(
        |(key, account, service, text, material)| {
            Operation::CreateManagedKey(proto::CreateManagedKey {
                key,
                account,
                service,
                description: text.clone(),
                policy: text,
                material,
            })
        },
    )
}

fn on_key() -> impl Strategy<Value = Operation> {
    let tags = proptest::collection::btree_map(text(), text(), 0..3);
    (key(), text(), any::<u32>(), tags, proptest::option::of(material()), 0..11_u8).prop_map(
        |(key, text, window_days, tags, material, which)| match which {
            0 => Operation::EnableKey(proto::EnableKey { key }),
            1 => Operation::DisableKey(proto::DisableKey { key }),
            2 => {
                let description = text;
                Operation::UpdateKeyDescription(proto::UpdateKeyDescription { key, description })
            }
            3 => Operation::ScheduleKeyDeletion(proto::ScheduleKeyDeletion { key, window_days }),
            4 => Operation::CancelKeyDeletion(proto::CancelKeyDeletion { key }),
            5 => Operation::TagKey(proto::TagKey { key, tags }),
            6 => Operation::EnableKeyRotation(proto::EnableKeyRotation {
                key,
                period_days: window_days,
            }),
            7 => Operation::DisableKeyRotation(proto::DisableKeyRotation { key }),
            8 => Operation::RotateKey(proto::RotateKey { key, material }),
            9 => {
                let rotations = vec![proto::DueRotation { key, material }];
                Operation::RotateDueKeys(proto::RotateDueKeys { rotations })
            }
            _ => Operation::UntagKey(proto::UntagKey { key, tag_keys: vec![text] }),
        },
    )
}

fn uses() -> impl Strategy<Value = Operation> {
    let id = || prop_oneof![1 => bytes(), 2 => Just(vec![7; 16])];
    let one = (bytes(), any::<bool>(), any::<u64>(), code(), id(), id()).prop_map(
        |(key_id, key_multi_region, at_ms, operation, request_id, event_id)| proto::KeyUseRecord {
            key_id,
            key_multi_region,
            at_ms,
            operation,
            request_id,
            event_id,
        },
    );
    proptest::collection::vec(one, 0..3)
        .prop_map(|uses| Operation::RecordKeyUses(proto::RecordKeyUses { uses, ahead_ms: 0 }))
}

fn on_material() -> impl Strategy<Value = Operation> {
    let import = (key(), proptest::option::of(material()), any::<i32>(), any::<u64>());
    (import, bytes(), 0..3_u8).prop_map(|(import, material_id, which)| {
        let (key, material, intent, token_expires_ms) = import;
        match which {
            0 => Operation::ImportMaterial(proto::ImportMaterial {
                key,
                material,
                intent: intent.rem_euclid(4),
                description_given: intent < 0,
                token_expires_ms,
            }),
            1 => Operation::DeleteMaterial(proto::DeleteMaterial { key, material_id }),
            _ => {
                let keys = key.into_iter().collect();
                Operation::ExpireMaterials(proto::ExpireMaterials { keys })
            }
        }
    })
}

fn on_alias() -> impl Strategy<Value = Operation> {
    (number(), text(), key(), 0..3_u8).prop_map(|(account, name, target, which)| match which {
        0 => Operation::CreateAlias(proto::CreateAlias { account, name, target }),
        1 => Operation::UpdateAlias(proto::UpdateAlias { account, name, target }),
        _ => Operation::DeleteAlias(proto::DeleteAlias { account, name }),
    })
}

fn on_cluster() -> impl Strategy<Value = Operation> {
    let region = prop_oneof![text(), Just("eu-central-1".to_owned())];
    let domain_key = proptest::option::of((any::<u32>(), any::<u64>()));
    (bytes(), region, domain_key, number(), any::<bool>()).prop_map(
        |(cluster_id, region, domain_key, account, initialise)| {
            if !initialise {
                return create_account(account, &region);
            }
            let domain_key = domain_key.map(|(epoch, created_ms)| proto::DomainKeyRecord {
                epoch,
                wrapped: cluster_id.clone(),
                created_ms,
            });
            let sealed_roots = Vec::new();
            Operation::Initialise(proto::Initialise {
                cluster_id,
                region,
                sealed_roots,
                domain_key,
            })
        },
    )
}

fn operation() -> impl Strategy<Value = Operation> {
    let due = proptest::collection::vec(key(), 0..4).prop_map(|keys| {
        let keys = keys.into_iter().flatten().collect();
        Operation::DeleteDueKeys(proto::DeleteDueKeys { keys })
    });
    prop_oneof![
        2 => create_key(),
        1 => create_managed_key(),
        3 => on_key(),
        2 => on_material(),
        3 => on_alias(),
        1 => on_cluster(),
        1 => due,
        1 => uses(),
        1 => (any::<u64>(), any::<u64>()).prop_map(|(node_id, through)| {
            Operation::RecordErased(proto::RecordErased { node_id, through })
        }),
        1 => (proptest::collection::vec(any::<u8>(), 31..=33), any::<u64>()).prop_map(
            |(digest, signed_ms)| {
                Operation::RecordForwarded(proto::RecordForwarded { digest, signed_ms })
            }
        ),
        4 => iam::operation(),
        4 => iam::odd::operation(),
    ]
}

fn any_command() -> impl Strategy<Value = Command> {
    let time = prop_oneof![any::<u64>(), START..START + 60 * DAY];
    let odd = || prop_oneof![8 => Just(String::new()), 1 => any::<String>()];
    let author = (odd(), prop_oneof![4 => odd(), 1 => (0..4_u8).prop_map(iam::user_id)]);
    (bytes(), time, author, any::<u64>(), 0..3_u32, operation()).prop_map(
        |(request_id, time_ms, author, authorised_at, version, operation)| Command {
            request_id,
            access_key_id: author.0,
            user_id: author.1,
            authorised_at,
            version,
            ..command(time_ms, operation)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn malformed_commands_are_answered_and_change_nothing(
        steps in mixed_steps(20),
        commands in proptest::collection::vec(any_command(), 1..6),
    ) {
        let mut replica = populated(&steps);
        for command in &commands {
            survives(&View::empty(), command);
            survives(&replica.view, command);
            // Odd ones that are carried out must leave a state that loads again.
            let index = replica.view.applied() + 1;
            if apply(&mut replica.view, index, command).is_ok() {
                replica.reload();
            }
        }
    }

    #[test]
    fn bytes_that_happen_to_decode_do_no_harm(
        steps in mixed_steps(20),
        step in prop_oneof![step(), mixed_step()],
        mutations in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..5),
    ) {
        let replica = populated(&steps);
        let mut encoded = step.command_for(&replica.view).encode_to_vec();
        for (at, byte) in mutations {
            let at = at % encoded.len();
            encoded[at] = byte;
        }
        if let Ok(command) = Command::decode(encoded.as_slice()) {
            survives(&replica.view, &command);
        }
    }

    #[test]
    fn damaged_rows_are_refused_or_load_but_never_panic(
        steps in mixed_steps(30),
        row in any::<usize>(),
        mutations in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        step in prop_oneof![step(), mixed_step()],
    ) {
        let replica = populated(&steps);
        let mut rows: Vec<_> = replica.view.rows().collect();
        let row = row % rows.len();
        let (key, value) = &mut rows[row];
        for (at, byte) in mutations {
            // The first place is the row's tag, the others are in its record.
            match at % (value.len() + 1) {
                0 => key[0] = byte,
                at => value[at - 1] = byte,
            }
        }
        if let Ok(mut view) = View::from_rows(rows, replica.view.applied()) {
            let _ = view.rows().count();
            let command = step.command_for(&view);
            let index = view.applied() + 1;
            let _ = apply(&mut view, index, &command);
        }
    }

    #[test]
    fn random_rows_never_panic(
        rows in proptest::collection::vec((bytes(), bytes()), 0..5),
        tag in 0x10..0x26_u8,
        value in bytes(),
    ) {
        let rows = rows.into_iter().chain([(vec![tag], value)]);
        let _ = View::from_rows(rows, 1);
    }
}

#[test]
fn rows_of_unknown_kinds_are_refused() {
    for key in [vec![], vec![0x1A], vec![0xFF, 1]] {
        assert!(View::from_rows([(key, Vec::new())], 1).is_err());
    }
}

#[test]
fn requests_in_a_row_of_another_chunk_are_refused() {
    let request = proto::RequestRecord {
        request_id: request_id(1),
        index: 64,
        ..proto::RequestRecord::default()
    };
    let loads = |key: &[u8], request: &proto::RequestRecord| {
        let value = proto::RequestChunkRecord { requests: vec![request.clone()] }.encode_to_vec();
        View::from_rows([([&[REQUEST_CHUNK], key].concat(), value)], 100).is_ok()
    };
    assert!(loads(&1_u64.to_be_bytes(), &request));
    for key in [&0_u64.to_be_bytes()[..], &2_u64.to_be_bytes(), &[0; 7], &[0; 9], &[]] {
        assert!(!loads(key, &request), "{key:?}");
    }
    let short = proto::RequestRecord { request_id: vec![1; 31], ..request };
    assert!(!loads(&1_u64.to_be_bytes(), &short));
}

#[test]
fn a_key_whose_policy_is_missing_is_refused() {
    let mut replica = Replica::initialised();
    replica.run(common::create_key(1));
    let rows = replica.view.rows().filter(|(key, _)| key[0] != 0x14);
    assert!(View::from_rows(rows, replica.view.applied()).is_err());
}
