"""Rows of the table of stages that packages outside bring: what is wrong with one names its package and the remedy."""

from collections.abc import Mapping
from typing import Any

from harness.errors import BrokenError
from harness.jobs.outside import Package
from harness.jobs.stage_row import Row


def require_row(package: Package, brought: Any) -> Row:
    """What a package brings, if it is a row that can be used.

    Raises:
        BrokenError: it is none, or names a module that is not the package's own.
    """
    if not isinstance(brought, Row) or not brought.module:
        raise BrokenError(
            f"{package.words}: its STAGES hold {brought!r:.80}, where harness.jobs.stage_row.Row(...) is due, with the "
            "module that has its STAGE. Mend or uninstall the package"
        )
    if not f"{brought.module}.".startswith(f"{package.module}."):
        raise BrokenError(
            f"{package.words} brings the stage {brought.name!r} from the module {brought.module!r}, whose sources are "
            f"not its own, so that a change of them would not be seen: name {package.module} or a module below it. "
            "Mend or uninstall the package"
        )
    return brought


def require_counted(package: Package, brought: Row, table: Mapping[str, Row]) -> None:
    """What a row says of its counted column; columns that depend on parameters are not known here.

    Args:
        package: that brings it.
        brought: the row.
        table: all rows.

    Raises:
        BrokenError: it names a column or a stage that there is not.
    """
    counted = brought.counted
    if counted is None:
        return
    if not callable(brought.columns) and counted.column not in brought.columns:
        raise BrokenError(
            f"{package.words}: its stage {brought.name!r} has counted={counted}, but its columns are "
            f"{', '.join(brought.columns) or 'none'}: name one of them as column. Mend or uninstall the package"
        )
    if counted.by not in table:
        raise BrokenError(
            f"{package.words}: its stage {brought.name!r} has counted={counted}, but there is no stage "
            f"{counted.by!r}: name as by the stage that tells the examples one by one. Mend or uninstall the package"
        )
