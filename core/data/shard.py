"""One of several shards that machines build of a corpus, each its own part."""

from __future__ import annotations

import re
from typing import NamedTuple

from core.errors import RavelError


class Shard(NamedTuple):
    """Shard `number` (the first is 1) of `of`."""

    number: int = 1
    of: int = 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """'2/8' as a shard. Raises RavelError for anything else."""
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
        if match and 1 <= int(match[1]) <= int(match[2]):
            return cls(int(match[1]), int(match[2]))
        raise RavelError(
            f"--shard is {text!r}: give I/N with I from 1 to N, such as 1/8 for the first of eight."
        )

    def part(self, chunks: int) -> range:
        """The numbers of the chunks that are this shard's: consecutive ones, so that shards one
        after the other have the clips in the order of a store that was built whole. Raises
        RavelError where there are fewer chunks than shards."""
        if self.of > 1 and chunks < self.of:
            raise RavelError(
                f"The corpus is built in {chunks} pieces, which cannot be dealt to {self.of} "
                f"shards: give --shard I/{max(chunks, 1)} or fewer."
            )
        ends = [chunks * number // self.of for number in (self.number - 1, self.number)]
        return range(*ends)


WHOLE = Shard()
