"""Members come, vote, lead, go, and come back with an empty disk."""

import pytest
from cluster import Member, running
from node import OTHER_ACCOUNT, eventually

PATIENCE_SECONDS = 30


@pytest.fixture
def cluster():
    """A cluster of the test's own, for it is not the same afterwards."""
    with running() as cluster:
        yield cluster


def members(cluster):
    """By name, as the leader sees them."""
    found = cluster.await_leader().members().values()
    by_name = {each["Name"]: each for each in found}
    assert len(by_name) == len(found), f"a name twice: {found}"
    return by_name


def serves(node, key):
    """Whether a node answers, and has what was made before it came."""
    return node.client().describe_key(KeyId=key)["KeyMetadata"]["KeyId"] == key


def refusal(node, *command):
    """Why a command on the membership is refused; nothing has changed by it."""
    before = node.members()
    done = node.run("cluster", *command)
    assert done.returncode == 1
    assert node.members() == before or before.keys() == node.members().keys()
    return done.stderr


class TestEmptiedDisk:
    def test_comes_back_as_a_new_member(self, cluster, key):
        follower = cluster.followers[0]
        before = members(cluster)
        follower.kill()
        follower.empty()
        follower.start()
        eventually(lambda: len(members(cluster)) == 3, PATIENCE_SECONDS, cluster.describe)
        after = members(cluster)
        assert after.keys() == before.keys()
        assert all(each["Voter"] for each in after.values())
        changed = {name for name in after if after[name]["NodeId"] != before[name]["NodeId"]}
        assert changed == {follower.name}
        assert serves(follower, key)

    def test_of_the_former_leader(self, cluster, key):
        leader = cluster.leader
        old = leader.node_id
        leader.kill()
        leader.empty()
        leader.start()
        eventually(lambda: len(members(cluster)) == 3, PATIENCE_SECONDS, cluster.describe)
        assert old not in leader.members() and serves(leader, key)

    def test_does_not_replace_one_that_lives(self, cluster):
        """A second node of a name waits, and says why, as long as the first one lives."""
        first = cluster.followers[0]
        second = Member(cluster, 4, {"": {"name": first.name}}).configure()
        second.launch()
        complaint = "too, and is alive; give each node a name of its own"
        eventually(lambda: complaint in second.output(), PATIENCE_SECONDS, second.output)
        assert not second.is_ready
        assert members(cluster)[first.name]["NodeId"] == first.node_id
        second.kill()


class TestByHand:
    def test_a_learner_gets_a_vote(self, cluster, key):
        learner = cluster.add(4, {"cluster": {"learner": True}})
        learner.configure()
        learner.start()
        assert serves(learner, key)
        assert not members(cluster)[learner.name]["Voter"]
        assert members(cluster)[learner.name]["Role"] == "learner"
        cluster.followers[0].done("cluster", "promote", learner.name)
        assert members(cluster)[learner.name]["Voter"]
        assert serves(learner, key)

    def test_an_admission(self, cluster, key, tmp_path):
        file = tmp_path / "admission.json"
        file.write_text(cluster.nodes[1].done("cluster", "issue-node-cert"))
        node = cluster.add(4)
        node.configure()
        node.done("cluster", "join", "--admission", file)
        node.start()
        assert members(cluster)[node.name]["Voter"] and serves(node, key)

    def test_join_then_start(self, cluster, key):
        node = cluster.add(4)
        node.configure()
        node.done("cluster", "join")
        assert node.name not in members(cluster)
        node.start()
        assert members(cluster)[node.name]["Voter"] and serves(node, key)

    def test_leadership_moves(self, cluster):
        for target in cluster.followers:
            # Any node may be asked, and the name will do.
            cluster.nodes[0].done("cluster", "transfer-leader", target.name)
            assert cluster.await_leader() is target
        before = cluster.leader
        before.done("cluster", "transfer-leader")
        assert cluster.await_leader() is not before

    def test_who_was_removed_stays_away(self, cluster, key):
        gone = cluster.followers[0]
        cluster.leader.done("cluster", "remove", gone.name)
        left = cluster.others(gone)
        assert gone.name not in {each["Name"] for each in left[0].members().values()}
        eventually(lambda: not gone.is_ready, PATIENCE_SECONDS, gone.output)
        assert gone.stop() == 0
        gone.launch()
        eventually(
            lambda: "was removed from its cluster" in gone.output(),
            PATIENCE_SECONDS,
            gone.output,
        )
        assert not gone.is_ready
        assert all(serves(node, key) for node in left)
        assert len(left[0].members()) == 2
        gone.kill()
        # With its disk emptied it is a new node.
        gone.empty()
        gone.start()
        assert members(cluster)[gone.name]["Voter"] and serves(gone, key)

    def test_what_makes_no_sense_is_refused(self, cluster):
        leader, follower = cluster.leader, cluster.followers[0]
        assert "no member is called" in refusal(follower, "remove", "nobody")
        assert "no member is called" in refusal(follower, "promote", "nobody")
        assert "transfer the leadership first" in refusal(follower, "remove", leader.name)
        learner = cluster.add(4, {"cluster": {"learner": True}})
        learner.configure()
        learner.start()
        assert "cannot lead" in refusal(follower, "transfer-leader", learner.name)


class TestAccounts:
    def test_are_created_through_any_node(self, cluster):
        made = [node.new_account() for node in cluster.nodes]
        for node in cluster.nodes:
            listed = node.done("account", "list")
            assert all(account in listed for account in made)
            for account in made:
                identity = node.client("sts", account=account).get_caller_identity()
                assert identity["Account"] == account

    def test_are_created_once(self, cluster):
        done = cluster.nodes[1].run("account", "create", OTHER_ACCOUNT)
        assert done.returncode == 1 and "export" not in done.stdout
        assert cluster.nodes[2].client(account=OTHER_ACCOUNT).list_keys()["Keys"] == []
