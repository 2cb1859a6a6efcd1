"""The commands that bring datasets in."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import console
from harness.cli.options import DATA, DataOption

if TYPE_CHECKING:
    from harness.datainfo import DatasetInfo

app = typer.Typer(no_args_is_help=True, help="Bring in datasets, and see which are here.")


@app.command(name="import", epilog="Example: harness data import mnist Downloads/mnist")
def data_import(
    name: Annotated[str, typer.Argument(help="mnist or cifar10.")],
    source: Annotated[Path, typer.Argument(help="A folder or an archive (tar, tar.gz, tar.xz, zip).")],
    data: DataOption = DATA,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an import with other content.")] = False,
) -> None:
    """Bring a dataset in from a folder or archive; nothing of it is ever unpickled unchecked."""
    from harness.engine.data.importing import import_dataset

    _tell(import_dataset(name, source, data, replace))


@app.command(name="download", epilog="Example: harness data download mnist")
def data_download(
    name: Annotated[str, typer.Argument(help="mnist or cifar10.")],
    data: DataOption = DATA,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an import with other content.")] = False,
) -> None:
    """Fetch a dataset from its authors through torchvision, and check it."""
    from harness.engine.data.importing import download_dataset

    _tell(download_dataset(name, data, replace))


@app.command(name="list", epilog="Example: harness data list")
def data_list(data: DataOption = DATA) -> None:
    """Show the datasets that the harness knows, and which are here."""
    from harness import datainfo

    for name in datainfo.KNOWN:
        info = datainfo.describe(name, data)
        if info is None:
            console.out.print(f"{name}: not here")
        else:
            _tell(info)


def _tell(info: "DatasetInfo") -> None:
    deviation = "" if info.original else f"; DEVIATION: {info.caveat or 'not verified to be the original'}"
    console.out.print(
        f"{info.name}: {info.n_train:,} training and {info.n_test:,} test images, digest {info.digest[:16]}, "
        f"{info.origin}{deviation}",
    )
