"""Many requests in a short time, over gRPC."""

import asyncio
import contextlib

import grpc
from node import ACCOUNT
from protos import SERVICE, message
from walk_wires import fill as fill_members
from walk_wires import members

CHANNELS = 4
CALL_SECONDS = 30
# Requests under way at a time where each is another one.
AT_ONCE = 64
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

    async with _methods(node, operation) as methods:
        callers = [work(methods[n % CHANNELS], message) for n, message in enumerate(messages)]
        await asyncio.gather(*callers)


def request(operation, body):
    """A request as it is sent, of its JSON form."""
    filled = message(f"{operation}Request")()
    fill_members(filled, body)
    return filled.SerializeToString()


def answers(node, operation, bodies):
    """What a node answers to requests, given and told in their JSON forms; all must succeed."""
    requests = [request(operation, body) for body in bodies]
    reply = message(f"{operation}Response")
    replies = asyncio.run(_answers(node, operation, requests))
    return [members(reply.FromString(each)) for each in replies]


async def _answers(node, operation, messages):
    found, left = [None] * len(messages), iter(enumerate(messages))

    async def work(method):
        for place, each in left:
            found[place] = await method(each, timeout=CALL_SECONDS)

    async with _methods(node, operation) as methods:
        await asyncio.gather(*(work(methods[n % CHANNELS]) for n in range(AT_ONCE)))
    return found


@contextlib.asynccontextmanager
async def _methods(node, operation):
    """An operation on several connections to a node."""
    target, credentials = f"localhost:{node.ports['clients']}", node.channel_credentials(ACCOUNT)
    channels = [
        grpc.aio.secure_channel(target, credentials, options=OWN_CONNECTION)
        for _ in range(CHANNELS)
    ]
    yield [channel.unary_unary(f"/{SERVICE}/{operation}") for channel in channels]
    await asyncio.gather(*(channel.close() for channel in channels))
