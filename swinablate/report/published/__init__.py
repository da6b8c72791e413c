"""Published tables (`packs/*.toml`), and whether a study finds what they say."""

from swinablate.report.published.compared import Row, of_folder, reproduced
from swinablate.report.published.packs import Pack, load_pack, load_packs

__all__ = ["Pack", "Row", "load_pack", "load_packs", "of_folder", "reproduced"]
