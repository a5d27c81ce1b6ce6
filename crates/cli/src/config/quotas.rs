//! What accounts may have and may ask for.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use keystead_server::{Class, MAX_KEY_POLICY_BYTES, Quotas, Rates, RequestQuotas, ResourceQuotas};
use toml::{Table, Value};

use super::read::Reader;

/// More keys than this have not been tried.
const MOST_KEYS: usize = 1_000_000;

/// The quotas of a configuration; AWS's of resources, and generous ones of requests, unless set.
pub fn quotas(read: &Reader) -> Result<Quotas> {
    let aws = ResourceQuotas::default();
    let quota = |name, unless_set, most| {
        let quota = read.number("quotas", name)?.unwrap_or(unless_set);
        ensure!((1..=most).contains(&quota), "quotas.{name} must be between 1 and {most}");
        Ok(quota)
    };
    let at_most = |name, aws| quota(name, aws, aws);
    Ok(Quotas {
        resources: ResourceQuotas {
            keys_per_account: quota("keys_per_account", aws.keys_per_account, MOST_KEYS)?,
            aliases_per_key: at_most("aliases_per_key", aws.aliases_per_key)?,
            grants_per_key: at_most("grants_per_key", aws.grants_per_key)?,
            tags_per_key: at_most("tags_per_key", aws.tags_per_key)?,
        },
        policy_size: at_most("policy_size", MAX_KEY_POLICY_BYTES)?,
        requests: requests(read)?,
    })
}

fn requests(read: &Reader) -> Result<RequestQuotas> {
    let (named, unnamed): (Vec<_>, Vec<_>) =
        read.list("request_quota").partition(|table| table.contains_key("account"));
    ensure!(
        unnamed.len() <= 1,
        "request_quota: only one table can be without an account, for all others"
    );
    let others = match unnamed.first() {
        Some(table) => rates(table, Rates::default())?,
        None => Rates::default(),
    };
    let mut accounts = HashMap::new();
    for table in named {
        let account = table.get("account").and_then(Value::as_str);
        let account = account.context("request_quota.account must be a text")?;
        let id = account.parse().with_context(|| format!("request_quota.account: {account:?}"))?;
        if accounts.insert(id, rates(table, others)?).is_some() {
            bail!("request_quota.account: {account:?} is there twice");
        }
    }
    Ok(RequestQuotas::new(others, accounts))
}

fn rates(table: &Table, mut rates: Rates) -> Result<Rates> {
    for class in Class::ALL {
        let Some(rate) = table.get(class.name()) else { continue };
        let rate = rate.as_integer().and_then(|rate| u32::try_from(rate).ok());
        let wrong = || format!("request_quota.{} must be a number per second", class.name());
        rates.set(*class, rate.with_context(wrong)?);
    }
    Ok(rates)
}

#[cfg(test)]
mod tests {
    use super::super::{Config, LISTS};
    use super::*;

    fn parse(more: &str) -> Result<Quotas> {
        let minimal = "region = \"eu-central-1\"\ndata_dir = \"d\"\n[seal]\npath = \"s\"\n\
                       [audit]\npath = \"a\"\n";
        Ok(Config::parse(&format!("{minimal}{more}"), |_| None)?.quotas)
    }

    fn refused(more: &str) -> String {
        format!("{:#}", parse(more).unwrap_err())
    }

    #[test]
    fn resources_have_what_aws_gives_or_less() {
        assert_eq!(parse("").unwrap(), Quotas::default());
        let small = parse("[quotas]\naliases_per_key = 2\npolicy_size = 900").unwrap();
        assert_eq!((small.resources.aliases_per_key, small.policy_size), (2, 900));
        assert_eq!(small.resources.tags_per_key, 50);
        assert!(refused("[quotas]\ntags_per_key = 51").contains("between 1 and 50"));
        assert!(refused("[quotas]\ntags_per_key = 0").contains("between 1 and 50"));
        assert!(parse("[quotas]\nkeys_per_account = 200000").is_ok());
        assert!(refused("[quotas]\ntag_per_key = 5").contains("\"quotas.tags_per_key\""));
    }

    #[test]
    fn requests_are_counted_by_account_and_else_by_what_all_others_have() {
        let text = "[[request_quota]]\nrsa = 7\nsymmetric = 9\n[[request_quota]]\n\
                    account = \"111122223333\"\nrsa = 5\n";
        let requests = parse(text).unwrap().requests;
        let of = |account: &str| *requests.of(account.parse().unwrap());
        assert_eq!(of("111122223333").get(Class::Rsa), 5);
        assert_eq!(of("111122223333").get(Class::Symmetric), 9);
        assert_eq!(of("444455556666").get(Class::Rsa), 7);
        assert_eq!(of("444455556666").get(Class::Ecc), Class::Ecc.default_rate());
        assert!(refused(&format!("{text}[[request_quota]]\necc = 1")).contains("without an"));
        let twice = "[[request_quota]]\naccount = \"111122223333\"\n";
        assert!(refused(&format!("{text}{twice}")).contains("twice"));
        assert!(refused("[[request_quota]]\nrsa = -1").contains("request_quota.rsa"));
        assert!(refused("[[request_quota]]\nras = 1").contains("\"request_quota.rsa\""));
        assert!(refused("[request_quota]\nrsa = 1").contains("[[request_quota]]"));
    }

    #[test]
    fn every_class_can_be_configured() {
        for class in Class::ALL {
            let known = |(list, name, _): &(&str, &str, &str)| {
                (*list, *name) == ("request_quota", class.name())
            };
            assert!(LISTS.iter().any(known), "{}", class.name());
        }
    }
}
