"""Many mutations in a short time, over gRPC."""

import asyncio

import grpc
from node import ACCOUNT
from protos import SERVICE

CHANNELS = 4
CALL_SECONDS = 30
# A pool of its own for each: channels to the same address share a connection otherwise.
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


def fill(node, operation, messages, entries):
    """Makes so many entries of the log through a node. Each of the messages is sent by a caller of
    its own, again and again."""
    asyncio.run(_fill(node, operation, messages, entries))


async def _fill(node, operation, messages, entries):
    left = iter(range(entries))

    async def work(method, message):
        for _ in left:
            await method(message, timeout=CALL_SECONDS)

    target, credentials = f"localhost:{node.ports['clients']}", node.channel_credentials(ACCOUNT)
    channels = [
        grpc.aio.secure_channel(target, credentials, options=OWN_CONNECTION)
        for _ in range(CHANNELS)
    ]
    methods = [channel.unary_unary(f"/{SERVICE}/{operation}") for channel in channels]
    callers = [work(methods[n % CHANNELS], message) for n, message in enumerate(messages)]
    await asyncio.gather(*callers)
    await asyncio.gather(*(channel.close() for channel in channels))
