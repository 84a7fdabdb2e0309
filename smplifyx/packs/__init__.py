"""Files of people in tar archives that WebDataset reads, instead of a file each.

A sample is a person, ``STEM/000.npz`` with ``STEM/000.overlay.jpg`` and so on, its members next to each other and the
result last. The picture of several people of a photo is a sample of its own, ``STEM/photo.overlay.jpg``. Each process
writes archives of its own below ``OUTPUT/packs``, each with an index of JSON lines beside it. A sample that was
written later takes the place of an earlier one of the same key.

A packed file keeps the name that it would have in the output folder: :func:`read_bytes` finds both.
"""

from __future__ import annotations

from smplifyx.packs.contents import PACKS, Sample, has_packs, pack_files
from smplifyx.packs.names import PHOTO, key_of, member_of, path_of, stem_of
from smplifyx.packs.reading import Packs, exists, read_bytes
from smplifyx.packs.writing import OLD, PackWriter, is_in_use, mend_packs, remove_pack

__all__ = [
    "OLD",
    "PACKS",
    "PHOTO",
    "PackWriter",
    "Packs",
    "Sample",
    "exists",
    "has_packs",
    "is_in_use",
    "key_of",
    "member_of",
    "mend_packs",
    "pack_files",
    "path_of",
    "read_bytes",
    "remove_pack",
    "stem_of",
]
