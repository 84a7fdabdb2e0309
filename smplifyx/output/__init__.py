"""Output of a run: results, meshes, pictures and the summary table."""

from smplifyx.output.contact_sheet import SheetEntry, SheetOptions, contact_sheet, sheet_entries, write_contact_sheets
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
    "contact_sheet",
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
