"""The page of all keys of a configuration, and the JSON schema for editors.

python docs/configuration.py
"""

from __future__ import annotations

import json
from pathlib import Path

from trainer.cli.config_reference import json_schema, markdown_page

DOCS = Path(__file__).resolve().parent

if __name__ == "__main__":
    (DOCS / "configuration.md").write_text(markdown_page(), encoding="utf-8")
    text = json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
    (DOCS / "configuration.schema.json").write_text(text, encoding="utf-8")
