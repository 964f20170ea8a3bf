"""A model class whose process may not take much more memory once it has rendered a picture."""

from __future__ import annotations

import resource
from pathlib import Path

from stage3_plugin.domain.model import ModelRequest
from stage3_plugin.renderers.diffusion.model import Diffusion

SPARE_BYTES = 8 << 20


class LittleMemory(Diffusion):
    """It has what another small picture takes; what is far above that, the system refuses."""

    def render(self, request: ModelRequest) -> bytes:
        """Render a picture, and let the process grow no more."""
        picture = super().render(request)
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + SPARE_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
        return picture
