"""What of AWS's table of key states no test reaches, because it is not built. `test_states` fails
as soon as something of this is built and is still on a list here."""

# The states that no key can be in yet, with what would lead to each: an operation and its input.
# The answers that operations give in them stand in the rows of the walk already, but for those in
# PendingReplicaDeletion: they are those in PendingDeletion, with the name of the state in the text.
CREATE_REPLICATED = ("CreateKey", {"MultiRegion": True})
OPEN_STATES = {
    "Creating": CREATE_REPLICATED,
    "PendingReplicaDeletion": CREATE_REPLICATED,
    "Unavailable": ("CreateCustomKeyStore", {"CustomKeyStoreName": "store"}),
    "Updating": CREATE_REPLICATED,
}

# The operations of the table that are not built: no state of a key is tried with them.
OPEN_OPERATIONS = {
    "ReplicateKey",
    "UpdatePrimaryRegion",
}

# The cells that nothing leads to: no material of the only keys that do this can be imported.
IMPOSSIBLE = {
    ("Decapsulate", "PendingImport"),
    ("Encapsulate", "PendingImport"),
}

# The operations that are not in the table, because they name no key.
KEYLESS = {
    "ConnectCustomKeyStore",
    "CreateCustomKeyStore",
    "CreateKey",
    "DeleteCustomKeyStore",
    "DescribeCustomKeyStores",
    "DisconnectCustomKeyStore",
    "GenerateRandom",
    "ListKeys",
    "ListRetirableGrants",
    "UpdateCustomKeyStore",
}
