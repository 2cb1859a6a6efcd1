"""The tiny spec of an experiment."""

from pathlib import Path

from harness.errors import RequestError
from harness.pipeline.request import Request, prepare
from harness.protocols import folder_of, protocols
from harness.schema.load import load


def tiny(name: str, folder: Path) -> Request:
    """A request of an experiment's ``tiny.yaml``.

    Args:
        name: of the experiment.
        folder: gets a copy that is called as its ``id``.

    Raises:
        RequestError: it has none, or it is wrong.
    """
    path = folder_of(name) / "tiny.yaml"
    if not path.exists():
        raise RequestError(f"{path}: the experiment {name!r} needs a spec as small as can be here, for its tests")
    text = path.read_text()
    identity = next((line for line in text.splitlines() if line.startswith("id: ")), "id: tiny").removeprefix("id: ")
    copy = folder / f"{identity}.yaml"
    copy.write_text(text)
    return prepare(load(copy, protocols()), "toy", Path("no-such-folder"))
