"""Code on disk: packages and layers, unpacked once, and what AWS's Python runtime ships."""

import hashlib
import io
import shutil
import tempfile
import threading
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Final

RUNTIME_PACKAGES: Final = (
    "awslambdaric",
    "boto3",
    "botocore",
    "jmespath",
    "python-dateutil",
    "s3transfer",
    "simplejson",
    "six",
    "snapshot-restore-py",
    "urllib3",
)


class InvalidPackageError(Exception):
    """A deployment package or a layer is no zip file."""


class PackageStore:
    """Unpacks each zip once, in a folder that is named by the digest of its bytes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()

    def unpack(self, package: bytes) -> Path:
        """The folder with the content of `package`.

        Raises
        ------
        InvalidPackageError
            It cannot be unpacked.
        """
        target = self._folder / hashlib.sha256(package).hexdigest()
        with self._lock:
            if not target.exists():
                self._unpack_to(target, package)
        return target

    def _unpack_to(self, target: Path, package: bytes) -> None:
        draft = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            with zipfile.ZipFile(io.BytesIO(package)) as archive:
                archive.extractall(draft)
                _restore_modes(archive, draft)
            draft.rename(target)
        except BaseException as error:
            shutil.rmtree(draft, ignore_errors=True)
            if isinstance(error, zipfile.BadZipFile):
                raise InvalidPackageError("Lambda was not able to unzip the file") from error
            raise


def _restore_modes(archive: zipfile.ZipFile, folder: Path) -> None:
    """Give each file the permissions that the zip records: the zip module drops them."""
    for entry in archive.infolist():
        mode = entry.external_attr >> 16 & 0o777
        if mode and not entry.is_dir():
            (folder / entry.filename).chmod(mode | 0o600)


def link_runtime(folder: Path) -> Path:
    """Fill `folder` with links to what AWS's Python runtime ships, from the installed packages."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in RUNTIME_PACKAGES:
        _link_distribution(metadata.distribution(name), folder)
    return folder


def _link_distribution(distribution: metadata.Distribution, folder: Path) -> None:
    for top_level in {file.parts[0] for file in distribution.files or []}:
        source = Path(str(distribution.locate_file(top_level)))
        link = folder / top_level
        if top_level not in ("..", "__pycache__"):
            link.unlink(missing_ok=True)  # of another installation
            link.symlink_to(source)
