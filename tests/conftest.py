"""No test reads or writes the user's cache, but those that name a folder for it."""

import os

os.environ["QDLAWS_CACHE"] = "off"
