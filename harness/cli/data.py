"""The commands that bring datasets in."""

from pathlib import Path
from typing import Annotated

import typer

from harness import datainfo
from harness.cli import show
from harness.cli.options import DATA, DataOption
from harness.engine.data.importing import download_dataset, import_dataset

app = typer.Typer(no_args_is_help=True, help="Bring in datasets, and see which are here.")


@app.command(name="import", epilog="Example: harness data import mnist Downloads/mnist")
def data_import(
    name: Annotated[str, typer.Argument(help="mnist or cifar10.")],
    source: Annotated[Path, typer.Argument(help="A folder or an archive (tar, tar.gz, tar.xz, zip).")],
    data: DataOption = DATA,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an import with other content.")] = False,
) -> None:
    """Bring a dataset in from a folder or archive; nothing of it is ever unpickled unchecked."""
    _tell(import_dataset(name, source, data, replace))


@app.command(name="download", epilog="Example: harness data download mnist")
def data_download(
    name: Annotated[str, typer.Argument(help="mnist or cifar10.")],
    data: DataOption = DATA,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an import with other content.")] = False,
) -> None:
    """Fetch a dataset from its authors through torchvision, and check it."""
    _tell(download_dataset(name, data, replace))


@app.command(name="list")
def data_list(data: DataOption = DATA) -> None:
    """Show the datasets that the harness knows, and which are here."""
    for name in datainfo.KNOWN:
        info = datainfo.describe(name, data)
        if info is None:
            show.out.print(f"{name}: not here")
        else:
            _tell(info)


def _tell(info: datainfo.DatasetInfo) -> None:
    deviation = "" if info.original else f"; DEVIATION: {info.caveat or 'not verified to be the original'}"
    show.out.print(
        f"{info.name}: {info.n_train:,} training and {info.n_test:,} test images, digest {info.digest[:16]}, "
        f"{info.origin}{deviation}",
    )
