"""A secret in every spelling that other people's code gives it, and a search for any of them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from html import escape, unescape
from random import Random
from unicodedata import normalize
from urllib.parse import quote, unquote_to_bytes


def spellings_of(secret: str) -> Iterator[str]:
    """Return a secret in every spelling, each of them on one line of ASCII."""
    chance = Random(9)
    raw = secret.encode()
    yield secret
    yield quote(secret, safe="")
    yield quote(quote(secret, safe=""), safe="")
    yield "".join(f"%{byte:02X}" for byte in raw)
    yield "".join(chance.choice([c, f"%{ord(c):02x}", f"%{ord(c):02X}"]) for c in secret)
    yield "".join(f"\\u{ord(c):04x}" for c in secret)
    yield "".join(chance.choice([c, f"\\u{ord(c):04X}"]) for c in secret)
    yield secret.replace("/", "\\/")
    yield json.dumps(secret.replace("/", "\\/"))[1:-1]
    yield "".join(f"&#{ord(c)};" for c in secret)
    yield "".join(chance.choice([c, f"&#x{ord(c):X};"]) for c in secret)
    yield escape(secret).replace("/", "&sol;").replace("+", "&plus;")
    yield raw.hex()
    yield raw.hex().upper()
    for before in range(3):
        around = b"x" * before + raw + b"yz"
        yield base64.b64encode(around).decode()
        yield base64.urlsafe_b64encode(around).decode()
    yield " ".join(secret)
    yield "\\u200b".join(secret)
    yield f"{secret[:11]}\\n{secret[11:]}"
    yield secret.upper()
    yield secret.lower()
    yield secret.replace("+", "-").replace("/", "_")
    for before in range(5):
        yield base64.b32encode(b"x" * before + raw + b"yz").decode()
    yield quote(base64.b64encode(b"Bearer " + raw).decode(), safe="")
    yield secret[::-1]
    yield json.dumps(in_full_width(secret))[1:-1]
    yield quote(in_full_width(secret), safe="")
    yield "".join(f"&#{ord(c)};" for c in in_full_width(secret))
    yield "".join(f"\\{byte:03o}" for byte in raw)
    yield "".join(f"\\u{{{ord(c):x}}}" for c in secret)
    yield "".join(f"\\U{ord(c):08x}" for c in secret)
    yield "".join(f"\\x{byte:02x}" for byte in raw)
    yield "\\u0000".join(secret)
    yield json.dumps(list(raw))
    yield " ".join(map(str, raw))
    yield ", ".join(f"0x{byte:02X}" for byte in raw)
    yield raw.hex("-")
    yield "".join(f"={byte:02X}" for byte in raw)
    yield base64.b64encode(base64.b64encode(raw)).decode()
    yield base64.b64encode(b"x" + base64.urlsafe_b64encode(raw)).decode()
    yield from _in_layers(secret)


def _in_layers(secret: str) -> Iterator[str]:
    """Return a secret in one spelling within another, and in rarer ones."""
    raw = secret.encode()
    yield secret.replace("+", " ")
    yield secret.replace("+", "%20")
    yield quote("".join(f"&#x{ord(c):x};" for c in secret))
    yield quote("".join(f"&#{ord(c)};" for c in secret))
    yield quote("".join(f"\\{byte:03o}" for byte in raw))
    yield quote("".join(f"\\x{byte:02x}" for byte in raw))
    yield quote("".join(f"\\u{byte:04x}" for byte in raw))
    yield quote(quote("".join(f"\\u{{{byte:x}}}" for byte in raw)))
    yield quote("".join(f"={byte:02X}" for byte in raw))
    yield quote(json.dumps(list(raw)))
    yield "".join(f"\\{byte:06x}" for byte in raw)
    yield " ".join(f"U+{byte:04X}" for byte in raw)
    yield base64.b64encode(raw).hex()
    yield base64.b64encode(raw.hex().encode()).decode()
    yield base64.b64encode(raw.hex().upper().encode()).decode()
    for name in ("utf-16-le", "utf-16-be"):
        yield base64.b64encode(secret.encode(name)).decode()
        yield secret.encode(name).hex()


def in_full_width(secret: str) -> str:
    """Set a secret as between Chinese or Japanese signs."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in secret)


def found_in(data: bytes, secret: str) -> list[str]:
    """Return the ways in which a secret can be had from bytes, by undoing what others do.

    Written anew, and not with the patterns that take secrets out.
    """
    raw = secret.encode()
    found: list[str] = []
    undone = {
        "as it is": data,
        "percent": unquote_to_bytes(data),
        "percent twice": unquote_to_bytes(unquote_to_bytes(data)),
        "JSON": _without_escapes(data),
        "JSON twice": _without_escapes(_without_escapes(data)),
        "HTML": unescape(data.decode("latin-1")).encode("latin-1", "replace"),
    }
    undone["percent in JSON"] = unquote_to_bytes(undone["JSON"])
    undone["backwards"] = data[::-1]
    undone["in another language"] = _without_other_escapes(data)
    for way, text in (("", data), (", JSON", _without_other_escapes(data)),
                      (", percent", undone["percent"])):  # fmt: skip
        wide = unescape(text.decode("utf-8", "replace"))
        undone[f"full width{way}"] = normalize("NFKC", wide).encode("utf-8", "replace")
    undone["form"] = data.replace(b"%20", b"+").replace(b" ", b"+")
    percent = undone["percent twice"]
    undone["HTML, percent"] = unescape(percent.decode("latin-1")).encode("latin-1", "replace")
    undone["in another language, percent"] = _without_other_escapes(percent)
    undone["pairs, percent"] = re.sub(
        rb"(?:\\+x|=)([0-9a-fA-F]{2})", lambda match: bytes([int(match[1], 16)]), percent
    )
    undone["CSS and Unicode"] = re.sub(
        rb"(?:\\00|U\+)00([0-9a-fA-F]{2}) ?", lambda match: bytes([int(match[1], 16)]), data
    )
    both = [base64.b64encode(raw).hex().encode(), base64.b64encode(raw.hex().encode())]
    both.append(base64.b64encode(raw.hex().upper().encode()))
    for name in ("utf-16-le", "utf-16-be"):
        in_two = secret.encode(name)
        both += [in_two.hex().encode(), base64.b64encode(in_two)]
    found += ["two ways"] if any(form[:-4] in data for form in both) else []
    undone["numbers"] = b"".join(
        bytes(int(number) & 255 for number in re.findall(rb"[0-9]+", some)) + b"\n"
        for some in re.findall(rb"[0-9]{1,3}(?:[, \n]{1,3}[0-9]{1,3}){7,}", percent)
    )
    found += [way for way, text in undone.items() if raw in text]
    for way in ("as it is", "JSON"):
        seen = _seen(undone[way])
        found += [f"spaced or in another case, {way}"] if _seen(raw) in seen else []
        for before in range(5):
            text = base64.b32encode(b"\0" * before + raw).rstrip(b"=")
            inner = _seen(text[-(-8 * before // 5) : len(text) - 1])
            found += [f"base32 at {before}, {way}"] if inner in seen else []
    pairs = re.sub(rb"0x|\\+x|[ ,:=-]", b"", data.lower().replace(b"0x", b"\\x"))
    found += ["pairs"] if raw.hex().encode() in pairs else []
    for once in (base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
        for before in range(3):
            text = base64.b64encode(b"\0" * before + once.rstrip(b"=")).rstrip(b"=")
            found += ["base64 twice"] if text[(0, 2, 3)[before] : -3] in data else []
    for way in ("as it is", "percent", "JSON"):
        found += [f"hexadecimal, {way}"] if raw.hex().encode() in undone[way].lower() else []
        compact = undone[way].translate(bytes.maketrans(b"-_", b"+/"))
        for before in range(3):
            text = base64.b64encode(b"\0" * before + raw).rstrip(b"=")
            inner = text[(0, 2, 3)[before] : len(text) - 1]
            found += [f"base64 at {before}, {way}"] if inner in compact else []
    return found


def _seen(data: bytes) -> bytes:
    return data.lower().translate(bytes.maketrans(b"-_", b"+/"), " \t\r\n\u200b".encode())


def _without_escapes(data: bytes) -> bytes:
    data = re.sub(rb"\\+(?:[nrt]|u200b)", b"", data)
    plain = re.sub(rb"\\u00([0-9a-fA-F]{2})", lambda match: bytes([int(match[1], 16)]), data)
    return re.sub(rb"\\(.)", rb"\1", plain)


def _without_other_escapes(data: bytes) -> bytes:
    r"""Undo ``\u{73}``, ``\U00000073``, ``\163``, and ``\uff53`` as well."""
    text = re.sub(
        r"\\+(?:u\{([0-9a-fA-F]+)\}|U([0-9a-fA-F]{8})|u([0-9a-fA-F]{4}))",
        lambda match: chr(int(match[1] or match[2] or match[3], 16) % 0x11_0000),
        data.decode("latin-1"),
    ).replace("\0", "")
    text = re.sub(r"\\+([0-3][0-7]{2})", lambda match: chr(int(match[1], 8)), text)
    return text.encode("utf-8", "replace")
