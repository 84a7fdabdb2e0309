"""Output of a run: results, meshes, pictures and the summary table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smplifyx.late_imports import late_names

if TYPE_CHECKING:
    from smplifyx.output.contact_sheet import SheetEntry, SheetOptions, sheet_entries, write_contact_sheets
    from smplifyx.output.layout import OutputLayout
    from smplifyx.output.meshes import mesh_bytes, save_mesh
    from smplifyx.output.pictures import close_up, overlay, picture_bytes, save_picture, side_view
    from smplifyx.output.render import (
        BodyMesh,
        BodyRenderer,
        Renderer,
        RenderUnavailable,
        SoftwareRenderer,
        open_renderer,
        person_color,
    )
    from smplifyx.output.render_process import RendererProcess
    from smplifyx.output.results import save_smplifyx_pickle
    from smplifyx.output.summary import SummaryRow, append_summary, compact_summary, complete_summary, read_summary

__all__ = [
    "BodyMesh",
    "BodyRenderer",
    "OutputLayout",
    "RenderUnavailable",
    "Renderer",
    "RendererProcess",
    "SheetEntry",
    "SheetOptions",
    "SoftwareRenderer",
    "SummaryRow",
    "append_summary",
    "close_up",
    "compact_summary",
    "complete_summary",
    "mesh_bytes",
    "open_renderer",
    "overlay",
    "person_color",
    "picture_bytes",
    "read_summary",
    "save_mesh",
    "save_picture",
    "save_smplifyx_pickle",
    "sheet_entries",
    "side_view",
    "write_contact_sheets",
]

_HOMES = {
    "BodyMesh": "render",
    "BodyRenderer": "render",
    "OutputLayout": "layout",
    "RenderUnavailable": "render",
    "Renderer": "render",
    "RendererProcess": "render_process",
    "SheetEntry": "contact_sheet",
    "SheetOptions": "contact_sheet",
    "SoftwareRenderer": "render",
    "SummaryRow": "summary",
    "append_summary": "summary",
    "close_up": "pictures",
    "compact_summary": "summary",
    "complete_summary": "summary",
    "mesh_bytes": "meshes",
    "open_renderer": "render",
    "overlay": "pictures",
    "person_color": "render",
    "picture_bytes": "pictures",
    "read_summary": "summary",
    "save_mesh": "meshes",
    "save_picture": "pictures",
    "save_smplifyx_pickle": "results",
    "sheet_entries": "contact_sheet",
    "side_view": "pictures",
    "write_contact_sheets": "contact_sheet",
}

__getattr__ = late_names(__name__, _HOMES)
