"""Negotiation of the content coding."""

import pytest

from service.http.compression import choose_content_coding


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", "identity"),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1, br;q=0.5", "gzip"),
        ("gzip; q=0.5, br; q=0.8", "br"),
        ("*", "zstd"),
        ("zstd;q=0, *", "br"),
        ("gzip;q=0", "identity"),
        ("gzip;q=0.5, identity", "identity"),
        ("gzip, identity", "gzip"),
        ("identity;q=0, *;q=0", "identity"),
        ("compress", "identity"),
        ("nonsense;;q=x,,", "identity"),
    ],
)
def test_coding(accepted: str, chosen: str) -> None:
    assert choose_content_coding(accepted) == chosen
