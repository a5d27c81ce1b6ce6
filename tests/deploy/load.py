"""Clients that use a Service without pause while something happens to what is behind it."""

import contextlib
import threading

from node import eventually

WORKERS = 4
ROUNDS = 10
PATIENCE_SECONDS = 60


class Load:
    """Clients with boto3's default retries, each in a thread with a key of its own.

    `make_client` makes one. Whatever a client meets that it should not is in `failures`.
    """

    def __init__(self, make_client):
        self.clients = [make_client() for _ in range(WORKERS)]
        self.keys = [kms.create_key()["KeyMetadata"]["KeyId"] for kms in self.clients]
        self.rounds = [0] * WORKERS
        self.failures = []
        self.over = threading.Event()

    @contextlib.contextmanager
    def running(self):
        """The clients call for as long as the block runs; no call may fail."""
        workers = range(WORKERS)
        threads = [threading.Thread(target=self._work, args=(number,)) for number in workers]
        for thread in threads:
            thread.start()
        try:
            self.advance()
            yield self
            self.advance()
        finally:
            self.over.set()
            for thread in threads:
                thread.join()
        assert not self.failures, f"{len(self.failures)}, the first: {self.failures[:5]}"

    def advance(self):
        """Waits until every client has made several more rounds."""
        goals = [rounds + ROUNDS for rounds in self.rounds]

        def reached():
            return all(rounds >= goal for rounds, goal in zip(self.rounds, goals, strict=True))

        eventually(
            lambda: reached() or self.failures,
            PATIENCE_SECONDS,
            lambda: f"rounds {self.rounds}, wanted {goals}",
        )

    def _work(self, number):
        while not self.over.is_set():
            try:
                self._round(number, str(self.rounds[number]))
            except Exception as error:  # whatever it is, the caller was not served
                self.failures.append(repr(error))
            self.rounds[number] += 1

    def _round(self, number, text):
        """Uses a key and changes it; what was acknowledged is seen at once, wherever."""
        kms, key = self.clients[number], self.keys[number]
        blob = kms.encrypt(KeyId=key, Plaintext=text)["CiphertextBlob"]
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == text.encode()
        kms.tag_resource(KeyId=key, Tags=[{"TagKey": "round", "TagValue": text}])
        [tag] = kms.list_resource_tags(KeyId=key)["Tags"]
        assert tag["TagValue"] == text, f"read {tag['TagValue']} after {text} was acknowledged"
