"""boto3's own retries, when the reply to the first attempt of every call is lost."""

import concurrent.futures
import contextlib
import subprocess

import boto3
import botocore.config
import pytest
from node import REGION, harness, serving

CALLS, THREADS = 1000, 8


@contextlib.contextmanager
def losing_first_replies(server):
    """The endpoint of a proxy: the server carries each call out, and the client does not hear."""
    command = [harness(), "proxy", "--drop-first-reply", "--target", f"127.0.0.1:{server.port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            yield f"http://{proxy.stdout.readline().strip()}"
        finally:
            proxy.kill()


def test_a_repeated_call_takes_effect_once(tmp_path):
    with serving(tmp_path) as server, losing_first_replies(server) as endpoint:
        # botocore as it is: it waits 25 ms on average before a first retry, and its quota of
        # retries is given back by each call that then succeeds.
        key, secret = server.credentials()
        client = boto3.session.Session().client(
            "kms",
            region_name=REGION,
            endpoint_url=endpoint,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=botocore.config.Config(retries={"mode": "standard"}),
        )
        with concurrent.futures.ThreadPoolExecutor(THREADS) as threads:
            replies = list(threads.map(lambda _: client.create_key(), range(CALLS)))
        attempts = {reply["ResponseMetadata"]["RetryAttempts"] for reply in replies}
        assert attempts == {1}, "the proxy did not lose the first reply of each call"

        told = [reply["KeyMetadata"]["KeyId"] for reply in replies]
        pages = server.client().get_paginator("list_keys").paginate()
        there = [entry["KeyId"] for page in pages for entry in page["Keys"]]
        assert len(set(told)) == len(told) == CALLS
        assert len(there) == CALLS
        assert set(there) == set(told)
