"""No test writes into the ledger of whoever runs it, or goes by prices that they have installed."""

from __future__ import annotations

import os

os.environ["HROUTE_LEDGER"] = ""
os.environ["XDG_DATA_HOME"] = os.devnull
