"""What of AWS's table of key states no test reaches, because it is not built. `test_states` fails
as soon as something of this is built and is still on a list here."""

# The states that no key can be in yet, with what would lead to each: an operation and its input.
# The answers that operations give in them stand in the rows of the walk already.
OPEN_STATES = {
    "Unavailable": ("CreateCustomKeyStore", {"CustomKeyStoreName": "store"}),
}

# The states in which only keys with relatives in another Region are, for as long as that is out of
# reach: `test_states_regions` has these.
OF_RELATIVES = {"Creating", "PendingReplicaDeletion", "Updating"}

# The operations of the table that are not built: no state of a key is tried with them.
OPEN_OPERATIONS = set()

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
