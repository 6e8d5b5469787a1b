"""What blind listening has shown: the result of a round, and the tally of a visit."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from core.listening import Round


def tell(round: Round) -> None:
    """The result in figures and in words, and what each trial was."""
    with st.container(border=True, key="listen_result"):
        left, right = st.columns([2, 3], gap="medium")
        with left:
            st.markdown(f"#### {headline(round)}")
            st.markdown(verdict(round))
            if round.kind == "ABX":
                st.caption(f"A: {round.names[0]}. B: {round.names[1]}.")
            if len(round.answered) < round.planned:
                st.caption(
                    f"Stopped after {len(round.answered)} of {round.planned}: a p-value means what "
                    "it says only where the number of trials was decided beforehand."
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
                alt="What each trial was, and the answer",
            )


def headline(round: Round) -> str:
    """The count."""
    done = len(round.answered)
    if round.kind == "ABX":
        return f"{round.hits} of {done} right"
    (first, second), hits = round.names, round.hits
    return f"{hits} for {first}, {done - hits} for {second}"


def verdict(round: Round) -> str:
    """What the count says, and what it does not."""
    from core.listening import odds, tally

    found = tally(round.kind, round.hits, len(round.answered))
    exact = f"(exact binomial test, p = {found.p_value:.2g})"
    if round.kind == "ABX":
        luck = (
            f"Who only guesses gets {found.hits} or more of {found.trials} right "
            f"**{odds(found.p_value)}** {exact}. "
        )
        if found.p_value <= 0.05:
            return luck + "You hear a difference."
        return luck + "This shows no difference. It does not show that there is none, either."
    share = found.hits / found.trials
    split = (
        f"{round.names[0]} preferred in **{share:.0%}** of trials, 95% interval {found.low:.0%} to "
        f"{found.high:.0%}. Were neither better, a split as uneven as this would come up "
        f"**{odds(found.p_value)}** {exact}. "
    )
    return split + (
        "You prefer one of them." if found.p_value <= 0.05 else "This shows no preference."
    )


def list_rounds(rounds: list[Round]) -> None:
    """The tally of this visit, and every trial to take away."""
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.subheader("Tally of this visit", anchor=False, width="content")
        st.download_button(
            "Every trial",
            lambda: to_csv(rounds),
            "listening.csv",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            key="listen_save",
            help="A row a trial, as CSV. It is kept for this visit only, and for you alone.",
        )
    st.dataframe(
        [line(round) for round in reversed(rounds)],
        hide_index=True,
        key="listen_tally",
        column_config={"p": st.column_config.NumberColumn(format="%.2g")},
        alt="The tests of this visit, the last one first",
    )


def line(round: Round) -> dict[str, str | float]:
    """A round as a row."""
    from core.listening import tally

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
