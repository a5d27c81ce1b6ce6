//! Between openraft's messages and those on the wire.

use std::io;

use bytes::Bytes;
use keystead_state::{Command, Outcome};
use keystead_types::NodeId;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, StreamAppendError, StreamAppendResult,
    TransferLeaderRequest, VoteRequest, VoteResponse,
};
use prost::Message;

use super::proto;
use crate::barrier::NotLeading;
use crate::member::Member;
use crate::membership::{Change, ChangeError, Standing};
use crate::propose::ProposeError;
use crate::types::{Entry, LogId, TypeConfig, Vote};
use crate::wire::Wire;

/// A message that does not say what it should.
pub(super) fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a peer's message is malformed: {what}"))
}

pub(super) fn to_bytes<T: Wire>(value: &T) -> Bytes {
    Bytes::from(value.encode())
}

fn log_id(bytes: Option<Bytes>) -> io::Result<Option<LogId>> {
    bytes.map(|bytes| LogId::decode(bytes, "log id of a peer")).transpose()
}

pub(super) fn vote(bytes: Bytes) -> io::Result<Vote> {
    Vote::decode(bytes, "vote of a peer")
}

pub(super) fn append_request(request: &AppendEntriesRequest<TypeConfig>) -> proto::AppendRequest {
    proto::AppendRequest {
        vote: to_bytes(&request.vote),
        previous: request.prev_log_id.as_ref().map(to_bytes),
        entries: request.entries.iter().map(to_bytes).collect(),
        committed: request.leader_commit.as_ref().map(to_bytes),
    }
}

pub(super) fn read_append_request(
    request: proto::AppendRequest,
) -> io::Result<AppendEntriesRequest<TypeConfig>> {
    let entries = request.entries.into_iter().map(|bytes| Entry::decode(bytes, "entry of a peer"));
    Ok(AppendEntriesRequest {
        vote: vote(request.vote)?,
        prev_log_id: log_id(request.previous)?,
        entries: entries.collect::<io::Result<_>>()?,
        leader_commit: log_id(request.committed)?,
    })
}

fn append_response(result: proto::append_response::Result) -> proto::AppendResponse {
    proto::AppendResponse { result: Some(result) }
}

fn accepted(whole: bool, last: Option<LogId>) -> proto::append_response::Result {
    let last = last.as_ref().map(to_bytes);
    proto::append_response::Result::Accepted(proto::Accepted { whole, last })
}

/// The answer to a single request.
pub(super) fn single_response(answer: &AppendEntriesResponse<TypeConfig>) -> proto::AppendResponse {
    use proto::append_response::Result;
    append_response(match answer {
        AppendEntriesResponse::Success => accepted(true, None),
        AppendEntriesResponse::PartialSuccess(last) => accepted(false, *last),
        AppendEntriesResponse::Conflict => Result::Conflict(proto::Conflict { at: None }),
        AppendEntriesResponse::HigherVote(vote) => Result::HigherVote(to_bytes(vote)),
    })
}

pub(super) fn read_single_response(
    answer: proto::AppendResponse,
) -> io::Result<AppendEntriesResponse<TypeConfig>> {
    use proto::append_response::Result;
    Ok(match answer.result.ok_or_else(|| malformed("an empty answer"))? {
        Result::Accepted(accepted) if accepted.whole => AppendEntriesResponse::Success,
        Result::Accepted(accepted) => AppendEntriesResponse::PartialSuccess(log_id(accepted.last)?),
        Result::Conflict(_) => AppendEntriesResponse::Conflict,
        Result::HigherVote(bytes) => AppendEntriesResponse::HigherVote(vote(bytes)?),
    })
}

/// The answer to one request of a pipeline.
pub(super) fn pipeline_response(answer: &StreamAppendResult<TypeConfig>) -> proto::AppendResponse {
    use proto::append_response::Result;
    append_response(match answer {
        Ok(last) => accepted(false, *last),
        Err(StreamAppendError::Conflict(at)) => {
            Result::Conflict(proto::Conflict { at: Some(to_bytes(at)) })
        }
        Err(StreamAppendError::HigherVote(vote)) => Result::HigherVote(to_bytes(vote)),
    })
}

pub(super) fn read_pipeline_response(
    answer: proto::AppendResponse,
) -> io::Result<StreamAppendResult<TypeConfig>> {
    use proto::append_response::Result;
    Ok(match answer.result.ok_or_else(|| malformed("an empty answer"))? {
        Result::Accepted(accepted) => Ok(log_id(accepted.last)?),
        Result::Conflict(conflict) => {
            let at = log_id(conflict.at)?.ok_or_else(|| malformed("a conflict nowhere"))?;
            Err(StreamAppendError::Conflict(at))
        }
        Result::HigherVote(bytes) => Err(StreamAppendError::HigherVote(vote(bytes)?)),
    })
}

pub(super) fn vote_request(request: &VoteRequest<TypeConfig>, pre: bool) -> proto::VoteRequest {
    proto::VoteRequest {
        vote: to_bytes(&request.vote),
        last: request.last_log_id.as_ref().map(to_bytes),
        leadership_transfer: request.leadership_transfer,
        pre,
    }
}

pub(super) fn read_vote_request(
    request: proto::VoteRequest,
) -> io::Result<VoteRequest<TypeConfig>> {
    let mut read = VoteRequest::new(vote(request.vote)?, log_id(request.last)?);
    read.leadership_transfer = request.leadership_transfer;
    Ok(read)
}

pub(super) fn vote_response(answer: &VoteResponse<TypeConfig>) -> proto::VoteResponse {
    proto::VoteResponse {
        vote: to_bytes(&answer.vote),
        granted: answer.vote_granted,
        last: answer.last_log_id.as_ref().map(to_bytes),
    }
}

pub(super) fn read_vote_response(
    answer: proto::VoteResponse,
) -> io::Result<VoteResponse<TypeConfig>> {
    Ok(VoteResponse::new(vote(answer.vote)?, log_id(answer.last)?, answer.granted))
}

pub(super) fn transfer_request(
    request: &TransferLeaderRequest<TypeConfig>,
) -> proto::TransferLeaderRequest {
    proto::TransferLeaderRequest {
        from: to_bytes(request.from_leader()),
        to: *request.to_node_id(),
        last: request.last_log_id().map(to_bytes),
    }
}

pub(super) fn read_transfer_request(
    request: proto::TransferLeaderRequest,
) -> io::Result<TransferLeaderRequest<TypeConfig>> {
    Ok(TransferLeaderRequest::new(vote(request.from)?, request.to, log_id(request.last)?))
}

pub(super) fn no_leader(leader: Option<NodeId>) -> proto::NoLeader {
    proto::NoLeader { leader: leader.map(|leader| leader.0) }
}

fn read_no_leader(answer: proto::NoLeader) -> Option<NodeId> {
    answer.leader.map(NodeId)
}

pub(super) fn read_index_response(answer: Result<u64, NotLeading>) -> proto::ReadIndexResponse {
    use proto::read_index_response::Result;
    let result = match answer {
        Ok(index) => Result::Index(index),
        Err(NotLeading { leader }) => Result::NoLeader(no_leader(leader)),
    };
    proto::ReadIndexResponse { result: Some(result) }
}

pub(super) fn read_read_index_response(
    answer: proto::ReadIndexResponse,
) -> io::Result<Result<u64, NotLeading>> {
    use proto::read_index_response::Result;
    Ok(match answer.result.ok_or_else(|| malformed("an empty answer"))? {
        Result::Index(index) => Ok(index),
        Result::NoLeader(answer) => Err(NotLeading { leader: read_no_leader(answer) }),
    })
}

pub(super) fn read_propose_request(request: proto::ProposeRequest) -> io::Result<Command> {
    Command::decode(request.command).map_err(|error| malformed(&error.to_string()))
}

pub(super) fn propose_response(
    answer: Result<(Outcome, u64), ProposeError>,
) -> proto::ProposeResponse {
    use proto::propose_response::Result;
    let result = match answer {
        Ok((outcome, index)) => {
            Result::Applied(proto::Applied { outcome: outcome.encode_to_vec().into(), index })
        }
        Err(ProposeError::NoLeader { leader }) => Result::NoLeader(no_leader(leader)),
        Err(ProposeError::Timeout) => Result::Failure(proto::Failure::Timeout.into()),
        Err(ProposeError::Stopped) => Result::Failure(proto::Failure::Stopped.into()),
        Err(ProposeError::DiskFull) => Result::Failure(proto::Failure::DiskFull.into()),
        Err(ProposeError::Sealing) => Result::Failure(proto::Failure::Sealing.into()),
    };
    proto::ProposeResponse { result: Some(result) }
}

pub(super) fn read_propose_response(
    answer: proto::ProposeResponse,
) -> io::Result<Result<(Outcome, u64), ProposeError>> {
    use proto::propose_response::Result;
    Ok(match answer.result.ok_or_else(|| malformed("an empty answer"))? {
        Result::Applied(applied) => {
            let outcome = Outcome::decode(applied.outcome);
            Ok((outcome.map_err(|error| malformed(&error.to_string()))?, applied.index))
        }
        Result::NoLeader(answer) => Err(ProposeError::NoLeader { leader: read_no_leader(answer) }),
        Result::Failure(failure) => Err(match proto::Failure::try_from(failure) {
            Ok(proto::Failure::DiskFull) => ProposeError::DiskFull,
            Ok(proto::Failure::Sealing) => ProposeError::Sealing,
            Ok(proto::Failure::Stopped) => ProposeError::Stopped,
            Ok(proto::Failure::Timeout | proto::Failure::Unspecified) | Err(_) => {
                ProposeError::Timeout
            }
        }),
    })
}

pub(super) fn change_request(change: Change) -> proto::ChangeRequest {
    use proto::change_request::Change as Wire;
    let change = match change {
        Change::Enrol { id, member: Member { name, address }, learner, returning } => {
            Wire::Enrol(proto::Enrol { node_id: id.0, name, address, learner, returning })
        }
        Change::Promote(id) => Wire::Promote(id.0),
        Change::Remove(id) => Wire::Remove(id.0),
        Change::TransferLeader(to) => {
            Wire::Transfer(proto::TransferLeadership { to: to.map(|to| to.0) })
        }
    };
    proto::ChangeRequest { change: Some(change) }
}

pub(super) fn read_change_request(request: proto::ChangeRequest) -> io::Result<Change> {
    use proto::change_request::Change as Wire;
    Ok(match request.change.ok_or_else(|| malformed("an empty change"))? {
        Wire::Enrol(proto::Enrol { node_id, name, address, learner, returning }) => {
            let (id, member) = (NodeId(node_id), Member { name, address });
            Change::Enrol { id, member, learner, returning }
        }
        Wire::Promote(id) => Change::Promote(NodeId(id)),
        Wire::Remove(id) => Change::Remove(NodeId(id)),
        Wire::Transfer(transfer) => Change::TransferLeader(transfer.to.map(NodeId)),
    })
}

pub(super) fn change_response(answer: Result<Standing, ChangeError>) -> proto::ChangeResponse {
    use proto::change_response::Result;
    let result = match answer {
        Ok(Standing::Absent) => Result::Standing(proto::Standing::Absent.into()),
        Ok(Standing::Learner) => Result::Standing(proto::Standing::Learner.into()),
        Ok(Standing::Voter) => Result::Standing(proto::Standing::Voter.into()),
        Err(ChangeError::NoLeader { leader }) => Result::NoLeader(no_leader(leader)),
        Err(ChangeError::Refused(why)) => Result::Refusal(why),
    };
    proto::ChangeResponse { result: Some(result) }
}

pub(super) fn read_change_response(
    answer: proto::ChangeResponse,
) -> io::Result<Result<Standing, ChangeError>> {
    use proto::change_response::Result;
    Ok(match answer.result.ok_or_else(|| malformed("an empty answer"))? {
        Result::Standing(standing) => Ok(match proto::Standing::try_from(standing) {
            Ok(proto::Standing::Voter) => Standing::Voter,
            Ok(proto::Standing::Learner) => Standing::Learner,
            Ok(proto::Standing::Absent | proto::Standing::Unspecified) | Err(_) => Standing::Absent,
        }),
        Result::NoLeader(answer) => Err(ChangeError::NoLeader { leader: read_no_leader(answer) }),
        Result::Refusal(why) => Err(ChangeError::Refused(why)),
    })
}
