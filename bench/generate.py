"""Generate synthetic zone graphs in the project's vocabulary, of any size, with the same bytes on every machine.

A graph holds the project's own dataset, with its indicators, units and shapes, and then zones:
labels, three indicators over five years, two investors, the claims about them and their evidence. It
conforms to the shapes. Every tenth zone lacks figures for 2024; every second one has a plan for 2025.
Lines are formatted as strings, about a million a second, without a parser or canonicalisation.
"""

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kg import resources
from kg.changes import data_folder, dataset_files
from kg.engine.statistics import statistics_to_json
from kg.engine.statistics_queries import compute_statistics
from kg.rdf.io import canonical_nquads
from kg.rdf.namespaces import DCTERMS, GRAPH, HPEZ, ID, OA, PROV, RDF, RDFS, SCHEMA, SKOS, XSD

_MOST_COUNTED: Final = 2_000_000
"""Up to this number of triples the statistics are counted, as a build does."""
SIZES: Final = {"10k": 10_000, "100k": 100_000, "1M": 1_000_000, "10M": 10_000_000}
"""The sizes by name, in triples."""

YEARS: Final = (2020, 2021, 2022, 2023, 2024)
PLAN_YEAR: Final = 2025
ZONES_A_SOURCE: Final = 250
LACKING_2024: Final = 10
"""One in this many zones has no figures for 2024."""

_INDICATORS: Final = (
    ("fdi-attracted", "FDI", "Vốn FDI", "CCY_USD", 1e7, 1e9),
    ("exports", "Exports", "Xuất khẩu", "CCY_USD", 1e8, 1e10),
    ("revenue", "Revenue", "Doanh thu", "CCY_VND", 1e11, 1e13),
)
_ZONE_TYPES: Final = ("economic-zone", "industrial-park", "industrial-park-complex", "non-tariff-zone")
_TYPE: Final = f"<{RDF}type>"
_UNIT: Final = "http://qudt.org/vocab/unit/"
_HAS_UNIT: Final = "<http://qudt.org/schema/qudt/hasUnit>"
_ORG: Final = "http://www.w3.org/ns/org#"
_ENTITIES: Final = f" <{GRAPH}entities> .\n"
_ASSERTED: Final = f" <{GRAPH}asserted> .\n"
_SEED: Final = 94474
_BUFFER: Final = 1024 * 1024
_PREAMBLE: Final = 2
"""The number of blocks before the first zone: the project's own dataset and the years."""


_KINDS: Final = ("zone", "org", "claim/bench", "place")
_WORDS: Final = (
    "khu", "công", "nghiệp", "kinh", "tế", "cảng", "biển", "đầu", "tư", "quản", "lý", "phát", "triển", "thành", "phố",
    "đường", "tỉnh", "xã", "phường", "nhà", "máy", "ty", "cổ", "phần", "thương", "mại", "dịch", "vụ", "xây", "dựng",
    "miền", "bắc", "nam", "đông", "tây", "hòa", "bình", "tân", "phú",
)  # fmt: skip


@dataclass(frozen=True)
class Dataset:
    """A generated data folder: `dataset` is its N-Quads file, `triples` and `zones` count what is in it."""

    folder: Path
    triples: int
    zones: int

    @property
    def dataset(self) -> Path:
        return self.folder / dataset_files.DATASET_FILE


def zone_iri(number: int) -> str:
    """The IRI of a generated zone, counted from 0."""
    return f"{ID}zone/bench-{number}"


def claim_iri(zone: int, indicator: int, year: int) -> str:
    """The IRI of a generated figure; `indicator` counts from 0 to 2."""
    return f"{ID}claim/{_source(zone)}/{_INDICATORS[indicator][0]}-{zone}-{year}"


def write_folder(folder: Path, triples: int) -> Dataset:
    """Write a data folder for `hpkg serve --data` with at least the given number of triples.

    The last zone is written completely, so there may be up to 300 triples more.
    """
    digest, written, blocks = hashlib.sha256(), 0, 0
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("journal.db*"), *folder.glob("snapshot-*")):
        old.unlink()
    with (folder / dataset_files.DATASET_FILE).open("wb", buffering=_BUFFER) as file:
        for block in _blocks():
            data = block.encode()
            file.write(data)
            digest.update(data)
            written += block.count("\n")
            blocks += 1
            if written >= triples:
                break
    _write_manifest(folder, digest.hexdigest())
    if written < _MOST_COUNTED:
        counts = statistics_to_json(compute_statistics(data_folder.open_or_build(folder)))
        _write_manifest(folder, digest.hexdigest(), counts)
    return Dataset(folder, written, blocks - _PREAMBLE)


def write_names(folder: Path, labels: int) -> None:
    """Write a data folder of entities that have nothing but four names each, in Vietnamese and English."""
    numbers, digest = random.Random(_SEED), hashlib.sha256()  # noqa: S311 - as above
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / dataset_files.DATASET_FILE).open("wb", buffering=_BUFFER) as file:
        for number in range(labels // 4):
            data = _named(number, numbers).encode()
            file.write(data)
            digest.update(data)
    _write_manifest(folder, digest.hexdigest())


def _named(number: int, numbers: random.Random) -> str:
    kind = _KINDS[number % len(_KINDS)]
    node, several = f"<{ID}{kind}/bench-{number}>", " ".join(numbers.choices(_WORDS, k=numbers.randint(1, 6)))
    one, two = numbers.choices(_WORDS, k=2)
    return (
        f"{_labels(node, f'Zone {number} of {one}', f'Khu {several} {number}', _ENTITIES, preferred=False)}"
        f'{node} <{SKOS}altLabel> "KKT {several}"@vi{_ENTITIES}'
        f'{node} <{SKOS}altLabel> "{one} {two} {number}"@vi{_ENTITIES}'
    )


def _write_manifest(folder: Path, sha256: str, counts: dict[str, Any] | None = None) -> None:
    """Write a manifest that marks the dataset as validated; otherwise the dispatcher validates it again."""
    manifest = {"fingerprint": resources.fingerprint(), "sha256": sha256, "counts": counts}
    (folder / dataset_files.MANIFEST_FILE).write_text(json.dumps(manifest), encoding="utf-8")


def _blocks() -> Iterator[str]:
    """Yield the project's own dataset and then an endless sequence of zones, as N-Quads."""
    numbers = random.Random(_SEED)  # noqa: S311 - the same graph every time, nothing is secret
    yield canonical_nquads(data_folder.assemble_graph().quads()).decode()
    yield "".join(_periods())
    zone = 0
    while True:
        yield "".join(_zone(zone, numbers))
        zone += 1


def _source(zone: int) -> str:
    return f"bench-{zone // ZONES_A_SOURCE}"


def _labels(subject: str, english: str, vietnamese: str, end: str, *, preferred: bool = True) -> str:
    lines = f'{subject} <{RDFS}label> "{english}"@en{end}{subject} <{RDFS}label> "{vietnamese}"@vi{end}'
    if not preferred:
        return lines
    return f'{lines}{subject} <{SKOS}prefLabel> "{english}"@en{end}{subject} <{SKOS}prefLabel> "{vietnamese}"@vi{end}'


def _periods() -> Iterator[str]:
    """Return the years that the project's own dataset does not name."""
    for year in YEARS[:-1]:
        period = f"<{ID}period/{year}>"
        yield f"{period} {_TYPE} <{DCTERMS}PeriodOfTime>{_ENTITIES}"
        yield _labels(period, str(year), f"năm {year}", _ENTITIES)
        yield f'{period} <{SCHEMA}startDate> "{year}-01-01"^^<{XSD}date>{_ENTITIES}'
        yield f'{period} <{SCHEMA}endDate> "{year}-12-31"^^<{XSD}date>{_ENTITIES}'


def _zone(zone: int, numbers: random.Random) -> Iterator[str]:
    if zone % ZONES_A_SOURCE == 0:
        yield _source_lines(zone)
    node = f"<{zone_iri(zone)}>"
    yield f"{node} {_TYPE} <{HPEZ}Zone>{_ENTITIES}"
    yield _labels(node, f"Zone {zone}", f"Khu số {zone}", _ENTITIES)
    yield f"{node} <{DCTERMS}type> <{ID}zone-type/{_ZONE_TYPES[zone % len(_ZONE_TYPES)]}>{_ENTITIES}"
    yield f"{node} <{SCHEMA}containedInPlace> <{ID}place/hai-phong>{_ENTITIES}"
    yield _evidence(zone)
    for indicator in range(len(_INDICATORS)):
        for year in YEARS:
            if year != 2024 or zone % LACKING_2024:
                yield _observation(zone, indicator, year, "actual", numbers)
        if zone % 2:
            yield _observation(zone, indicator, PLAN_YEAR, "plan", numbers)
    for investor in (2 * zone, 2 * zone + 1):
        yield _investor(zone, investor)


def _source_lines(zone: int) -> str:
    name = _source(zone)
    source, end = f"<{ID}source/{name}>", f" <{GRAPH}source/{name}> .\n"
    return (
        f"{source} {_TYPE} <{SCHEMA}NewsArticle>{end}"
        f"{_labels(source, f'Synthetic source {name}', f'Nguồn giả lập {name}', end)}"
        f'{source} <{DCTERMS}identifier> "{name}"{end}'
        f'{source} <{DCTERMS}issued> "2025-01-02"^^<{XSD}date>{end}'
        f'{source} <http://purl.org/pav/retrievedOn> "2025-01-02"^^<{XSD}date>{end}'
        f"{source} <{SCHEMA}publisher> <{ID}org/dnhn>{end}"
        f'{source} <{SCHEMA}sha256> "{hashlib.sha256(name.encode()).hexdigest()}"{end}'
        f"{source} <{SCHEMA}url> <https://example.org/{name}>{end}"
    )


def _evidence_iri(zone: int) -> str:
    start = 100 * (zone % ZONES_A_SOURCE)
    return f"{ID}evidence/{_source(zone)}/{start}-{start + 10}"


def _evidence(zone: int) -> str:
    """Format the evidence that all claims about a zone share."""
    start, end = 100 * (zone % ZONES_A_SOURCE), f" <{GRAPH}source/{_source(zone)}> .\n"
    place, position, quote = f"<{_evidence_iri(zone)}>", f"_:p{zone}", f"_:q{zone}"
    return (
        f"{place} {_TYPE} <{OA}SpecificResource>{end}"
        f"{place} <{OA}hasSource> <{ID}source/{_source(zone)}>{end}"
        f"{place} <{OA}hasSelector> {position}{end}"
        f"{position} {_TYPE} <{OA}TextPositionSelector>{end}"
        f'{position} <{OA}start> "{start}"^^<{XSD}integer>{end}'
        f'{position} <{OA}end> "{start + 10}"^^<{XSD}integer>{end}'
        f"{place} <{OA}hasSelector> {quote}{end}"
        f"{quote} {_TYPE} <{OA}TextQuoteSelector>{end}"
        f'{quote} <{OA}exact> "{zone:010d}"{end}'
    )


def _observation(zone: int, indicator: int, year: int, status: str, numbers: random.Random) -> str:
    name, english, vietnamese, unit, least, most = _INDICATORS[indicator]
    value = float(round(numbers.uniform(least, most), -5))
    claim, end = f"<{claim_iri(zone, indicator, year)}>", f" <{GRAPH}source/{_source(zone)}> .\n"
    labels = _labels(
        claim,
        f"{english} of zone {zone} in {year}: {value:.0f}.",
        f"{vietnamese} của khu số {zone} năm {year}: {value:.0f}.",
        end,
        preferred=False,
    )
    return (
        f"{claim} {_TYPE} <{HPEZ}Observation>{end}{labels}"
        f"{claim} <{DCTERMS}temporal> <{ID}period/{year}>{end}"
        f"{claim} {_HAS_UNIT} <{_UNIT}{unit}>{end}"
        f"{claim} <{PROV}wasAttributedTo> <{ID}org/dnhn>{end}"
        f"{claim} <{SCHEMA}observationAbout> <{zone_iri(zone)}>{end}"
        f'{claim} <{SCHEMA}value> "{value:.1f}"^^<{XSD}decimal>{end}'
        f"{claim} <{SCHEMA}variableMeasured> <{ID}indicator/{name}>{end}"
        f"{claim} <{HPEZ}evidence> <{_evidence_iri(zone)}>{end}"
        f"{claim} <{HPEZ}status> <{ID}status/{status}>{end}"
        f"{claim} <{HPEZ}valueQualifier> <{ID}qualifier/exact>{end}"
    )


def _investor(zone: int, number: int) -> str:
    """Format an investor, the claim that it invests in the zone, and the triple that the claim asserts."""
    investor, end = f"<{ID}org/bench-{number}>", f" <{GRAPH}source/{_source(zone)}> .\n"
    claim = f"<{ID}claim/{_source(zone)}/invests-{number}>"
    labels = _labels(
        claim,
        f"Investor {number} invests in zone {zone}.",
        f"Nhà đầu tư {number} đầu tư vào khu số {zone}.",
        end,
        preferred=False,
    )
    return (
        f"{investor} {_TYPE} <{_ORG}Organization>{_ENTITIES}"
        f"{investor} {_TYPE} <{SCHEMA}Corporation>{_ENTITIES}"
        f"{_labels(investor, f'Investor {number}', f'Nhà đầu tư {number}', _ENTITIES)}"
        f"{claim} {_TYPE} <{HPEZ}RelationClaim>{end}{labels}"
        f"{claim} <{RDF}subject> {investor}{end}"
        f"{claim} <{RDF}predicate> <{HPEZ}investsIn>{end}"
        f"{claim} <{RDF}object> <{zone_iri(zone)}>{end}"
        f"{claim} <{PROV}wasAttributedTo> <{ID}org/dnhn>{end}"
        f"{claim} <{HPEZ}evidence> <{_evidence_iri(zone)}>{end}"
        f"{investor} <{HPEZ}investsIn> <{zone_iri(zone)}>{_ASSERTED}"
    )
