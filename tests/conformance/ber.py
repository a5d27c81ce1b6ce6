"""PKCS#8 in BER as loose as it may be: no lengths where none are needed, longer ones than needed
elsewhere, and strings in pieces."""

OCTET_STRING, CONSTRUCTED = 0x04, 0x20
END = b"\0\0"


def pkcs8_in_ber(der):
    """The same key; what the private key's OCTET STRING holds is loose as well."""
    [(sequence, contents)] = elements(der)
    version, algorithm, (tag, private_key), *attributes = elements(contents)
    [inner] = elements(private_key)
    parts = [version, algorithm, (tag, loose(*inner)), *attributes]
    return open_ended(sequence, b"".join(loose(*part) for part in parts))


def elements(der):
    """The tags and contents of what follows each other in DER."""
    found = []
    while der:
        tag, length, header = der[0], der[1], 2
        if length >= 0x80:
            header += length & 0x7F
            length = int.from_bytes(der[2:header])
        found.append((tag, der[header : header + length]))
        der = der[header + length :]
    return found


def loose(tag, contents):
    if tag & CONSTRUCTED:
        return open_ended(tag, b"".join(loose(*part) for part in elements(contents)))
    if tag == OCTET_STRING:
        half = len(contents) // 2
        pieces = [with_length(tag, piece) for piece in (contents[:half], contents[half:])]
        return open_ended(tag | CONSTRUCTED, b"".join(pieces))
    return with_length(tag, contents)


def open_ended(tag, contents):
    return bytes([tag, 0x80]) + contents + END


def with_length(tag, contents):
    """More zeros before the length than anybody needs."""
    return bytes([tag, 0x84]) + len(contents).to_bytes(4) + contents
