"""From what Lambda hands over for a Kinesis stream to the lines in it: takes aggregated records apart.

The gateway puts many events into one Kinesis record, in the aggregated format of the Kinesis Producer Library: four bytes,
a protobuf message, its MD5. Of the message only field 3 matters here (the user records), and of each of those only field 3
(its bytes). AWS's own package for it (aws-kinesis-agg) needs protobuf in the zip; this needs nothing.
"""

import base64
import hashlib

MAGIC = b"\xf3\x89\x9a\xc2"
DIGEST_BYTES = 16
# Protobuf's wire types, and the field that holds user records, and in them their data.
VARINT, EIGHT_BYTES, DELIMITED, FOUR_BYTES = 0, 1, 2, 5
RECORDS = DATA = 3


class Unreadable(ValueError):
    """What is in the stream is not what a gateway writes. Handing it over again can't help."""


def lines(record):
    """The lines in a record of Lambda's event, each one stream record. A record that is not aggregated is lines itself."""
    try:
        data = base64.b64decode(record["kinesis"]["data"], validate=True)
    except ValueError as error:
        raise Unreadable("is not base64") from error
    for piece in pieces(data):
        yield from (line for line in piece.split(b"\n") if line.strip())


def pieces(data):
    """The user records of an aggregated record; any other record as it is."""
    if not data.startswith(MAGIC):
        return [data]
    message, digest = data[len(MAGIC):-DIGEST_BYTES], data[-DIGEST_BYTES:]
    if hashlib.md5(message, usedforsecurity=False).digest() != digest:
        raise Unreadable("is an aggregated record whose digest is not its own")
    return [piece for record in fields(message, RECORDS) for piece in fields(record, DATA)]


def fields(message, wanted):
    """What a protobuf message has under a field of bytes, in order."""
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            _, at = varint(message, at)
            continue
        if kind == DELIMITED:
            length, at = varint(message, at)
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            length = 8 if kind == EIGHT_BYTES else 4
        else:
            raise Unreadable(f"has a field of the unknown wire type {kind}")
        if at + length > len(message):
            raise Unreadable("ends within a field")
        if number == wanted and kind == DELIMITED:
            yield message[at:at + length]
        at += length


def varint(message, at):
    """A number of seven bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise Unreadable("ends within a number")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise Unreadable("has a number of more than ten bytes")
