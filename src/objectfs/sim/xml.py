"""XML from clients: parsed within bounds that no honest document comes near."""

from __future__ import annotations

from xml.etree import ElementTree as ET
from xml.parsers import expat

from objectfs.sim.errors import S3Error

# CompleteMultipartUpload with 10,000 parts, each with everything S3 knows of a part, has 80,001.
MAX_ELEMENTS = 100_000
MAX_DEPTH = 32
# Attributes become objects before anybody may count them: their equals signs are counted first. Base64 ends in some.
MAX_EQUALS = 100_000


def parse_xml(document: bytes, root: str) -> ET.Element:
    """The root element, which must have that name, all names without namespaces. Raises S3Error(MalformedXML) for
    what is not well-formed or out of bounds, and for any DOCTYPE: entities could expand without end, or name files.
    """
    if document.count(b"=") > MAX_EQUALS:
        raise S3Error("MalformedXML")
    builder = ET.TreeBuilder()
    # A parser that is not ElementTree's: only it says that a DOCTYPE starts, in whatever encoding.
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    depth = count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth += 1
        count += 1
        if depth > MAX_DEPTH or count > MAX_ELEMENTS:
            raise S3Error("MalformedXML")
        local = {key.rpartition("}")[2]: value for key, value in attributes.items()} if attributes else {}
        builder.start(name.rpartition("}")[2], local)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name.rpartition("}")[2])

    def refuse(*_: object) -> None:
        raise S3Error("MalformedXML")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(document, True)
        element = builder.close()
    except (expat.ExpatError, ValueError, LookupError):
        raise S3Error("MalformedXML") from None
    if element.tag != root:
        raise S3Error("MalformedXML")
    return element
