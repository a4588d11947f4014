"""What a user names, a method or a workload, to what the suite knows: by name, file, or package."""

from pathlib import Path

from resparse import data, outside, registry, workloads
from resparse.data import Data, Shape
from resparse.errors import ResparseError, UsageError
from resparse.exact import network
from resparse.files import file_sha256
from resparse.trial import blamed_network, require_trainable
from resparse.workloads import Workload

DATA = ("classes", "image_shape", "train_size", "sha256", "size", "train_batches", "eval_batches")


def is_file(reference: str) -> bool:
    """Whether ``reference`` means a file, not a name: it ends in .py or holds a slash.

    >>> is_file("rigl"), is_file("rigl.py"), is_file("here/rigl")
    (False, True, True)
    """
    return reference.endswith(".py") or "/" in reference


def resolve_method(reference: str, store_root: Path) -> tuple[str, str]:
    """(name, sha256 of its file) of a method: one of the suite's (sha256 ""), a file, a package's.

    A file is known by its own name, a package's method by its entry point's. Either is copied into
    the store first: the copy is what runs, and an edited file is another method. Raises UsageError
    for an unknown name, the name of one of the suite's, and a file that is no method.
    """
    if is_file(reference):
        name, file = outside.named_file(reference, "method")
    else:
        offered = None if reference in registry.names() else outside.installed(reference)
        if offered is None:
            registry.load(reference)  # an unknown name lists what exists
            return reference, ""
        name, file = reference, offered
    if name in registry.names():  # before anything is copied
        raise UsageError(f"method {name} is one of the suite's; valid: another file name")
    copy, digest = outside.copied(file, store_root, "methods", name)
    registry.add(name, copy)
    return name, digest


def resolve_workload(reference: str, store_root: Path | None) -> str:
    """The workload's name: one of the suite's, or that of a file, copied into the store.

    Without a store (nothing is trained) the file itself is read. Its network is tried on a few
    random images. Raises UsageError as above, and where it cannot be trained (see trial).
    """
    if not is_file(reference):
        workloads.workload(reference)
        return reference
    name, file = outside.named_file(reference, "workload")
    if name in workloads.WORKLOADS:
        raise UsageError(f"workload {name} is one of the suite's; valid: another file name")
    digest = file_sha256(file)
    if store_root is not None:
        file, digest = outside.copied(file, store_root, "workloads")
    made = workloads.add(name, file, digest)
    network.cache_clear()  # an edited file may bring another model under the same name
    try:
        with outside.prints_aside():
            require_trainable(name, made)
    except ResparseError:
        raise
    except Exception as error:
        raise blamed_network(name, made, data.source(name), error) from error
    return name


def images(problem: Workload, root: Path | None) -> Data:
    """The workload's dataset; of one from a file it is checked that it is what trainings need.

    Raises UsageError naming file and line or what lacks, Missing where the images are not here.
    """
    if not problem.sha256:
        return data.load(problem.dataset, root)
    name, file = problem.dataset, data.source(problem.dataset)
    try:
        with outside.prints_aside():
            loaded = data.load(name, root)
    except ResparseError:
        raise
    except Exception as error:
        raise outside.blamed(name, file, error) from error
    lacking = [part for part in DATA if not hasattr(loaded, part)]
    if lacking:
        raise UsageError(f"{name}.py: what load returns has no {lacking[0]}; valid: as InMemory")
    found = Shape(loaded.classes, tuple(loaded.image_shape), loaded.train_size)
    if found != data.describe(name):
        raise UsageError(f"{name}.py: SHAPE is {data.describe(name)} and load returns {found}")
    return loaded
