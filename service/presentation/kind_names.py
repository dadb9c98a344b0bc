"""Names of the kinds of entities; a kind is the first segment of an entity's path, such as `zone` in /id/zone/…."""

from flask_babel import gettext

from kg.sources.kinds import FOREIGN_KIND


def kind_name(kind: str) -> str:
    """Return the name of a kind in the page's language, or the kind itself if it has none."""
    names: dict[str, str] = {
        "activity": gettext("Activities"),
        "characteristic": gettext("Characteristics"),
        "claim": gettext("Claims"),
        "event": gettext("Events"),
        "evidence": gettext("Evidence"),
        "graph": gettext("Graphs"),
        "indicator": gettext("Indicators"),
        "issue": gettext("Open issues"),
        "issue-type": gettext("Types of issues"),
        "ontology": gettext("Terms of the ontology"),
        "org": gettext("Organisations"),
        "period": gettext("Periods"),
        "person": gettext("People"),
        "pillar": gettext("Economic pillars"),
        "pillar-list": gettext("Lists of pillars"),
        "place": gettext("Places"),
        "port": gettext("Ports"),
        "post": gettext("Posts"),
        "qualifier": gettext("Ways to read a figure"),
        "scheme": gettext("Lists of concepts"),
        "shapes": gettext("Shapes"),
        "source": gettext("Sources"),
        "status": gettext("Statuses of figures"),
        "support-field": gettext("Fields of support"),
        "trend": gettext("Trends"),
        "zone": gettext("Zones"),
        "zone-group": gettext("Groups of zones"),
        "zone-type": gettext("Types of zones"),
        FOREIGN_KIND: gettext("Other"),
    }
    return names.get(kind, kind)
