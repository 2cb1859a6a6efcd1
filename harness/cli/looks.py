"""What a user chose of looks: as many initialisations as decide the claims, within a budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from harness.cli.options import Options
from harness.errors import RequestError
from harness.judging.sequential import MOST_TIMES, sizes_of_looks
from harness.pipeline.sequential import Budget


@dataclass(frozen=True)
class Looks:
    """The options of ``--until-decided``.

    Attributes:
        budget: what the looks may spend; None: no limit.
        most: initialisations of the last look, if chosen.
    """

    budget: Budget | None
    most: int | None

    @classmethod
    def asked(cls, options: Options, specs: Sequence[Path]) -> Self | None:
        """What was chosen; None without ``--until-decided``.

        Raises:
            RequestError: an option lacks it, a budget is none, or there are several specs.
        """
        if not options.until_decided:
            if options.budget is not None or options.most is not None:
                raise RequestError(
                    "--budget and --most say how long --until-decided goes on: add it, or leave them out"
                )
            return None
        if len(set(specs)) > 1:
            raise RequestError(
                f"--until-decided takes one spec, as a budget is for its claims, and found {len(set(specs))}: run them "
                "one by one"
            )
        try:
            budget = None if options.budget is None else Budget.parse(options.budget)
        except ValueError as error:
            raise RequestError(f"--budget: {error}") from error
        return cls(budget, options.most)

    def sizes(self, first: int) -> tuple[int, ...]:
        """Initialisations at each look, of which the first has so many.

        Raises:
            RequestError: the last look would have fewer.
        """
        most = MOST_TIMES * first if self.most is None else self.most
        if most < first:
            raise RequestError(
                f"--most {most}: the first look has {first} initialisations: choose more, or fewer --replicates"
            )
        return sizes_of_looks(first, most)
