//! GetKeyLastUsage: when a key was last used, and by which operation.

use keystead_api::{Error, kms};
use keystead_state::KeyUse;

use super::Operation;
use crate::audit::Parameters;
use crate::convert;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct GetKeyLastUsage;

impl Operation for GetKeyLastUsage {
    type Input = kms::GetKeyLastUsageRequest;
    type Output = kms::GetKeyLastUsageResponse;

    const NAME: &'static str = "GetKeyLastUsage";
    const READ_ONLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::id_or_arn(input.key_id(), "kms:GetKeyLastUsage")])
    }

    async fn execute(call: &Call<'_>, _: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        // In a region of an earlier version nothing is known until its nodes begin to tell.
        let known_since = call.view.uses_known_since().unwrap_or(call.time());
        Ok(kms::GetKeyLastUsageResponse {
            key_id: Some(call.key_arn(key).to_string()),
            // AWS answers an empty object where there is none.
            key_last_usage: Some(call.last_use(key).as_ref().map(usage).unwrap_or_default()),
            tracking_start_date: Some(convert::timestamp(known_since.max(key.created))),
            key_creation_date: Some(convert::timestamp(key.created)),
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().text("keyId", &input.key_id)
    }
}

fn usage(last: &KeyUse) -> kms::KeyLastUsageData {
    let operation = kms::KeyLastUsageTrackingOperation::from_text(last.operation.as_str());
    kms::KeyLastUsageData {
        operation: convert::member(operation),
        timestamp: Some(convert::timestamp(last.at)),
        cloud_trail_event_id: Some(last.event_id.to_string()),
        kms_request_id: Some(last.request_id.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use keystead_types::CryptographicOperation;

    use super::super::registry::{Visit, visit_all};
    use super::*;

    #[derive(Default)]
    struct Using(Vec<&'static str>);

    impl Visit for Using {
        fn visit<O: Operation>(&mut self) {
            self.0.extend(O::USAGE.map(|_| O::NAME));
        }
    }

    #[test]
    fn every_operation_that_uses_a_key_counts_and_has_its_name_on_the_wire() {
        let mut using = Using::default();
        visit_all(&mut using);
        let mut counted: Vec<_> =
            CryptographicOperation::ALL.iter().map(|operation| operation.as_str()).collect();
        for name in &counted {
            let member = kms::KeyLastUsageTrackingOperation::from_text(name).unwrap();
            assert_eq!(member.as_text(), *name);
        }
        counted.sort_unstable();
        using.0.sort_unstable();
        assert_eq!(using.0, counted);
    }
}
