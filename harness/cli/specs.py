"""The commands that look at spec files and run nothing."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import console
from harness.cli.options import DATA, JsonOption, Specs
from harness.errors import RequestError


def validate(specs: Specs) -> None:
    """Check spec files; report every problem with file, line and field."""
    from harness.pipeline.flipping import check_flips
    from harness.pipeline.request import check
    from harness.protocols import protocols
    from harness.schema import load as loading

    problems = []
    for path in specs:
        try:
            loaded = loading.load(path, protocols())
            for scale in loaded.spec.scales:
                check(loaded, scale, DATA)
                check_flips(loaded, scale, DATA)
        except RequestError as error:
            problems.append(str(error))
        else:
            count = len(loaded.spec.claims)
            claims = "1 claim" if count == 1 else f"{count} claims"
            console.out.print(f"{path}: {claims}, scales {', '.join(loaded.spec.scales)}")
            for doubt in loaded.doubts:
                console.out.print(f"warning: {doubt.place}: {doubt.message}")
    if problems:
        raise RequestError("\n".join(problems))


def list_specs(
    folder: Annotated[Path, typer.Argument(help="Folder of specs.")] = Path("specs"),
    as_json: JsonOption = False,
) -> None:
    """List the specs of a folder with their claims, and the protocols there are."""
    from harness.protocols import protocols
    from harness.schema import load as loading

    paths = sorted(folder.glob("*.yaml"))
    if folder.is_file():
        raise RequestError(f"{folder} is a file: name a folder of specs, or `harness validate {folder}`")
    if not paths:
        raise RequestError(f"no spec files (*.yaml) in {folder}: name another folder")
    specs, problems = [], []
    for path in paths:
        try:
            specs.append(loading.load(path, protocols()))
        except RequestError as error:
            problems.append(str(error))
    if as_json:
        rows = [
            {
                "path": str(loaded.path),
                "title": loaded.spec.title,
                "protocol": loaded.spec.protocol,
                "scales": list(loaded.spec.scales),
                "claims": {claim.id: claim.sentence for claim in loaded.spec.claims},
            }
            for loaded in specs
        ]
        console.machine(rows)
    for loaded in specs if not as_json else ():
        console.out.print(
            f"{loaded.path}  {loaded.spec.title}  ({loaded.spec.protocol}; {', '.join(loaded.spec.scales)})",
            markup=False,
        )
        for claim in loaded.spec.claims:
            console.out.print(f"    {claim.id}: {claim.sentence}")
    if not as_json:
        console.out.print(f"protocols: {', '.join(sorted(protocols()))}")
    if problems:
        raise RequestError("\n".join(problems))


def schema() -> None:
    """Print the JSON Schema of spec files, for editors."""
    from harness.protocols import protocols
    from harness.schema import load as loading

    console.machine(loading.schema(protocols()))
