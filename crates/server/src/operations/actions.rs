//! The actions that requests about keys need, and what every such request says.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use keystead_api::Message;

use super::registry::{Visit, visit_all};
use super::{Operation, Resource};
use crate::conditions::Facts;

/// An action on keys.
#[derive(Debug)]
pub(crate) struct Action {
    /// Such as `kms:Encrypt`.
    pub(crate) name: &'static str,
    /// What a request for it says of the key when it leaves out all that it may.
    pub(crate) facts: Facts<'static>,
    /// Whether a request may name the key by an alias.
    pub(crate) takes_alias: bool,
    /// On what else than the key a request needs it, in words.
    pub(crate) beside: Option<&'static str>,
    /// What it says of all that it touches together.
    pub(crate) relate: fn(&mut [Resource<'_>]),
}

/// The action of this name, whose case does not matter; none if it is not about keys.
pub(crate) fn action(name: &str) -> Option<&'static Action> {
    static ACTIONS: OnceLock<BTreeMap<String, Action>> = OnceLock::new();
    let actions = ACTIONS.get_or_init(|| {
        let mut actions = Actions::default();
        visit_all(&mut actions);
        actions.by_name
    });
    actions.get(&name.to_ascii_lowercase())
}

#[derive(Default)]
struct Actions {
    by_name: BTreeMap<String, Action>,
}

impl Visit for Actions {
    fn visit<O: Operation>(&mut self) {
        let input = naming_keys::<O::Input>();
        // What cannot be told without more, RetireGrant alone, is not about a key.
        let targets = O::targets(&input).unwrap_or_default();
        for target in targets.iter().filter(|target| target.is_key()) {
            let related = || targets.iter().filter(|other| other.action == target.action);
            let action = Action {
                name: target.action,
                facts: target.facts().kept(),
                takes_alias: related().any(|other| other.takes_alias()),
                beside: related().find_map(|other| other.beside_keys()),
                relate: O::relate,
            };
            self.by_name.insert(target.action.to_ascii_lowercase(), action);
        }
    }
}

/// A request that names its keys and has a ciphertext where it takes one, and says nothing else.
fn naming_keys<M: Message>() -> M {
    let names = |name: &str| name.ends_with("KeyId") || name == "CiphertextBlob";
    let mut bytes = Vec::new();
    for member in M::shape().members.iter().filter(|member| names(member.name)) {
        prost::encoding::string::encode(member.number, &"-".to_owned(), &mut bytes);
    }
    M::decode(bytes.as_slice()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Names(Vec<&'static str>);

    impl Visit for Names {
        fn visit<O: Operation>(&mut self) {
            self.0.push(O::NAME);
        }
    }

    #[test]
    fn all_but_a_few_operations_are_about_keys() {
        let mut names = Names::default();
        visit_all(&mut names);
        let others = names.0.into_iter().filter(|name| action(&format!("kms:{name}")).is_none());
        let others: Vec<_> = others.collect();
        let expected = [
            "CreateKey",
            "GenerateRandom",
            "ListKeys",
            "ListRetirableGrants",
            "ReEncrypt",
            "RetireGrant",
        ];
        assert_eq!(others, expected);
        for action in ["kms:ReEncryptFrom", "kms:ReEncryptTo"] {
            assert!(super::action(action).is_some());
        }
        assert!(action("Encrypt").is_none());
    }

    #[test]
    fn requests_say_their_defaults() {
        for (name, key, value) in [
            ("kms:Decrypt", "kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT"),
            ("kms:reencryptfrom", "kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT"),
            ("kms:Sign", "kms:MessageType", "RAW"),
            ("kms:ImportKeyMaterial", "kms:ExpirationModel", "KEY_MATERIAL_EXPIRES"),
            ("kms:PutKeyPolicy", "kms:PolicyName", "default"),
            ("kms:EnableKeyRotation", "kms:RotationPeriodInDays", "365"),
            ("kms:ScheduleKeyDeletion", "kms:ScheduleKeyDeletionPendingWindowInDays", "30"),
        ] {
            let mut context = keystead_policy::Context::new();
            action(name).unwrap().facts.fill(&mut context);
            assert_eq!(context.values(key), [value], "{name}");
        }
    }
}
