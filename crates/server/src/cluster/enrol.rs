//! From a started node to a member that votes.

use std::time::Duration;

use keystead_raft::Standing;

use crate::region::RegionServer;

/// How often the next step is tried.
const INTERVAL: Duration = Duration::from_millis(500);

/// Asks for membership until this node has it: as a learner, or with a vote. Ends at once for a
/// node that was a member and was removed: it would otherwise come back by itself.
pub async fn enrol(region: &RegionServer, seeds: &[String]) {
    let (node, learner) = (region.node(), region.is_learner());
    if node.standing() == Standing::Absent && !node.is_new() {
        tracing::error!("this node was removed from its cluster; empty its data folder to join");
        return;
    }
    let wanted = if learner { Standing::Learner } else { Standing::Voter };
    let mut told = String::new();
    loop {
        match node.enrol(seeds, learner).await {
            Ok(Standing::Voter) => return tracing::info!("this node is a member and votes"),
            Ok(standing) if standing == wanted => {
                return tracing::info!("this node is a member without a vote");
            }
            Ok(_) => {}
            Err(error) => {
                let text = error.to_string();
                if told != text {
                    tracing::warn!(%error, "this node is not a full member yet");
                    told = text;
                }
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
