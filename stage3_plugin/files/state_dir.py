"""The state folder, as all that keep files in it need it: private, and with durable names.

What is made in it is its owner's alone, whatever the folder itself is. A file is only as safe as
the names that lead to it, so those of the folders around it are brought to the disk once.
"""

from __future__ import annotations

from pathlib import Path

from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.files.private_folders import keep_private, make_private, sync_folder


class StateDir:
    """The state folder of a project; several processes may share it.

    Args:
        path: Is made when something is first put there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._private: set[Path] = set()
        self._anchored: set[Path] = set()
        self._within: Path | None = None

    def keep_to_what_is_there(self) -> None:
        """Make the state folder itself no more: a run has its ledger in it.

        Where it is moved away meanwhile, a second one of its name would have pictures and no
        ledger.
        """
        self._within = self.path

    def make(self, path: Path, *, below: Path) -> None:
        """Make a folder of ours, and once keep other users out of the folder around it.

        A person may have made that one, as the umask said.

        Args:
            path: The folder.
            below: What is kept from others: this, or a folder that it is in.

        Raises:
            StorageFailed: It cannot be made.
        """
        with on_disk(path):
            make_private(path, within=self._within)
        if below not in self._private:
            keep_private(below)
            self._private.add(below)

    def anchor(self, *folders: Path) -> None:
        """Bring the names of folders, and that of the state folder, to the disk, once.

        Also those that another process has made: it may have done so just now and not be so far.

        Raises:
            OSError: The disk did not take them.
        """
        for folder in (*folders, self.path):
            if folder not in self._anchored:
                sync_folder(folder.parent)
                self._anchored.add(folder)
