"""What the Map page draws: its marks and the traces of its figures."""

import json

from streamlit.testing.v1 import AppTest

from tests.lab.pages import component


def sent(page: AppTest) -> dict:
    """The marks that the maps were given."""
    return component(page, "ravel_latent_map")


def figures(page: AppTest) -> list[list[dict]]:
    """The traces of each map."""
    given = component(page, "ravel_latent_figures")
    return [json.loads(given[panel["digest"]])["data"] for panel in sent(page)["panels"]]
