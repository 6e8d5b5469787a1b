"""The results of blind listening: one round's, and the tally of a visit."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import streamlit as st

from lab.widgets import page

if TYPE_CHECKING:
    from core.listening.comparison import Round


def show_result(round: Round) -> None:
    """A round's result in figures and in words, and a table of its trials."""
    with st.container(border=True, key="listen_result"):
        left, right = st.columns([2, 3], gap="medium")
        with left:
            st.markdown(f"#### {headline(round)}")
            st.markdown(verdict(round))
            if round.kind == "ABX":
                st.caption(f"A: {round.names[0]}. B: {round.names[1]}.")
            if len(round.answered) < round.planned:
                st.caption(
                    f"Stopped after {len(round.answered)} of {round.planned}: the p-value is valid "
                    "only if the number of trials was decided beforehand."
                )
        with right:
            shown = ("trial", "X", "answer", "right", "preferred")
            rows = [{k: row[k] for k in shown if row[k] != ""} for row in round.rows()]
            for row in rows:
                row |= {"right": bool(row["right"])} if "right" in row else {}
            st.dataframe(
                rows,
                hide_index=True,
                height=min(260, 38 + 35 * len(rows)),
                key="listen_trials_table",
                alt="Each trial and its answer",
            )


def headline(round: Round) -> str:
    """The number of right answers, or of preferences."""
    done = len(round.answered)
    if round.kind == "ABX":
        return f"{round.hits} of {done} right"
    (first, second), hits = round.names, round.hits
    return f"{hits} for {first}, {done - hits} for {second}"


def verdict(round: Round) -> str:
    """The conclusion from the count, with its p-value."""
    from core.listening.comparison import odds, tally

    found = tally(round.kind, round.hits, len(round.answered))
    exact = f"(exact binomial test, p = {found.p_value:.2g})"
    if round.kind == "ABX":
        luck = (
            f"Guessing gives {found.hits} or more of {found.trials} right "
            f"**{odds(found.p_value)}** {exact}. "
        )
        if found.p_value <= 0.05:
            return luck + "You hear a difference."
        return (
            luck + "This does not show a difference. It does not show that there is none, either."
        )
    share = found.hits / found.trials
    split = (
        f"{round.names[0]} preferred in **{share:.0%}** of trials, 95% interval {found.low:.0%} to "
        f"{found.high:.0%}. Without a preference, a split this uneven happens "
        f"**{odds(found.p_value)}** {exact}. "
    )
    return split + (
        "You prefer one of them." if found.p_value <= 0.05 else "This does not show a preference."
    )


def list_rounds(rounds: list[Round]) -> None:
    """The tally of this visit, with a download of every trial."""
    with page.row():
        st.header("Tally of this visit", anchor=False, width="content")
        page.download(
            "Every trial",
            lambda: to_csv(rounds),
            "listening.csv",
            key="listen_save",
            help="One row per trial, as CSV. Trials are kept during this visit, only for you.",
        )
    st.dataframe(
        [line(round) for round in reversed(rounds)],
        hide_index=True,
        key="listen_tally",
        column_config={"p": st.column_config.NumberColumn(format="%.2g")},
        alt="The tests of this visit, latest first",
    )


def line(round: Round) -> dict[str, str | float]:
    """A round as a row."""
    from core.listening.comparison import tally

    found = tally(round.kind, round.hits, len(round.answered))
    about = {key: round.about[key] for key in ("recording", "model")}
    what = {"test": round.kind, "comparison": round.about["comparison"]}
    return {**what, "result": headline(round), "p": found.p_value, **about}


def to_csv(rounds: list[Round]) -> bytes:
    """Every trial of finished rounds, as CSV in UTF-8."""
    rows = [
        {"round": number, **row}
        for number, round in enumerate(rounds, 1)
        if round.finished
        for row in round.rows()
    ]
    file = io.StringIO()
    table = csv.DictWriter(file, list(rows[0]) if rows else ["round"])
    table.writeheader()
    table.writerows(rows)
    return file.getvalue().encode()
