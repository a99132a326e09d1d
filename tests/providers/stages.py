"""Stages for the conformance suite: the sandbox over HTTP behind a real SDK, and the sandbox in process."""

from __future__ import annotations

from hroute.providers.sandbox.stage import KEY as KEY
from hroute.providers.sandbox.stage import Served as Served
