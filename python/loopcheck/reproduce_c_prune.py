"""A reproducer in C without what its program does not need."""

from __future__ import annotations

import re
from collections.abc import Iterator

HEADERS = {  # and what needs them; all others stay
    "arpa/inet.h": r"\b(htonl|ntohs|htons)\(",
    "fcntl.h": r"\bfcntl\(",
    "netinet/tcp.h": r"\bTCP_NODELAY\b",
    "poll.h": r"\bstruct pollfd\b",
    "sys/socket.h": r"\b(socketpair|setsockopt|struct linger)\b",
    "time.h": r"\bnanosleep\(",
    "stdlib.h": r"\b(malloc|calloc|free|abort)\(",
}
SECTION = "/* ---- "
NOT_NAMES = {"static", "const", "struct", "void", "extern", "int", "unsigned", "char", "bool", "uint64_t", "size_t"}


def pruned(text: str, features: set[str]) -> str:
    """Without the #ifdef of other features, and then without whatever nothing names."""
    text = "\n".join(_resolved(text.splitlines(), features)) + "\n"
    text = _without_unused(text)
    text = _without_fields(text)
    for header, needed in HEADERS.items():
        if not re.search(needed, text):
            text = text.replace(f"#include <{header}>\n", "")
    return re.sub(r"\n{3,}", "\n\n", text)


def _resolved(lines: list[str], features: set[str]) -> Iterator[str]:
    """What #ifdef, #else and #endif leave."""
    is_kept = [True]
    for line in lines:
        if line.startswith(("#ifdef ", "#ifndef ")):
            is_kept.append((line.split()[1] in features) == line.startswith("#ifdef"))
        elif line == "#else":
            is_kept[-1] = not is_kept[-1]
        elif line == "#endif":
            is_kept.pop()
        elif all(is_kept):
            yield line


def _blocks(text: str) -> list[str]:
    """The declarations at the top level, each with the comment before it and the empty lines behind it."""
    blocks: list[str] = []
    block: list[str] = []
    is_comment = is_open = False
    for line in text.splitlines(keepends=True):
        if not line.strip() and not block and blocks:
            blocks[-1] += line
            continue
        block.append(line)
        is_comment = (is_comment or line.startswith("/*")) and "*/" not in line
        code = re.sub(r"/\*.*?\*/", "", line).rstrip()
        is_open = (is_open or code.endswith("{")) and not line.startswith("}")
        if not is_comment and not is_open and (code.endswith((";", "}")) or line.startswith(("#", SECTION))):
            blocks.append("".join(block))
            block = []
    return [*blocks, "".join(block)] if block else blocks


def _names(block: str) -> list[str]:
    """What a declaration makes known."""
    code = re.sub(r"/\*.*?\*/", "", block, flags=re.DOTALL).strip()
    if code.startswith("#") or not code:
        return []
    head = code.partition("\n{")[0]
    function = re.match(r"(?:[\w*]+\s+)*?\**(\w+)\(", head)
    if function is not None and "=" not in head.partition("(")[0]:
        return [function[1]]
    if code.startswith("enum"):
        return re.findall(r"\b([A-Z_]{2,})\b", code)
    outside = re.sub(r"\{.*\}", "", code, flags=re.DOTALL)
    outside = re.sub(r"=\s*[^,;]*", "", outside)
    return [name for name in re.findall(r"\w+", re.sub(r"\[.*?\]", "", outside)) if name not in NOT_NAMES]


def _words(block: str) -> set[str]:
    """What it names: no field of a struct, and nothing in comments and strings."""
    return set(
        re.findall(r"(?<![.>\w])\w+", re.sub(r'/\*.*?\*/|"[^"\n]*"|^#.*$', "", block, flags=re.DOTALL | re.MULTILINE))
    )


def _without_unused(text: str) -> str:
    """Drops what is named nowhere else, until nothing is left to drop."""
    blocks = _blocks(text)
    names = [_names(block) for block in blocks]
    while True:
        words = [_words(block) for block in blocks]
        doomed = {
            i
            for i, own in enumerate(names)
            if own
            and own != ["main"]
            and not any(set(own) & words[j] for j in range(len(blocks)) if j != i and not set(own) & set(names[j]))
        }
        if not doomed:
            break
        blocks = [block for i, block in enumerate(blocks) if i not in doomed]
        names = [own for i, own in enumerate(names) if i not in doomed]
    kept = []
    for i, block in enumerate(blocks):
        is_empty = block.startswith(SECTION) and (i + 1 == len(blocks) or blocks[i + 1].startswith(SECTION))
        if not is_empty:
            kept.append(block)
    return "".join(kept)


def _without_fields(text: str) -> str:
    """Fields of struct handle, and constants, that nothing names."""

    def is_used(name: str) -> bool:
        return len(re.findall(rf"\b{name}\b", text)) > 1

    begin = text.index("struct handle {")
    end = text.index("};", begin)
    lines = text[begin:end].splitlines(keepends=True)
    kept = [line for line in lines if _field(line) is None or re.search(rf"(->|\.){_field(line)}\b", text)]
    text = text[:begin] + "".join(kept) + text[end:]
    for line in re.findall(r"^enum \{.*= .*\};\n", text, flags=re.MULTILINE):
        items = [item for item in line[len("enum {") : -len("};\n")].split(",") if is_used(item.split()[0])]
        text = text.replace(
            line, f"enum {{{','.join(items).strip()}}};\n".replace("{", "{ ").replace("}", " }") if items else ""
        )
    return text


def _field(line: str) -> str | None:
    found = re.match(r" {4}[\w ]+?\**(\w+)(?:\[\w+\])?;", line)
    return found[1] if found else None
