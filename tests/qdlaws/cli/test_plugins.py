"""Commands that write plug-ins."""

from __future__ import annotations

from qdlaws.integrations.reinvent4 import PLUGIN


def test_the_plug_in_of_reinvent4_is_written_and_its_use_is_said(command, tmp_path):
    done = command("reinvent4", "install", tmp_path / "plugins")
    path = tmp_path / "plugins" / "reinvent_plugins" / "components" / "comp_qdlaws.py"
    assert path.read_text(encoding="utf-8") == PLUGIN
    assert str(path) in done.out
    assert 'termination = "qdlaws"' in done.out
    (tmp_path / "file").touch()
    done = command("reinvent4", "install", tmp_path / "file")
    assert done.status == 2
    assert done.err.startswith("qdlaws: cannot write ")
