"""All nodes of a cluster as one: each call goes to another node than the call before."""

import itertools


class InTurn:
    """Has of a node what a client needs; what is no call is the first node's."""

    def __init__(self, nodes):
        self.nodes = nodes
        self._turns = itertools.cycle(nodes)

    def __getattr__(self, name):
        return getattr(self.nodes[0], name)

    def client(self, service="kms", **settings):
        return Client([node.client(service, **settings) for node in self.nodes])

    def call(self, *call, **how):
        return next(self._turns).call(*call, **how)

    def newcomer(self):
        account = self.nodes[0].new_account()
        return self.client(account=account)

    def output(self):
        return "".join(node.output() for node in self.nodes)


class Client:
    """boto3 clients of the nodes as one."""

    def __init__(self, clients):
        self._clients = clients
        self._turns = itertools.cycle(clients)

    def __getattr__(self, name):
        first = getattr(self._clients[0], name)
        if name not in self._clients[0].meta.method_to_api_mapping:
            return first
        return lambda *call, **parameters: getattr(next(self._turns), name)(*call, **parameters)
