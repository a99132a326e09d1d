"""No test writes into the ledger of whoever runs it."""

from __future__ import annotations

import os

os.environ["HROUTE_LEDGER"] = ""
